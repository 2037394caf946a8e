"""A million messages leave nothing behind: no memory, no references."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, World, eventually

import peermq

MIB = 1 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_million_messages_take_no_more_memory_than_a_tenth_of_them(tmp_path: Path) -> None:
    with peermq.Peer(spool=tmp_path / "spool") as producer, peermq.Peer() as worker:
        worker.connect(producer.bind("tcp://127.0.0.1:*"))
        q = producer.push("jobs")
        jobs = worker.pull("jobs", prefetch=10_000)

        def pass_through(count: int) -> None:
            left = count
            while left:
                for _ in range(min(left, 1000)):
                    q.post(b"x" * 100, key=None, headers=None)
                for _ in range(min(left, 1000)):
                    m = next(jobs)
                    assert len(m.body) == 100 and m.data == b"x" * 100
                    m.ack()
                left -= min(left, 1000)

        pass_through(200_000)
        before, blocks = resident(), sys.getallocatedblocks()
        pass_through(800_000)
        assert resident() - before < 24 * MIB
        assert sys.getallocatedblocks() - blocks < 2000


def churn_post(world: World, jobs: peermq.Pull) -> Callable[[], Any]:
    q = world.producer.push("jobs")

    def once() -> None:
        q.post({"a": [1, "two", b"three"]}, key="k", headers={"h": "v"}, id="i")
        m = jobs.receive(PATIENCE)
        assert m is not None
        _ = (m.data, m.body, m.headers, m.id, m.key, m.timestamp, m.queue, repr(m), m.take())
        with m:
            pass

    return once


def churn_errors(world: World, jobs: peermq.Pull) -> Callable[[], Any]:
    q = world.producer.push("jobs")
    calls: list[Callable[[], Any]] = [
        lambda: q.post(object()),
        lambda: q.post(b"", kye=1),  # type: ignore[call-arg]
        lambda: q.post(b"", headers={"a": 1}),  # type: ignore[dict-item]
        lambda: q.post([{"deep": {1, 2}}]),
        lambda: q.post(memoryview(b"abcd")[::2]),
        lambda: peermq._core.unpack(b"\x92\x01"),  # type: ignore[attr-defined]
        lambda: jobs.receive("x"),  # type: ignore[arg-type]
    ]

    def once() -> None:
        for call in calls:
            with pytest.raises((peermq.Error, TypeError)):
                call()

    return once


def churn_stats(world: World, jobs: peermq.Pull) -> Callable[[], Any]:
    return lambda: (world.producer.stats(), jobs.stats(), jobs.receive(0))


@pytest.mark.parametrize("churn", [churn_post, churn_errors, churn_stats])
def test_nothing_is_kept_of_what_is_done_again_and_again(
    memory_world: World, churn: Callable[[World, peermq.Pull], Callable[[], Any]]
) -> None:
    jobs = memory_world.worker(log=None).pull("jobs")
    once = churn(memory_world, jobs)
    for _ in range(200):
        once()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        once()
    gc.collect()
    assert sys.getallocatedblocks() - before < 300


def test_objects_go_with_their_last_reference() -> None:
    class Sentinel:
        def __call__(self, event: peermq.Event) -> None:
            pass

    sentinel = Sentinel()
    gone = weakref.ref(sentinel)
    peer = peermq.Peer(on_event=sentinel, close_timeout=0)
    jobs, q = peer.pull("jobs"), peer.push("jobs")
    peers = [weakref.ref(peer), weakref.ref(jobs), weakref.ref(q), gone]
    del sentinel, jobs, q, peer
    gc.collect()
    assert eventually(lambda: [ref() for ref in peers] == [None] * 4)


def test_the_types_are_not_used_up() -> None:
    counts = [sys.getrefcount(kind) for kind in (peermq.Delivery, peermq.Receipt)]
    with peermq.Peer() as peer, peermq.Peer() as worker:
        worker.connect(peer.bind("inproc://types"))
        q, jobs = peer.push("jobs"), worker.pull("jobs")
        for _ in range(1000):
            q.post(b"x")
            m = next(jobs)
            m.ack()
        del m
        assert jobs.receive(0) is None
    after = [sys.getrefcount(kind) for kind in (peermq.Delivery, peermq.Receipt)]
    # Objects that wait to be used again count, too.
    assert all(b - a < 32 for a, b in zip(counts, after)), (counts, after)
