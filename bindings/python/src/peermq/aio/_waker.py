"""How an event loop learns that a peer has something for it: one eventfd per peer and loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from .. import _core
from .._errors import Error, ErrorCode
from .._time import Duration, seconds

T = TypeVar("T")

_SLICE = 0.5
"""A thread that waits for a cancelled task looks this often."""


class Waker:
    """Calls whoever waits when the eventfd is readable.

    What changes after reset() makes it readable again, and everybody looks after reset(): nothing
    is missed. Used by one loop at a time.
    """

    def __init__(self) -> None:
        self.notifier = _core.Notifier()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks: dict[Callable[[], bool], None] = {}

    def attach(self) -> asyncio.AbstractEventLoop:
        """To the loop that runs now."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                raise Error(
                    "this aio.Peer is used by another event loop: make one per loop",
                    code=ErrorCode.invalid_state,
                )
            self._looks.clear()  # their loop is gone
            self._loop = loop
            loop.add_reader(self.notifier.fileno(), self._wake)
        return loop

    def detach(self) -> None:
        """Lets go of the loop, after a last look: what ended just now may not have woken it yet."""
        self._wake()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self.notifier.fileno())
        self._loop = None

    def wait(self, look: Callable[[], bool]) -> None:
        """Has `look` called at every change until it returns False: nobody waits any more."""
        self._looks[look] = None

    def _wake(self) -> None:
        self.notifier.reset()
        for look in tuple(self._looks):
            if not look():
                self._looks.pop(look, None)


async def in_thread(step: Callable[[float], T | None], timeout: Duration | None) -> T | None:
    """Calls `step` with a time to wait in a thread, until it returns something or time is over."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + seconds(timeout)
    while True:
        left = _SLICE if deadline is None else deadline - loop.time()
        result = await loop.run_in_executor(None, step, max(0.0, min(left, _SLICE)))
        if result or (deadline is not None and loop.time() >= deadline):
            return result
