"""Requesters and repliers, in both dresses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import PATIENCE, World, eventually

import peermq
from peermq import aio


@contextmanager
def serving(
    world: World, handler: Callable[[peermq.Request], Any], concurrency: int = 1
) -> Iterator[peermq.Requester]:
    """A service in threads of its own, and who asks it."""
    replier = world.producer.replier("price")
    thread = threading.Thread(target=lambda: replier.run(handler, concurrency))
    thread.start()
    try:
        yield world.worker().requester("price", timeout=PATIENCE)
    finally:
        replier.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_what_the_handler_returns_is_the_reply(memory_world: World) -> None:
    def handler(req: peermq.Request) -> Any:
        assert req.service == "price" and req.headers == {"h": "v"}
        assert req.remaining is not None and not req.cancelled and not req.redelivered
        return {"price": req.data["n"] * 2}

    with serving(memory_world, handler) as requester:
        answer = requester.call({"n": 21}, timeout=PATIENCE, headers={"h": "v"})
        assert answer.data == {"price": 42}
        assert answer.is_last and answer.part == 0 and not answer.is_progress
        assert requester.stats()["replies"] == 1


def test_bytes_and_none_go_as_they_are(memory_world: World) -> None:
    with serving(memory_world, lambda req: req.data) as requester:
        for data in (b"raw", None, "text", [1]):
            assert requester.call(data).data == data


def test_what_the_handler_raises_is_a_remote_error(
    memory_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(req: peermq.Request) -> None:
        raise KeyError("no such thing")

    with serving(memory_world, handler) as requester:
        with pytest.raises(peermq.RemoteError, match="no such thing") as failure:
            requester.call(b"")
        assert failure.value.remote_code == "KeyError"
        assert failure.value.code == "remote_error"
    assert "no such thing" in caplog.text


def test_time_outs_and_cancelling(memory_world: World) -> None:
    requester = memory_world.worker().requester("nobody")
    with pytest.raises(peermq.Timeout) as failure:
        requester.call(b"", timeout=0.01)
    assert failure.value.code == "timeout"
    pending = requester.request(b"", timeout=PATIENCE)
    with pytest.raises(TimeoutError):
        pending.get(timeout=0.01)
    assert not pending.done and pending.cancel() and pending.done
    with pytest.raises(peermq.Error) as cancelled:
        pending.get()
    assert cancelled.value.code == "cancelled"


def test_a_reply_may_come_in_parts(memory_world: World) -> None:
    def handler(req: peermq.Request) -> None:
        for n in range(3):
            assert req.reply_part(n)
        assert req.progress(b"90 %")
        req.reply("end")

    with serving(memory_world, handler) as requester:
        parts = list(requester.request(b""))
        assert [one.data for one in parts] == [0, 1, 2, b"90 %", "end"]
        assert [one.is_progress for one in parts] == [False, False, False, True, False]
        assert requester.call(b"").data == "end"


def test_many_threads_ask_at_once(memory_world: World) -> None:
    with serving(memory_world, lambda req: req.data, concurrency=4) as requester:
        wrong: list[object] = []

        def ask(who: int) -> None:
            for n in range(50):
                if requester.call([who, n]).data != [who, n]:
                    wrong.append((who, n))

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert wrong == []


def test_an_unanswered_request_is_told(memory_world: World) -> None:
    replier = memory_world.producer.replier("price")
    pending = memory_world.worker().requester("price").request(b"", timeout=PATIENCE)
    request = replier.receive(PATIENCE)
    assert request is not None
    del request
    with pytest.raises(peermq.RemoteError) as failure:
        pending.get()
    assert failure.value.remote_code == "no_reply"


def test_asyncio_asks_and_answers_thousands_at_once() -> None:
    async def main() -> None:
        async with aio.Peer() as a, aio.Peer() as b:
            b.connect(a.bind("inproc://service"))
            replier = a.replier("price", prefetch=256)
            requester = b.requester("price", in_flight_max=5000)

            async def handler(req: aio.Request) -> Any:
                if req.data == "raise":
                    raise ValueError("no good")
                if req.data == "parts":
                    for n in range(3):
                        await req.send_part(n)
                    return "end"
                await asyncio.sleep(0)
                return req.data

            serving = asyncio.ensure_future(replier.run(handler, concurrency=64))
            answers = await asyncio.gather(*(requester.call(n) for n in range(3000)))
            assert [one.data for one in answers] == list(range(3000))
            task = requester.call_async({"n": 1}, timeout=PATIENCE)
            assert (await task).data == {"n": 1}
            assert [p.data async for p in requester.request("parts")] == [0, 1, 2, "end"]
            with pytest.raises(peermq.RemoteError) as failure:
                await requester.call("raise")
            assert failure.value.remote_code == "ValueError"
            replier.stop()
            await serving
            with pytest.raises(peermq.Timeout):
                await requester.call(b"", timeout=0.05)
            cancelled = requester.call_async(b"", timeout=PATIENCE)
            await asyncio.sleep(0.01)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            del cancelled
            assert await asyncio.to_thread(
                eventually, lambda: requester.stats()["in_flight"] == 0
            )

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
