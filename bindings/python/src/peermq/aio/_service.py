"""Requests and replies, for asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .. import _core
from .._core import Reply as Reply
from .._errors import Closed, InvalidArgument, Timeout
from .._message import Headers, Text
from .._replier import Request as SyncRequest
from .._replier import answer, answer_failure
from .._requester import given
from .._time import Duration, seconds
from ._receiver import stop_on_signals
from ._waker import Waker

if TYPE_CHECKING:
    from .._replier import Replier as SyncReplier
    from .._requester import Requester as SyncRequester


class PendingReply:
    """The reply to come. Dropped before the reply is taken, it cancels the request."""

    def __init__(self, pending: _core.PendingReply, requester: Requester) -> None:
        self._pending = pending
        self._requester = requester

    async def get(self, timeout: Duration | None = None) -> Reply:
        """Waits for the last part and returns it, once. Raises as peermq.PendingReply.get()."""
        try:
            await self._requester._wait_done(self._pending, timeout)
        except asyncio.CancelledError:
            self.cancel()  # the exception may keep this object for long
            raise
        if not self._pending.done:
            raise Timeout(f"no reply after {timeout} s")
        return self._pending._get()

    async def next(self, timeout: Duration | None = None) -> Reply | None:
        """The next part; None after the last one, and when `timeout` passes: done tells."""
        part: list[Reply] = []

        def look() -> bool | None:
            taken = self._pending._next(0)
            if taken is not None:
                part.append(taken)
            return True if part or self._pending.done else None

        await self._requester._wait(look, timeout)
        return part[0] if part else None

    async def __aiter__(self) -> AsyncIterator[Reply]:
        while (part := await self.next()) is not None:
            yield part
            if part.is_last:
                return

    @property
    def done(self) -> bool:
        """True once nothing more comes."""
        return self._pending.done

    def cancel(self) -> bool:
        """Nobody waits any more. False when it was answered or had failed before."""
        return self._pending._cancel()


class Requester:
    """Asks a service. Made by Peer.requester(). A cancelled call is cancelled at the replier, too."""

    def __init__(self, requester: SyncRequester, waker: Waker) -> None:
        self._requester = requester
        self._waker = waker
        self._waiting: list[tuple[Callable[[], bool | None], asyncio.Future[None]]] = []
        self._pending: list[_core.PendingReply] = []
        self._futures: list[asyncio.Future[None]] = []  # one for each of them
        requester._notify(waker.notifier)

    async def _wait_done(self, pending: _core.PendingReply, timeout: Duration | None) -> None:
        """Until nothing more comes, or time is over."""
        if pending.done:
            return
        loop = self._waker.attach()
        future: asyncio.Future[None] = loop.create_future()
        self._pending.append(pending)
        self._futures.append(future)
        self._waker.wait(self._look_done)
        if pending.done:  # it may have come between the question and our standing in the list
            self._look_done()
        timer = None
        if timeout is not None:
            timer = loop.call_later(max(0.0, seconds(timeout)), _finish, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()

    def _look_done(self) -> bool:
        done = _core._done_indices(self._pending)
        if done:
            for index in done:
                _finish(self._futures[index])
            left = [i for i, future in enumerate(self._futures) if not future.done()]
            self._pending = [self._pending[i] for i in left]
            self._futures = [self._futures[i] for i in left]
        return bool(self._pending)

    async def _wait(self, ready: Callable[[], bool | None], timeout: Duration | None) -> None:
        """Until `ready` is true, or time is over."""
        if ready():
            return
        loop = self._waker.attach()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((ready, future))
        self._waker.wait(self._look)
        timer = None
        if timeout is not None:
            timer = loop.call_later(max(0.0, seconds(timeout)), _finish, future)
        # It may have come between the question and our standing in the list.
        self._look()
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()

    def _look(self) -> bool:
        left = []
        for entry in self._waiting:
            ready, future = entry
            if future.done():
                continue
            try:
                if ready():
                    future.set_result(None)
                else:
                    left.append(entry)
            except Exception as failure:
                future.set_exception(failure)
        self._waiting = left
        return bool(left)

    def request(
        self,
        data: Any,
        *,
        timeout: Duration | None = None,
        idempotent: bool = False,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        content_type: Text | None = None,
    ) -> PendingReply:
        """Asks without waiting for the reply."""
        properties = given(
            headers=headers, id=id, correlation_id=correlation_id, content_type=content_type
        )
        pending = self._requester._request(data, properties, timeout, idempotent)
        return PendingReply(pending, self)

    async def call(
        self,
        data: Any,
        *,
        timeout: Duration | None = None,
        idempotent: bool = False,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        content_type: Text | None = None,
    ) -> Reply:
        """Asks and waits: the reply, or its last part. Raises as peermq.Requester.call()."""
        pending = self.request(
            data,
            timeout=timeout,
            idempotent=idempotent,
            headers=headers,
            id=id,
            correlation_id=correlation_id,
            content_type=content_type,
        )
        return await pending.get()

    def call_async(self, data: Any, **options: Any) -> asyncio.Task[Reply]:
        """call() as a task that has begun: its result is the Reply; may be cancelled."""
        return asyncio.get_running_loop().create_task(self.call(data, **options))

    def stats(self) -> dict[str, Any]:
        """Numbers: in_flight, requests, replies and so on."""
        return self._requester.stats()

    @property
    def service(self) -> str:
        """The name."""
        return self._requester.service


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Request(SyncRequest):
    """A request, to be answered once; reply() and fail() never wait."""

    async def send_part(
        self, data: Any, *, headers: Headers | None = None, content_type: Text | None = None
    ) -> bool:
        """reply_part() without blocking the loop: a part before the last one."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            None, lambda: self.reply_part(data, headers=headers, content_type=content_type)
        )


class Replier:
    """Answers the requests of a service. Made by Peer.replier().

    `async for request in replier` goes on until stop() or Peer.close(). A receive() that is
    cancelled takes no request with it.
    """

    def __init__(self, replier: SyncReplier, waker: Waker) -> None:
        self._replier = replier
        self._waker = waker
        self._waiting: deque[asyncio.Future[_core.Request | None]] = deque()
        self._returned: deque[_core.Request] = deque()
        replier._notify(waker.notifier)

    async def receive(self, timeout: Duration | None = None) -> Request | None:
        """The next request; None when `timeout` passes, or at once after stop()."""
        if not self._waiting:
            request = self._take()
            if request is not None or self._replier.stopped:
                return Request(request) if request is not None else None
        if timeout is not None and seconds(timeout) <= 0:
            return None
        request = await self._wait(timeout)
        return Request(request) if request is not None else None

    def _take(self) -> _core.Request | None:
        return self._returned.popleft() if self._returned else self._replier._receive(0)

    async def _wait(self, timeout: Duration | None) -> _core.Request | None:
        loop = self._waker.attach()
        future: asyncio.Future[_core.Request | None] = loop.create_future()
        self._waiting.append(future)
        self._waker.wait(self._look)
        timer = None
        if timeout is not None:
            timer = loop.call_later(seconds(timeout), _give_up, future)
        self._look()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and (request := future.result()):
                self._returned.append(request)
                self._look()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _look(self) -> bool:
        waiting = self._waiting
        while waiting:
            if waiting[0].done():
                waiting.popleft()
                continue
            request = self._take()
            if request is None and not self._replier.stopped:
                return True
            waiting.popleft().set_result(request)
        return False

    def __aiter__(self) -> Replier:
        return self

    async def __anext__(self) -> Request:
        request = await self.receive()
        if request is None:
            raise StopAsyncIteration
        return request

    async def run(self, handler: Callable[[Request], Awaitable[Any]], concurrency: int = 1) -> None:
        """Awaits `handler` for every request, `concurrency` at a time; its result is the reply.

        What it raises is a RemoteError at the requester, and logged. In the main thread Ctrl-C and
        SIGTERM stop it: handlers finish, and it returns.
        """
        self._replier.set_concurrency(concurrency)
        loop = self._waker.attach()
        workers = [loop.create_task(self._work(handler)) for _ in range(concurrency)]
        with stop_on_signals(loop, self.stop):
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, handler: Callable[[Request], Awaitable[Any]]) -> None:
        try:
            async for request in self:
                try:
                    result = handler(request)
                    if not hasattr(result, "__await__"):
                        raise InvalidArgument(
                            "run: this handler is no coroutine function: use peermq.Replier"
                        )
                    answer(request, await result)
                except Closed:
                    raise
                except Exception as failure:
                    answer_failure(request, failure)
                del request
        except Closed:
            pass  # the peer closed while a handler worked: that is the end

    def stop(self) -> None:
        """Takes no more requests, ends receive() and run()."""
        self._returned.clear()
        self._replier.stop()
        self._look()

    @property
    def stopped(self) -> bool:
        """True after stop() and Peer.close()."""
        return self._replier.stopped

    def stats(self) -> dict[str, Any]:
        """Numbers: ready, started, received, replies and so on."""
        return self._replier.stats()

    @property
    def service(self) -> str:
        """The name."""
        return self._replier.service


def _give_up(future: asyncio.Future[_core.Request | None]) -> None:
    if not future.done():
        future.set_result(None)
