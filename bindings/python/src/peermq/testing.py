"""For tests of programs: apps that run without sockets and without a spool."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ._app import App
from ._errors import Error, Timeout
from ._peer import Peer
from ._time import Duration, seconds
from ._work import Workers

__all__ = ["Running", "memory"]

_numbers = itertools.count(1)


class Running:
    """Apps whose workers run in this process."""

    def __init__(self, apps: list[App]) -> None:
        self._apps = apps

    def drain(self, timeout: Duration = 10.0) -> None:
        """Waits until every call sent so far is done or has gone to the dead letters.

        Raises Timeout when `timeout` seconds pass first, for example while a retry waits.
        """
        deadline = time.monotonic() + seconds(timeout)
        for app in self._apps:
            for worker in app.workers.values():
                worker._sender().flush(max(0.0, deadline - time.monotonic()), until="acked")

    def dead(self, queue: str) -> int:
        """How many calls of this queue have gone to the dead letters."""
        for app in self._apps:
            if queue in app.workers:
                return int(app.workers[queue].stats()["dead"])
        raise Error(f'no app here has a worker for queue "{queue}"', code="not_found")


@contextmanager
def memory(*apps: App) -> Iterator[Running]:
    """Runs the workers of these apps, by default of all, in threads of this process.

    Inside the block fn.send() goes to them, through memory; at its end what is under way is
    finished. Everything else is as in production: encoding, retries, time-outs, dead letters.
    """
    chosen = list(apps) if apps else list(App._all)
    ended: list[tuple[App, Peer, Peer, Workers]] = []
    try:
        for app in chosen:
            sender = Peer(close_timeout=1.0, log=None)
            endpoint = sender.bind(f"inproc://peermq-testing-{next(_numbers)}")
            receiver = Peer(close_timeout=1.0, log=None)
            receiver.connect(endpoint)
            app.close()
            app._peer = sender
            ended.append((app, sender, receiver, Workers(app, receiver)))
        yield Running(chosen)
    finally:
        for app, sender, receiver, workers in ended:
            workers.stop()
            workers.join()
            receiver.close()
            app._peer = None
            sender.close(0)
