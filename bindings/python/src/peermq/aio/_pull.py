"""The receiving side of a queue and of topics, for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .._errors import Timeout
from .._subscriber import Confirmation
from .._time import Duration
from ._receiver import Receiver
from ._waker import Waker, in_thread

if TYPE_CHECKING:
    from .._pull import Pull as SyncPull
    from .._subscriber import Subscriber as SyncSubscriber


class Pull(Receiver):
    """Receives messages of a queue, competing with other consumers. Made by Peer.pull()."""

    def __init__(self, pull: SyncPull, waker: Waker) -> None:
        super().__init__(pull, waker)
        self._pull = pull

    @property
    def queue(self) -> str:
        """The name."""
        return self._pull.queue


class Subscriber(Receiver):
    """Receives what is published under matching topics. Made by `await Peer.subscriber()`."""

    def __init__(self, subscriber: SyncSubscriber, waker: Waker) -> None:
        super().__init__(subscriber, waker)
        self._subscriber = subscriber

    async def subscribe(self, pattern: str) -> Confirmation:
        """Adds a pattern and waits until every linked peer has confirmed, or confirm_timeout."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._subscriber.subscribe, pattern)

    async def unsubscribe(self, pattern: str) -> Confirmation:
        """Removes a pattern, likewise."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._subscriber.unsubscribe, pattern)

    async def wait_for_publishers(self, count: int = 1, timeout: Duration | None = None) -> bool:
        """Waits for at least so many and returns True; raises Timeout."""
        step = self._subscriber._wait_for_publishers
        if not await in_thread(lambda left: step(count, left), timeout):
            raise Timeout(f"{self.name}: not {count} publisher(s) after {timeout} s")
        return True

    @property
    def patterns(self) -> list[str]:
        """Those of now."""
        return self._subscriber.patterns

    @property
    def publishers(self) -> int:
        """How many publishers have confirmed and have topics that can match."""
        return self._subscriber.publishers

    @property
    def missed(self) -> int:
        """Messages that this subscription has missed since this object was made."""
        return self._subscriber.missed

    @property
    def name(self) -> str:
        """Of a durable subscription; empty for a live one."""
        return self._subscriber.name
