"""What Pull and Subscriber have in common, for asyncio."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import _core
from .._errors import Closed, InvalidArgument
from .._receiver import describe, logger
from .._time import Duration, seconds
from ._waker import Waker

if TYPE_CHECKING:
    from .._receiver import Receiver as SyncReceiver

_STRAIGHT_MAX = 64
"""After so many messages without waiting other tasks get their turn."""


@contextmanager
def stop_on_signals(
    loop: asyncio.AbstractEventLoop, stop: Callable[[], None]
) -> Iterator[None]:
    """While it lasts, the first Ctrl-C or SIGTERM calls `stop`; the second one acts as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        while before:
            number, handler = before.popitem()
            loop.remove_signal_handler(number)
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def handle() -> None:
        restore()
        stop()

    for number in before:
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        restore()


class Receiver:
    """Receives messages.

    `async for message in receiver` goes on until stop() or Peer.close(). Messages are those of
    peermq.Pull: settling them never waits; `await message.ack()` waits for the producer's answer.
    A receive() that is cancelled takes no message with it.
    """

    def __init__(self, receiver: SyncReceiver, waker: Waker) -> None:
        self._receiver = receiver
        self._waker = waker
        self._waiting: deque[asyncio.Future[_core.Delivery | None]] = deque()
        self._returned: deque[_core.Delivery] = deque()
        self._straight = 0
        receiver._notify(waker.notifier)

    async def receive(self, timeout: Duration | None = None) -> _core.Delivery | None:
        """The next message; None when `timeout` seconds pass, or at once after stop()."""
        self._straight += 1
        if self._straight >= _STRAIGHT_MAX:
            self._straight = 0
            await asyncio.sleep(0)
        if not self._waiting:
            message = self._take()
            if message is not None or self._receiver.stopped:
                return message
        limit = None if timeout is None else seconds(timeout)
        if limit is not None and limit <= 0:
            return None
        return await self._wait(limit)

    def _take(self) -> _core.Delivery | None:
        return self._returned.popleft() if self._returned else self._receiver.receive(0)

    async def _wait(self, timeout: float | None) -> _core.Delivery | None:
        loop = self._waker.attach()
        future: asyncio.Future[_core.Delivery | None] = loop.create_future()
        self._waiting.append(future)
        self._waker.wait(self._look)
        timer = None
        if timeout is not None:
            timer = loop.call_later(timeout, _expire, future)
        # A message, or the end, may have come between the question and our standing in the list.
        self._look()
        self._straight = 0
        try:
            return await future
        except asyncio.CancelledError:
            # Cancelled after it was given a message: that is the next one's.
            if future.done() and not future.cancelled() and (message := future.result()):
                self._returned.append(message)
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
            message = self._take()
            if message is None and not self._receiver.stopped:
                return True
            waiting.popleft().set_result(message)
        return False

    def __aiter__(self) -> Receiver:
        return self

    async def __anext__(self) -> _core.Delivery:
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    async def run(
        self, handler: Callable[[_core.Delivery], Awaitable[Any]], concurrency: int = 1
    ) -> None:
        """Awaits `handler` for every message, `concurrency` at a time, until stop() or close().

        Acks when it returns unless it settled itself, nacks with the exception's text when it
        raises, and logs that; gives back what a cancelled handler had. In the main thread Ctrl-C
        and SIGTERM stop it: handlers finish, and it returns.
        """
        self._receiver.set_concurrency(concurrency)
        loop = self._waker.attach()
        workers = [loop.create_task(self._work(handler)) for _ in range(concurrency)]
        with stop_on_signals(loop, self.stop):
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, handler: Callable[[_core.Delivery], Awaitable[Any]]) -> None:
        try:
            async for message in self:
                await self._handle(handler, message)
                del message
        except Closed:
            pass  # the peer closed while a handler worked: that is the end

    async def _handle(
        self, handler: Callable[[_core.Delivery], Awaitable[Any]], message: _core.Delivery
    ) -> None:
        try:
            result = handler(message)
            if not hasattr(result, "__await__"):
                raise InvalidArgument("run: this handler is no coroutine function: use peermq.Pull")
            await result
        except Exception as failure:
            logger.warning("%s: the handler failed", self._receiver._name, exc_info=True)
            if not message.settled:
                message.nack(reason=describe(failure))
        except BaseException:
            if not message.settled:
                message.release()
            raise
        else:
            if not message.settled:
                message.ack()

    def stop(self) -> None:
        """Takes no more messages, gives back what nobody has received, ends receive() and run()."""
        while self._returned:
            self._returned.popleft().release()
        self._receiver.stop()
        self._look()

    @property
    def stopped(self) -> bool:
        """True after stop() and Peer.close()."""
        return self._receiver.stopped

    def on_refused(self, callback: Callable[[str], None] | None) -> None:
        """As peermq.Pull.on_refused(): called by another thread."""
        self._receiver.on_refused(callback)

    def set_concurrency(self, concurrency: int) -> None:
        """Handlers at the same time, for callers with tasks of their own; 1 to 1,024."""
        self._receiver.set_concurrency(concurrency)

    def stats(self) -> dict[str, Any]:
        """Numbers: ready, started, received, acked and so on."""
        return self._receiver.stats()


def _expire(future: asyncio.Future[_core.Delivery | None]) -> None:
    if not future.done():
        future.set_result(None)
