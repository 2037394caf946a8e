"""The answering side of a service."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _core
from ._errors import Closed, Error, InvalidArgument
from ._message import Headers, Text
from ._receiver import logger, stop_on_signals
from ._requester import given
from ._time import Duration

if TYPE_CHECKING:
    from ._peer import Peer


def code_of(failure: BaseException) -> str:
    """Under which a handler's failure reaches the requester."""
    return failure.code.value if isinstance(failure, Error) else type(failure).__name__


class Request:
    """A request in the hands of this process, to be answered once.

    Dropped unanswered, the requester gets a failure with the code "no_reply".
    """

    def __init__(self, request: _core.Request) -> None:
        self._request = request

    @property
    def body(self) -> memoryview:
        """The bytes as they came."""
        return self._request.body

    @property
    def data(self) -> Any:
        """The object that was sent, or the body as bytes."""
        return self._request.data

    @property
    def headers(self) -> dict[str, str]:
        """A new dict."""
        return self._request.headers

    @property
    def id(self) -> str:
        """The requester's, or "<stream>-<epoch>-<sequence>" when it gave none."""
        return self._request.id

    @property
    def correlation_id(self) -> str:
        """As the requester gave it, else the same as id."""
        return self._request.correlation_id

    @property
    def content_type(self) -> str:
        """Of the body."""
        return self._request.content_type

    @property
    def service(self) -> str:
        """The name."""
        return self._request.service

    @property
    def redelivered(self) -> bool:
        """May have been handed to a replier before; only idempotent ones come twice."""
        return self._request.redelivered

    @property
    def idempotent(self) -> bool:
        """The requester allows that it runs more than once."""
        return self._request.idempotent

    @property
    def remaining(self) -> float | None:
        """Seconds that the requester still waits; None: for ever."""
        return self._request.remaining

    @property
    def cancelled(self) -> bool:
        """Nobody waits any more. Look at it during long work."""
        return self._request.cancelled

    @property
    def answered(self) -> bool:
        """True after reply() and fail()."""
        return self._request.answered

    def reply(
        self, data: Any, *, headers: Headers | None = None, content_type: Text | None = None
    ) -> None:
        """Answers; the last part. Returns at once."""
        self._request._reply(data, given(headers=headers, content_type=content_type))

    def reply_part(
        self, data: Any, *, headers: Headers | None = None, content_type: Text | None = None
    ) -> bool:
        """A part before the last one; waits while 1 MiB has not been taken.

        False when nobody waits for the reply any more.
        """
        return self._request._reply_part(data, given(headers=headers, content_type=content_type))

    def progress(self, data: Any) -> bool:
        """The same for a part, of bytes, that only tells how far the work is."""
        return self._request._progress(data)

    def fail(self, code: str, message: str = "") -> None:
        """Answers that it failed: RemoteError at the requester, with this code and message."""
        self._request._fail(code, message)


def answer(request: Request, result: Any) -> None:
    """What the handler returned is the reply, unless it replied itself."""
    if not request.answered:
        request.reply(result)


def answer_failure(request: Request, failure: BaseException) -> None:
    """Tells the requester, and the log."""
    logger.warning("%s: the handler failed", request.service, exc_info=failure)
    if not request.answered:
        text = str(failure).encode("utf-8", "backslashreplace").decode()
        request.fail(code_of(failure), text)


class Replier(_core.Replier):
    """Answers the requests of a service, competing with other repliers. Made by Peer.replier().

    Any number of threads may use it at once; each request goes to one of them.
    """

    def __init__(self, peer: Peer, service: str, options: dict[str, Any]) -> None:
        super().__init__(peer, service, options)
        self._service = service

    def receive(self, timeout: Duration | None = None) -> Request | None:
        """The next request; None when `timeout` passes, or at once after stop()."""
        request = self._receive(timeout)
        return Request(request) if request is not None else None

    def __iter__(self) -> Iterator[Request]:
        while (request := self.receive()) is not None:
            yield request
            del request  # unanswered, the requester hears of it before the next one is waited for

    def run(self, handler: Callable[[Request], Any], concurrency: int = 1) -> None:
        """Calls `handler` for every request until stop() or Peer.close(); its result is the reply.

        What it raises is a RemoteError at the requester, with the type's name as code, and logged.
        Blocks; n threads call the handler. In the main thread Ctrl-C and SIGTERM stop it: handlers
        finish, and it returns.
        """
        if inspect.iscoroutinefunction(handler):
            raise InvalidArgument("run: this handler is a coroutine function: use peermq.aio")
        self._set_concurrency(concurrency)
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for request in self:
                    try:
                        answer(request, handler(request))
                    except Closed:
                        raise
                    except Exception as failure:
                        answer_failure(request, failure)
                    del request
            except Closed:
                pass  # the peer closed while a handler worked: that is the end
            except BaseException as failure:
                failures.append(failure)
                self.stop()

        with stop_on_signals(self.stop):
            threads = [
                threading.Thread(target=work, name=f"peermq-{self._service}-{i}", daemon=True)
                for i in range(1, concurrency)
            ]
            for thread in threads:
                thread.start()
            work()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Takes no more requests, gives back what nobody has received, ends receive() and run()."""
        self._stop()

    @property
    def stopped(self) -> bool:
        """True after stop() and Peer.close()."""
        return self._stopped()

    def set_concurrency(self, concurrency: int) -> None:
        """Handlers at the same time, for callers with threads of their own; 1 to 1,024."""
        self._set_concurrency(concurrency)

    def stats(self) -> dict[str, Any]:
        """Numbers: ready, started, received, replies and so on."""
        return self._stats()

    @property
    def service(self) -> str:
        """The name."""
        return self._service

    def __repr__(self) -> str:
        return f"<peermq.Replier {self._service!r}>"
