"""What scripts rely on: names, keywords, defaults and return values, as documented."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import World, eventually

import peermq


def test_the_documented_script_runs_word_for_word(tmp_path: Path) -> None:
    with peermq.Peer(spool=tmp_path / "spool") as peer:
        endpoint = peer.bind("tcp://127.0.0.1:*")
        q = peer.push("jobs")
        raw_id = q.send(b"raw bytes")
        r = q.post({"n": 1}, key="k", headers={"a": "b"})
        assert r.wait(5.0)
        assert r.done
        many = q.send_many([b"1", {"n": 2}, peermq.Message("text", key="k2", id="mine")])
        assert q.flush(10.0)
        stats = q.stats()
        assert stats["depth"] == 5 and stats["in_flight"] == 0 and stats["acked"] == 0

        peer2 = peermq.Peer()
        peer2.connect(endpoint)
        jobs = peer2.pull("jobs", prefetch=64)
        m = jobs.receive(timeout=5.0)
        assert m is not None
        assert m.body == b"raw bytes" and isinstance(m.body, memoryview) and m.body.readonly
        assert m.data == b"raw bytes" and type(m.data) is bytes
        assert (m.id, m.key, m.headers) == (raw_id, "", {})
        assert (m.attempt, m.redelivered) == (1, False)
        m.ack()
        m = jobs.receive(timeout=5.0)
        assert m is not None
        assert (m.data, m.id, m.key, m.headers) == ({"n": 1}, r.id, "k", {"a": "b"})
        with m:
            pass
        ids = []
        for m in jobs:
            ids.append(m.id)
            with m:
                if len(ids) == 3:
                    break
        assert ids == many and ids[-1] == "mine"
        assert q.flush(10.0, until="acked")
        assert jobs.receive(timeout=0.01) is None
        assert peer2.close()


def test_a_receipt_tells_how_far_its_message_has_come(world: World) -> None:
    jobs = world.worker().pull("jobs")
    r = world.producer.push("jobs").post(b"x")
    assert r.wait(5) and r.wait(timeout=timedelta(seconds=5)) and r.done
    assert not r.acked
    with pytest.raises(peermq.Timeout):
        r.wait(0.001, until="acked")
    m = jobs.receive(5)
    assert m is not None
    m.ack()
    assert r.wait(5, "acked") and r.acked


def test_nack_brings_it_again_after_its_delay_and_counts(world: World) -> None:
    jobs = world.worker().pull("jobs")
    world.producer.push("jobs").send(b"x")
    m = jobs.receive(5)
    assert m is not None
    before = time.monotonic()
    m.nack(delay=0.05)
    m = jobs.receive(timedelta(seconds=5))
    assert m is not None
    assert time.monotonic() - before >= 0.05
    assert (m.attempt, m.redelivered) == (2, True)
    m.release()
    m = jobs.receive(5)
    assert m is not None
    assert m.attempt == 2
    m.ack()


def test_reject_moves_it_to_the_dead_letters_with_its_reason(world: World) -> None:
    worker = world.worker()
    jobs = worker.pull("jobs")
    world.producer.push("jobs").send({"bad": True}, headers={"h": "v"})
    m = jobs.receive(5)
    assert m is not None
    m.reject("why")
    dead = worker.pull("jobs.dead").receive(5)
    assert dead is not None
    assert dead.data == {"bad": True}
    assert dead.headers["peermq-dead-error"] == "why"
    dead.ack()


def test_with_acks_or_nacks_with_what_was_raised(world: World) -> None:
    jobs = world.worker().pull("jobs")
    world.producer.push("jobs", max_attempts=1).send(b"x")
    m = jobs.receive(5)
    assert m is not None
    with pytest.raises(ZeroDivisionError):
        with m:
            1 / 0
    assert m.settled
    dead = world.peers[-1].pull("jobs.dead").receive(5)
    assert dead is not None
    assert dead.headers["peermq-dead-error"] == "ZeroDivisionError: division by zero"
    dead.ack()


def test_with_gives_back_what_was_interrupted(world: World) -> None:
    jobs = world.worker().pull("jobs")
    world.producer.push("jobs", max_attempts=1).send(b"x")
    m = jobs.receive(5)
    assert m is not None
    with pytest.raises(KeyboardInterrupt):
        with m:
            raise KeyboardInterrupt
    m = jobs.receive(5)
    assert m is not None
    assert m.attempt == 1
    m.ack()


def test_with_leaves_alone_what_was_settled_inside(world: World) -> None:
    jobs = world.worker().pull("jobs")
    world.producer.push("jobs").send(b"x")
    m = jobs.receive(5)
    assert m is not None
    with m:
        m.nack(delay=0)
    m = jobs.receive(5)
    assert m is not None
    assert m.attempt == 2
    m.ack()


def test_a_message_that_is_dropped_unsettled_comes_again(world: World) -> None:
    jobs = world.worker().pull("jobs")
    world.producer.push("jobs", retry_wait_min=0).send(b"x")
    m = jobs.receive(5)
    del m
    m = jobs.receive(5)
    assert m is not None
    assert m.attempt == 2
    assert jobs.stats()["unsettled_drops"] == 1
    m.ack()


def test_settling_twice_is_refused(world: World) -> None:
    jobs = world.worker().pull("jobs")
    world.producer.push("jobs").send(b"x")
    m = jobs.receive(5)
    assert m is not None
    assert m.ack().wait(5) == "accepted"
    with pytest.raises(peermq.Error) as failure:
        m.ack()
    assert failure.value.code == peermq.ErrorCode.invalid_state


def test_views_of_the_body_live_on_their_own(world: World) -> None:
    jobs = world.worker().pull("jobs")
    push = world.producer.push("jobs")
    push.send_many([b"first" * 100, b"second" * 100])
    m = jobs.receive(5)
    assert m is not None
    view = m.body[5:10]
    m.ack()
    del m
    m = jobs.receive(5)
    assert m is not None
    m.ack()
    assert view == b"first"


def test_take_keeps_what_the_message_had(world: World) -> None:
    jobs = world.worker().pull("jobs")
    world.producer.push("jobs").send(
        [1, "two"],
        key="k",
        headers=[("a", "b")],
        id="id-1",
        correlation_id="c",
        reply_to="r",
    )
    m = jobs.receive(5)
    assert m is not None
    kept = m.take()
    m.ack()
    assert (kept.data, kept.key, kept.headers) == ([1, "two"], "k", {"a": "b"})
    assert (kept.id, kept.correlation_id, kept.reply_to) == ("id-1", "c", "r")
    assert kept.content_type == "application/msgpack"
    assert abs(kept.timestamp - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_text_that_is_no_utf8_comes_as_it_went(world: World) -> None:
    jobs = world.worker().pull("jobs")
    push = world.producer.push("jobs")
    push.send(b"", key=b"\xff\x00", headers={"h": b"\xfe", "ü": "ö"})
    m = jobs.receive(5)
    assert m is not None
    push.send(b"", key=m.key, headers=m.headers)
    m.ack()
    m = jobs.receive(5)
    assert m is not None
    assert m.key.encode("utf-8", "surrogateescape") == b"\xff\x00"
    assert m.headers["h"].encode("utf-8", "surrogateescape") == b"\xfe"
    assert m.headers["ü"] == "ö"
    m.ack()


@pytest.mark.parametrize("size", [0, 1, 1000, 20_000, 1_000_000])
def test_bodies_of_every_size_and_kind_come_as_they_went(world: World, size: int) -> None:
    jobs = world.worker().pull("jobs")
    push = world.producer.push("jobs")
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    for given in (body, bytearray(body), memoryview(body), memoryview(bytearray(body))):
        push.send(given)
        m = jobs.receive(5)
        assert m is not None
        assert m.data == body
        m.ack()
    with pytest.raises(peermq.InvalidArgument, match="contiguous"):
        push.send(memoryview(b"abcdef")[::2])


def test_purge_pause_and_resume(world: World) -> None:
    jobs = world.worker().pull("jobs")
    push = world.producer.push("jobs")
    push.pause()
    push.send_many([b"x"] * 10)
    assert push.stats()["paused"] is True
    assert jobs.receive(0.05) is None
    assert push.purge() == 10
    push.send(b"y")
    push.resume()
    m = jobs.receive(5)
    assert m is not None
    assert m.data == b"y"
    m.ack()


def test_try_post_returns_none_when_full(memory_world: World) -> None:
    push = memory_world.producer.push("jobs", memory_bytes_max=4096)
    count = 0
    while push.try_post(b"x" * 500) is not None:
        count += 1
    assert 4 <= count <= 8
    assert push.stats()["depth"] == count


def test_overflow_error_raises_quota(memory_world: World) -> None:
    push = memory_world.producer.push("jobs", memory_bytes_max=4096, overflow="error")
    with pytest.raises(peermq.Quota) as failure:
        for _ in range(100):
            push.post(b"x" * 500)
    assert failure.value.code == "quota"


def test_overflow_drop_oldest_drops_and_tells(memory_world: World) -> None:
    events: list[peermq.Event] = []
    peer = memory_world.peer(on_event=events.append)
    push = peer.push("jobs", memory_bytes_max=8192, overflow="drop_oldest")
    for _ in range(100):
        push.post(b"x" * 500)
    assert push.stats()["dropped"] > 0
    assert eventually(lambda: [e for e in events if e.kind == "dropped" and e.queue == "jobs"])


def test_what_was_sent_survives_its_process(tmp_path: Path) -> None:
    with peermq.Peer(spool=tmp_path / "s") as first:
        sent = first.push("jobs").send_many([{"n": n} for n in range(10)])
        identity = first.id
    with peermq.Peer(spool=str(tmp_path / "s")) as second, peermq.Peer() as worker:
        assert second.id == identity
        worker.connect(second.bind("inproc://survives"))
        jobs = worker.pull("jobs")
        for n, expected in enumerate(sent):
            m = jobs.receive(5)
            assert m is not None
            assert (m.id, m.data) == (expected, {"n": n})
            m.ack()


def test_peer_stats_name_everything(world: World) -> None:
    worker = world.worker()
    jobs = worker.pull("jobs")
    world.producer.push("jobs").send(b"x")
    assert eventually(lambda: world.producer.stats()["links"])
    stats = world.producer.stats()
    assert stats["peer"] == world.producer.id
    assert [q["queue"] for q in stats["pushes"] if not q["queue"].endswith(".dead")] == [jobs.queue]
    assert stats["links"][0]["state"] == "up"
    assert isinstance(stats["spool"]["sync_mean"], float)
    assert [q["queue"] for q in worker.stats()["pulls"]] == [jobs.queue]


def test_events_tell_of_links(world: World) -> None:
    events: list[peermq.Event] = []
    worker = world.worker(on_event=events.append)
    up = eventually(lambda: [e for e in events if e.kind == "peer_up"])
    assert up[0].peer == world.producer.id
    assert worker.stats()["callback_failures"] == 0
