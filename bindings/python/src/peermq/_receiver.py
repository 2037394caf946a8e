"""What Pull and Subscriber have in common."""

from __future__ import annotations

import inspect
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import _core
from ._errors import Closed, InvalidArgument

if TYPE_CHECKING:
    _Base = _core._Receiver
else:
    _Base = object

logger = logging.getLogger("peermq")


def describe(failure: BaseException) -> str:
    """An exception as it stands in dead letters."""
    text = str(failure)
    name = type(failure).__name__
    return f"{name}: {text}" if text else name


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """While it lasts, the first Ctrl-C or SIGTERM calls `stop`; the second one acts as before.

    Only the main thread can do so; in others nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in wanted}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        stop()

    for number in wanted:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()


class Receiver(_Base):
    """Receives messages, one by one, by iteration, or by run()."""

    _name: str

    def run(self, handler: Callable[[_core.Delivery], Any], concurrency: int = 1) -> None:
        """Calls `handler` for every message until stop() or Peer.close().

        Acks when it returns unless it settled itself, nacks with the exception's text when it
        raises, and logs that. Blocks; with a concurrency of n, n threads call the handler, the
        caller being one of them. In the main thread Ctrl-C and SIGTERM stop it: handlers finish,
        what nobody has received goes back, and it returns. A second one acts as it did before.

        KeyboardInterrupt and SystemExit out of a handler give its message back and end it.
        """
        if inspect.iscoroutinefunction(handler):
            raise InvalidArgument("run: this handler is a coroutine function: use peermq.aio")
        self._set_concurrency(concurrency)
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for message in self:
                    self._handle(handler, message)
                    del message  # its batch can go while this thread waits for the next
            except Closed:
                pass  # the peer closed while a handler worked: that is the end
            except BaseException as failure:
                failures.append(failure)
                self.stop()

        with stop_on_signals(self.stop):
            threads = [
                threading.Thread(target=work, name=f"peermq-{self._name}-{i}", daemon=True)
                for i in range(1, concurrency)
            ]
            for thread in threads:
                thread.start()
            work()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def _handle(self, handler: Callable[[_core.Delivery], Any], message: _core.Delivery) -> None:
        try:
            handler(message)
        except Exception as failure:
            logger.warning("%s: the handler failed", self._name, exc_info=True)
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
        """Takes no more messages, gives back what nobody has received, ends receive() and run().

        Messages in hand may still be settled.
        """
        self._stop()

    @property
    def stopped(self) -> bool:
        """True after stop() and Peer.close()."""
        return self._stopped()

    def on_refused(self, callback: Callable[[str], None] | None) -> None:
        """Calls `callback` with the message's id for each settlement that came too late.

        From the thread that calls on_event; see Peer.
        """
        self._on_refused(callback)

    def set_concurrency(self, concurrency: int) -> None:
        """Handlers at the same time, for callers with threads of their own; 1 to 1,024."""
        self._set_concurrency(concurrency)

    def stats(self) -> dict[str, Any]:
        """Numbers: ready, started, received, acked and so on."""
        return self._stats()
