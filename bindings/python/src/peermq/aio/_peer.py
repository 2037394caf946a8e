"""A process taking part, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from types import TracebackType
from typing import Any

from .. import _peer
from .._time import Duration, seconds
from ._pull import Pull, Subscriber
from ._push import Publisher, Push
from ._service import Replier, Requester
from ._waker import Waker


class Endpoint(str):
    """What bind() returns; it may be awaited, too."""

    def __await__(self) -> Generator[Any, None, str]:
        return str(self)
        yield


class Done:
    """What connect() returns; it may be awaited, and need not."""

    def __await__(self) -> Generator[Any, None, None]:
        return None
        yield


class Peer:
    """A peermq.Peer for one event loop; its options are those of peermq.Peer.

    What never waits is an ordinary method, what waits a coroutine. on_event and log are called by
    another thread.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._peer = _peer.Peer(*arguments, **options)
        self._waker = Waker()

    def bind(self, endpoint: str) -> Endpoint:
        """Listens; returns the endpoint as others must connect to it."""
        return Endpoint(self._peer.bind(endpoint))

    def connect(self, endpoint: str) -> Done:
        """Connects now or as soon as someone listens there."""
        self._peer.connect(endpoint)
        return Done()

    def push(self, queue: str, **options: Any) -> Push:
        """The sending side of a queue; options as peermq.Peer.push()."""
        blocks = options.get("overflow") in (None, "block")
        return Push(self._peer.push(queue, **options), self._waker, blocks)

    def pull(self, queue: str, **options: Any) -> Pull:
        """The receiving side of a queue; options as peermq.Peer.pull()."""
        return Pull(self._peer.pull(queue, **options), self._waker)

    def publisher(self, name: str, **options: Any) -> Publisher:
        """Publishes topics that begin with `name`; options as peermq.Peer.publisher()."""
        blocks = options.get("overflow") in (None, "block")
        return Publisher(self._peer.publisher(name, **options), self._waker, blocks)

    async def subscriber(self, pattern: str, **options: Any) -> Subscriber:
        """Subscribes; options as peermq.Peer.subscriber(). Waits until linked peers confirmed."""
        loop = asyncio.get_running_loop()
        subscriber = await loop.run_in_executor(
            None, lambda: self._peer.subscriber(pattern, **options)
        )
        return Subscriber(subscriber, self._waker)

    def requester(self, service: str, **options: Any) -> Requester:
        """The asking side of a service; options as peermq.Peer.requester()."""
        return Requester(self._peer.requester(service, **options), self._waker)

    def replier(self, service: str, **options: Any) -> Replier:
        """The answering side of a service; options as peermq.Peer.replier()."""
        return Replier(self._peer.replier(service, **options), self._waker)

    async def close(self, timeout: Duration | None = None) -> bool:
        """Drains and ends, as peermq.Peer.close(); goes on when the waiting is cancelled."""
        loop = asyncio.get_running_loop()
        limit = None if timeout is None else seconds(timeout)
        closed = await loop.run_in_executor(None, self._peer.close, limit)
        self._waker.detach()
        return closed

    async def __aenter__(self) -> Peer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def id(self) -> str:
        """32 hexadecimal digits; kept in the spool, else new per Peer."""
        return self._peer.id

    def stats(self) -> dict[str, Any]:
        """Numbers of the whole peer."""
        return self._peer.stats()
