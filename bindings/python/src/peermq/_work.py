"""An app's workers in this process: threads for functions, one event loop for coroutines."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from typing import Any

from . import _core
from ._app import App, Worker, run_coroutine
from ._errors import Closed
from ._peer import Peer
from ._pull import Pull


class _Overtime(BaseException):
    """Raised by the watchdog inside a function that takes too long."""


class Watchdog:
    """Fails the calls of functions that take too long, and interrupts them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[int, tuple[float, Worker[..., Any], _core.Delivery]] = {}
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, name="peermq-watchdog", daemon=True)
        self._thread.start()

    def enter(self, worker: Worker[..., Any], message: _core.Delivery) -> None:
        """The calling thread begins."""
        assert worker.timeout is not None
        with self._changed:
            entry = (time.monotonic() + worker.timeout, worker, message)
            self._running[threading.get_ident()] = entry
            self._changed.notify()

    def leave(self) -> bool:
        """It has ended; False when that was too late."""
        thread = threading.get_ident()
        with self._changed:
            in_time = self._running.pop(thread, None) is not None
            if not in_time:
                # What was not raised yet must not be raised in what comes next.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
        return in_time

    def stop(self) -> None:
        """Nobody is inside any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                for thread, (deadline, worker, message) in list(self._running.items()):
                    if now < deadline:
                        continue
                    del self._running[thread]
                    failure = TimeoutError(f"not done after {worker.timeout} s")
                    worker.failed(message, failure)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread), ctypes.py_object(_Overtime)
                    )
                nearest = min((entry[0] for entry in self._running.values()), default=None)
                self._changed.wait(None if nearest is None else max(0.0, nearest - now))


class Workers:
    """Everything that runs an app's workers; stop() drains, join() waits for the end."""

    def __init__(self, app: App, peer: Peer, queues: list[str] | None = None) -> None:
        self._watchdog = Watchdog()
        self._failures: list[BaseException] = []
        self._pulls: list[Pull] = []
        self._threads: list[threading.Thread] = []
        coroutines = []
        for worker in app.workers.values():
            if queues is not None and worker.queue not in queues:
                continue
            pull = peer.pull(worker.queue, prefetch=worker.concurrency * 2,
                             concurrency=worker.concurrency)  # fmt: skip
            self._pulls.append(pull)
            if worker.is_async:
                coroutines.append((worker, pull))
                continue
            for i in range(worker.concurrency):
                self._start(f"{worker.queue}-{i}", self._run_functions, worker, pull)
        if coroutines:
            self._start("loop", self._run_coroutines, coroutines)

    def _start(self, name: str, target: Any, *arguments: Any) -> None:
        def run() -> None:
            try:
                target(*arguments)
            except Closed:
                pass  # the peer closed while a call was under way
            except BaseException as failure:
                self._failures.append(failure)
                self.stop()

        thread = threading.Thread(target=run, name=f"peermq-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run_functions(self, worker: Worker[..., Any], pull: Pull) -> None:
        for message in pull:
            self._run_function(worker, message)
            del message

    def _run_function(self, worker: Worker[..., Any], message: _core.Delivery) -> None:
        bound = worker.begin(message)
        if bound is None:
            return
        watched = worker.timeout is not None
        try:
            if watched:
                self._watchdog.enter(worker, message)
            try:
                worker.invoke(bound)
            finally:
                if watched:
                    self._watchdog.leave()
        except _Overtime:
            self._watchdog.leave()  # it may have been raised on the way out
        except Exception as failure:
            worker.failed(message, failure)
        except BaseException:
            if not message.settled:
                message.release()
            raise
        else:
            if not message.settled:
                message.ack()

    def _run_coroutines(self, coroutines: list[tuple[Worker[..., Any], Pull]]) -> None:
        from .aio._pull import Pull as AioPull
        from .aio._waker import Waker

        async def work(worker: Worker[..., Any], pull: AioPull) -> None:
            async for message in pull:
                await run_coroutine(worker, message)
                del message

        async def main() -> None:
            waker = Waker()
            tasks = []
            for worker, pull in coroutines:
                receiver = AioPull(pull, waker)
                tasks += [work(worker, receiver) for _ in range(worker.concurrency)]
            try:
                await asyncio.gather(*tasks)
            finally:
                waker.detach()

        asyncio.run(main())

    def stop(self) -> None:
        """Takes no more calls; those under way are finished."""
        for pull in self._pulls:
            pull.stop()

    def join(self) -> None:
        """Until all have ended; raises what ended one of them."""
        for thread in self._threads:
            thread.join()
        self._watchdog.stop()
        if self._failures:
            raise self._failures[0]
