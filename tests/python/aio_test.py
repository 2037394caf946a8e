"""peermq.aio: nothing is lost by cancelling, other tasks go on, and any loop will do."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, Programs, World

import peermq
from peermq import aio

Scenario = Callable[..., Awaitable[None]]


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "uvloop":
        return pytest.importorskip("uvloop").new_event_loop()
    return asyncio.new_event_loop()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[Any]], Any]:
    """Runs a coroutine on either loop, within the patience of a test."""

    def run(main: Awaitable[Any]) -> Any:
        loop = new_loop(request.param)
        try:
            asyncio.set_event_loop(loop)
            return loop.run_until_complete(asyncio.wait_for(main, PATIENCE))
        finally:
            asyncio.set_event_loop(None)
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    return run


@asynccontextmanager
async def pair(spool: Path | None = None, **options: Any) -> AsyncIterator[tuple[aio.Push, aio.Pull]]:
    """A queue of one peer, read by another."""
    push_options = options.pop("push", {})
    async with aio.Peer(spool=spool, close_timeout=0.2) as producer:
        async with aio.Peer(close_timeout=0.2) as worker:
            worker.connect(producer.bind("tcp://127.0.0.1:*"))
            yield producer.push("jobs", **push_options), worker.pull("jobs", **options)


def test_the_names_are_those_of_peermq(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with pair(tmp_path / "spool") as (q, jobs):
            first = await q.send(b"raw bytes")
            r = await q.post({"n": 1}, key="k", headers={"a": "b"})
            assert await r.wait(5.0) and r.done
            assert len(await q.send_many([1, 2, peermq.Message(3, id="mine")])) == 3
            assert await q.flush(10.0)
            m = await jobs.receive(timeout=5.0)
            assert m is not None and (m.id, m.data) == (first, b"raw bytes")
            assert await m.ack() == "accepted"
            async with (await jobs.receive()) as m:  # type: ignore[union-attr]
                assert (m.data, m.key, m.headers) == ({"n": 1}, "k", {"a": "b"})
            seen = []
            async for m in jobs:
                seen.append(m.data)
                m.ack()
                if m.id == "mine":
                    break
            assert seen == [1, 2, 3]
            assert await q.flush(10.0, until="acked")
            assert await r.wait(0, until="acked") and r.acked
            assert await jobs.receive(timeout=0.01) is None and await jobs.receive(0) is None
            assert q.stats()["depth"] == 0 and jobs.stats()["acked"] == 5

    run(main())


def test_bind_and_connect_may_be_awaited(run: Any) -> None:
    async def main() -> None:
        async with aio.Peer() as a, aio.Peer() as b:
            endpoint = await a.bind("inproc://awaited")
            assert await b.connect(endpoint) is None

    run(main())


def test_time_outs_are_told(run: Any) -> None:
    async def main() -> None:
        async with pair() as (q, jobs):
            r = await q.post(b"x")
            with pytest.raises(peermq.Timeout):
                await r.wait(0.01, until="acked")
            with pytest.raises(peermq.Timeout):
                await q.flush(0.01, until="acked")
            with pytest.raises(peermq.InvalidArgument):
                await r.wait(until="sometime")  # type: ignore[arg-type]

    run(main())


def test_thousands_wait_at_once_and_share_syncs(run: Any, tmp_path: Path) -> None:
    count = 5000

    async def main() -> None:
        async with pair(tmp_path / "spool", prefetch=count) as (q, jobs):
            received = asyncio.gather(*(jobs.receive() for _ in range(count)))
            ids = await asyncio.gather(*(q.send(n) for n in range(count)))
            messages = await received
            assert [m.id for m in messages] == ids  # type: ignore[union-attr]
            for m in messages:
                m.ack()  # type: ignore[union-attr]
            assert await q.flush(until="acked")

    async def main_with_less_prefetch() -> None:
        async with pair(tmp_path / "spool2", prefetch=10) as (q, jobs):

            async def one() -> None:
                async with (await jobs.receive()):  # type: ignore[union-attr]
                    pass

            workers = [asyncio.ensure_future(one()) for _ in range(count)]
            await asyncio.gather(*(q.post(n) for n in range(count)))
            await asyncio.gather(*workers)

    run(main())
    run(main_with_less_prefetch())


def test_a_storm_of_cancellations_loses_and_repeats_nothing(run: Any) -> None:
    count = 3000
    chance = random.Random(7)

    async def main() -> None:
        async with pair(prefetch=100, push={"max_attempts": 1}) as (q, jobs):
            seen: list[int] = []

            async def impatient() -> None:
                while len(seen) < count:
                    task = asyncio.ensure_future(jobs.receive(0.01))
                    for _ in range(chance.randrange(4)):
                        await asyncio.sleep(0)
                    if chance.random() < 0.6:
                        task.cancel()
                    try:
                        m = await task
                    except asyncio.CancelledError:
                        continue
                    if m is not None:
                        seen.append(m.data)
                        m.ack()

            async def post() -> None:
                for n in range(count):
                    await q.post(n)
                    if n % 50 == 0:
                        await asyncio.sleep(0.001)

            await asyncio.gather(post(), *(impatient() for _ in range(20)))
            assert sorted(seen) == list(range(count))
            assert await q.flush(until="acked")
            stats = q.stats()
            assert (stats["nacked"], stats["redelivered"], stats["dead"]) == (0, 0, 0)

    run(main())


def test_wait_for_loses_nothing(run: Any) -> None:
    count = 300

    async def main() -> None:
        async with pair(push={"max_attempts": 1}) as (q, jobs):
            seen: list[int] = []

            async def post() -> None:
                for n in range(count):
                    await q.post(n)
                    await asyncio.sleep(0.0005)

            poster = asyncio.ensure_future(post())
            while len(seen) < count:
                try:
                    m = await asyncio.wait_for(jobs.receive(), 0.001)
                except asyncio.TimeoutError:
                    continue
                assert m is not None
                seen.append(m.data)
                m.ack()
            await poster
            assert seen == list(range(count))

    if sys.version_info >= (3, 12):  # before, wait_for itself drops what came with the time-out
        run(main())


def test_a_cancelled_send_is_sent_or_not_but_breaks_nothing(run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with pair(tmp_path / "spool") as (q, jobs):
            tasks = [asyncio.ensure_future(q.send(n)) for n in range(200)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, str) for result in results[1::2])
            assert await q.send("last")
            async for m in jobs:
                m.ack()
                if m.data == "last":
                    break

    run(main())


def test_other_tasks_have_their_turn_while_messages_abound(run: Any) -> None:
    async def main() -> None:
        async with pair(prefetch=10_000) as (q, jobs):
            for n in range(5000):
                await q.post(n)
            turns = 0

            async def other() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.ensure_future(other())
            for _ in range(5000):
                m = await jobs.receive()
                assert m is not None
                m.ack()
            task.cancel()
            assert turns >= 5000 // 64

    run(main())


def test_post_waits_for_room_in_order(run: Any) -> None:
    async def main() -> None:
        async with pair(push={"memory_bytes_max": 4096}) as (q, jobs):
            posts = [asyncio.ensure_future(q.post([n, b"x" * 500])) for n in range(50)]
            await asyncio.sleep(0.01)
            assert not posts[-1].done() and q.try_post(b"x" * 500) is None
            for n in range(50):
                m = await jobs.receive()
                assert m is not None and m.data[0] == n
                m.ack()
            await asyncio.gather(*posts)

    run(main())


def test_overflow_error_is_raised_at_once(run: Any) -> None:
    async def main() -> None:
        async with pair(push={"memory_bytes_max": 4096, "overflow": "error"}) as (q, _):
            with pytest.raises(peermq.Quota):
                for _n in range(50):
                    await q.post(b"x" * 500)

    run(main())


def test_close_ends_who_waits(run: Any) -> None:
    async def main() -> None:
        async with pair() as (q, jobs):
            r = await q.post(b"never acked")
            m = await jobs.receive()
            receiving = [asyncio.ensure_future(jobs.receive()) for _ in range(10)]
            waiting = asyncio.ensure_future(r.wait(until="acked"))
            await asyncio.sleep(0.01)
        assert await asyncio.gather(*receiving) == [None] * 10
        with pytest.raises(peermq.Closed):
            await waiting
        del m

    run(main())


def test_run_handles_as_many_at_a_time_as_asked_for(run: Any) -> None:
    async def main() -> None:
        async with pair() as (q, jobs):
            inside = most = done = 0

            async def handler(m: aio.Delivery) -> None:
                nonlocal inside, most, done
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1
                done += 1
                if done == 40:
                    jobs.stop()

            for n in range(40):
                await q.post(n)
            await jobs.run(handler, concurrency=8)
            assert most == 8
            assert await q.flush(until="acked")

    run(main())


def test_run_nacks_what_a_handler_raised(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with pair(push={"retry_wait_min": 0}) as (q, jobs):
            attempts: list[int] = []

            async def handler(m: aio.Delivery) -> None:
                attempts.append(m.attempt)
                if m.attempt < 3:
                    raise ValueError("not yet")
                jobs.stop()

            await q.post(b"x")
            await jobs.run(handler)
            assert attempts == [1, 2, 3]

    run(main())
    assert "not yet" in caplog.text


def test_a_cancelled_run_gives_back_what_it_had(run: Any) -> None:
    async def main() -> None:
        async with pair(push={"max_attempts": 1}) as (q, jobs):
            started = asyncio.Event()

            async def handler(m: aio.Delivery) -> None:
                started.set()
                await asyncio.sleep(PATIENCE)

            await q.post(b"x")
            running = asyncio.ensure_future(jobs.run(handler, concurrency=2))
            await started.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            m = await jobs.receive()
            assert m is not None and m.attempt == 1
            m.ack()

    run(main())


def test_a_peer_belongs_to_one_loop_at_a_time(memory_world: World) -> None:
    peer = aio.Peer(close_timeout=0)
    jobs = peer.pull("jobs")
    assert asyncio.run(jobs.receive(0.01)) is None
    assert asyncio.run(jobs.receive(0.01)) is None  # the first loop is closed

    async def elsewhere() -> None:
        waiting = asyncio.ensure_future(jobs.receive())
        await asyncio.sleep(0)
        with pytest.raises(peermq.Error) as failure:
            await asyncio.to_thread(lambda: asyncio.run(jobs.receive(1)))
        assert failure.value.code == "invalid_state"
        await peer.close()
        assert await waiting is None

    asyncio.run(elsewhere())


RUNNER = """
import asyncio, sys
from peermq import aio
async def main():
    async with aio.Peer() as peer:
        peer.connect(sys.argv[1])
        async def handler(m):
            print("handling", flush=True)
            await asyncio.sleep(0.3)
            print("handled", flush=True)
        await peer.pull("jobs").run(handler, concurrency=4)
        print("returned", flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_drains_on_a_signal(programs: Programs, world: World, number: signal.Signals) -> None:
    push = world.producer.push("jobs")
    push.post(b"x")
    process = programs.start(RUNNER, world.endpoint)
    assert process.stdout is not None
    assert process.stdout.readline() == "handling\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("handled\nreturned\n", "", 0)
    assert push.flush(PATIENCE, until="acked")
