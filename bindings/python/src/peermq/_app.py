"""Workers as functions: what is sent by fn.send() is done by a process that runs the app."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from . import _core
from ._arguments import Arguments
from ._errors import InvalidArgument
from ._peer import Peer
from ._push import Push
from ._receiver import describe, logger
from ._time import Duration, seconds

P = ParamSpec("P")
R = TypeVar("R")

_CALL_HEADER = "call"
"""Says that the data are arguments; messages of others are the one argument."""


class Worker(Generic[P, R]):
    """A function that a worker process runs. Calling it calls the function, here and now."""

    def __init__(
        self,
        app: App,
        function: Callable[P, R],
        queue: str,
        retries: int,
        timeout: float | None,
        concurrency: int,
        options: dict[str, Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self._app = app
        self._function = function
        self._arguments = Arguments(function)
        self._options = options
        self._push: tuple[Peer, Push] | None = None
        self._lock = threading.Lock()
        self.queue = queue
        self.retries = retries
        self.timeout = timeout
        self.concurrency = concurrency
        self.is_async = inspect.iscoroutinefunction(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._function(*args, **kwargs)

    def send(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Enqueues the call; returns the message's id once it is durable.

        Raises InvalidArgument when the arguments do not fit the function or cannot be encoded.
        """
        return self._sender().send(self._pack(*args, **kwargs), headers={_CALL_HEADER: "1"})

    def post(self, *args: P.args, **kwargs: P.kwargs) -> _core.Receipt:
        """The same without waiting for the disk; returns the receipt."""
        return self._sender().post(self._pack(*args, **kwargs), headers={_CALL_HEADER: "1"})

    def _pack(self, *args: P.args, **kwargs: P.kwargs) -> list[Any]:
        self._arguments.bind(args, kwargs)
        return [args, kwargs]

    def _sender(self) -> Push:
        peer = self._app.peer
        with self._lock:
            if self._push is None or self._push[0] is not peer:
                options = {"max_attempts": self.retries + 1, **self._options}
                self._push = (peer, peer.push(self.queue, **options))
            return self._push[1]

    def stats(self) -> dict[str, Any]:
        """Of the queue, as this process sends to it."""
        return self._sender().stats()

    # --- in the worker

    def begin(self, message: _core.Delivery) -> inspect.BoundArguments | None:
        """The arguments; None when it was rejected, since they never will fit."""
        try:
            data = message.data
            args, kwargs = data if _CALL_HEADER in message.headers else ([data], {})
            return self._arguments.decode(args, kwargs)
        except (InvalidArgument, ValueError, TypeError) as failure:
            logger.error("%s: rejected: %s", self.queue, failure)
            message.reject(describe(failure))
            return None

    def invoke(self, bound: inspect.BoundArguments) -> R:
        """Calls the function."""
        return self._function(*bound.args, **bound.kwargs)

    def failed(self, message: _core.Delivery, failure: BaseException) -> None:
        """Comes again, or goes to the dead letters after so many retries."""
        reason = describe(failure)
        logger.warning("%s: attempt %d failed", self.queue, message.attempt, exc_info=failure)
        if message.settled:
            return
        if message.attempt > self.retries:
            message.reject(reason)
        else:
            message.nack(reason=reason)


class App:
    """Functions that worker processes run, by the queues that they take their calls from.

    name: of the app; also of the default endpoint, a socket of this user on this host, which the one
    sending process binds. bind: where senders listen; connect: where workers find them, by default
    the same. spool: of the senders; None: memory. Other options are those of Peer.
    """

    _all: weakref.WeakSet[App] = weakref.WeakSet()

    def __init__(
        self,
        name: str,
        *,
        bind: str | None = None,
        connect: str | Iterable[str] | None = None,
        spool: str | os.PathLike[str] | None = None,
        **peer_options: Any,
    ) -> None:
        self.name = name
        self.workers: dict[str, Worker[..., Any]] = {}
        self._bind = bind
        self._connect = [connect] if isinstance(connect, str) else list(connect or [])
        self._options = {"spool": spool, **peer_options}
        self._peer: Peer | None = None
        self._lock = threading.Lock()
        App._all.add(self)

    @property
    def endpoint(self) -> str:
        """Where senders listen."""
        return self._bind or default_endpoint(self.name)

    @property
    def endpoints(self) -> list[str]:
        """Where workers connect."""
        return self._connect or [self.endpoint]

    @property
    def peer(self) -> Peer:
        """The sending peer of this process, opened and bound at the first use."""
        with self._lock:
            if self._peer is None:
                peer = Peer(**self._options)
                try:
                    peer.bind(self.endpoint)
                except BaseException:
                    peer.close(0)
                    raise
                self._peer = peer
            return self._peer

    def close(self, timeout: Duration | None = None) -> bool:
        """Closes the sending peer; the next send opens a new one."""
        with self._lock:
            peer, self._peer = self._peer, None
        return peer.close(timeout) if peer is not None else True

    def worker(
        self,
        queue: str,
        *,
        retries: int = 9,
        timeout: Duration | None = None,
        concurrency: int = 1,
        **push_options: Any,
    ) -> Callable[[Callable[P, R]], Worker[P, R]]:
        """Makes a function the worker of a queue.

        retries: after so many the call goes to "<queue>.dead". timeout: seconds for one call; then
        it has failed: a coroutine is cancelled, TimeoutError is raised inside a function as soon as
        it runs Python code. concurrency: calls at the same time, per process. What else is given
        goes to Peer.push().
        """
        if retries < 0 or concurrency < 1 or (timeout is not None and seconds(timeout) <= 0):
            raise InvalidArgument("worker: retries from 0, concurrency from 1, a timeout above 0")
        if queue in self.workers:
            raise InvalidArgument(f'queue "{queue}" of app "{self.name}" has a worker already')

        def decorate(function: Callable[P, R]) -> Worker[P, R]:
            limit = None if timeout is None else seconds(timeout)
            made = Worker(self, function, queue, retries, limit, concurrency, push_options)
            self.workers[queue] = made
            return made

        return decorate

    def __repr__(self) -> str:
        return f"<peermq.App {self.name!r} {sorted(self.workers)}>"


def default_endpoint(name: str) -> str:
    """A socket that only this user can reach."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    directory = Path(runtime) if runtime else Path(tempfile.gettempdir()) / f"peermq-{os.getuid()}"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise InvalidArgument(f"{directory} belongs to somebody else: give App(bind=...)")
    return f"ipc://{directory}/peermq-{name}.sock"


async def run_coroutine(worker: Worker[..., Any], message: _core.Delivery) -> None:
    """One call of a coroutine function, to its end."""
    bound = worker.begin(message)
    if bound is None:
        return
    try:
        await asyncio.wait_for(worker.invoke(bound), worker.timeout)
    except asyncio.TimeoutError:
        worker.failed(message, TimeoutError(f"not done after {worker.timeout} s"))
    except Exception as failure:
        worker.failed(message, failure)
    except BaseException:
        if not message.settled:
            message.release()
        raise
    else:
        if not message.settled:
            message.ack()
