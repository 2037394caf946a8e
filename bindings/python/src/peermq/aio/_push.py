"""The sending side of a queue, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .. import _core, _push
from .._errors import Timeout
from .._message import Headers, Message, Text
from .._push import Until
from .._time import Duration, seconds
from ._waker import Waker, in_thread

if TYPE_CHECKING:
    from .._publisher import Publisher as SyncPublisher
    from .._push import Push as SyncPush

_ROOM_POLL = 0.1
"""Room may come from another queue or from the disk, which nobody announces to this one."""


class Receipts:
    """Tasks that wait for messages of one queue to come so far."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._waiting: list[tuple[_core.Receipt, bool, asyncio.Future[None]]] = []

    async def wait(self, receipt: _core.Receipt, acked: bool, timeout: Duration | None) -> None:
        """Raises TimeoutError, and what has become of the message."""
        if _reached(receipt, acked):
            return
        loop = self._waker.attach()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((receipt, acked, future))
        self._waker.wait(self._look)
        # It may have come between the question and our standing in the list.
        self._look()
        timer = None
        if timeout is not None:
            timer = loop.call_later(max(0.0, seconds(timeout)), _expire, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()

    def _look(self) -> bool:
        left = []
        for entry in self._waiting:
            receipt, acked, future = entry
            if future.done():
                continue
            try:
                if _reached(receipt, acked):
                    future.set_result(None)
                else:
                    left.append(entry)
            except Exception as failure:
                future.set_exception(failure)
        self._waiting = left
        return bool(left)


def _reached(receipt: _core.Receipt, acked: bool) -> bool:
    if receipt.acked if acked else receipt.done:
        return True
    if receipt._failed_acked if acked else receipt._failed:
        receipt._wait(0, "acked" if acked else "durable")  # raises why
    return False


def _expire(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


class Receipt:
    """Tells how far one posted message has come. Cheap to drop."""

    __slots__ = ("_receipt", "_receipts")

    def __init__(self, receipt: _core.Receipt, receipts: Receipts) -> None:
        self._receipt = receipt
        self._receipts = receipts

    async def wait(self, timeout: Duration | None = None, until: Until = "durable") -> bool:
        """Waits until the message has come that far and returns True. Raises Timeout and so on."""
        _push.check_until(until)
        try:
            await self._receipts.wait(self._receipt, until == "acked", timeout)
        except TimeoutError:
            raise Timeout(f"message {self.id} was not {until} after {timeout} s") from None
        return True

    @property
    def done(self) -> bool:
        """True once the message is durable."""
        return self._receipt.done

    @property
    def acked(self) -> bool:
        """True once a consumer has settled the message."""
        return self._receipt.acked

    @property
    def id(self) -> str:
        """The id under which consumers see the message unless it was sent with one of its own."""
        return self._receipt.id

    @property
    def sequence(self) -> int:
        """Position in the queue's stream, from 1."""
        return self._receipt.sequence


class Sender:
    """What Push and Publisher have in common. Whatever is posted goes by `_try` and `_post`."""

    def __init__(self, sender: SyncPush | SyncPublisher, waker: Waker, blocks: bool) -> None:
        self._sender = sender
        self._waker = waker
        self._blocks = blocks
        self._receipts = Receipts(waker)
        self._turn = asyncio.Lock()
        sender._notify(waker.notifier)

    async def _post(self, message: Message, *topic: Text) -> _core.Receipt:
        properties = _push.keywords(message)
        try_post: Callable[..., _core.Receipt | None] = self._sender.try_post
        if not self._turn.locked():
            receipt = try_post(*topic, message.data, **properties)
            if receipt is not None:
                return receipt
        async with self._turn:  # those that wait for room go in their order
            while True:
                receipt = try_post(*topic, message.data, **properties)
                if receipt is not None:
                    return receipt
                if not self._blocks:
                    post: Callable[..., _core.Receipt] = self._sender.post
                    return post(*topic, message.data, **properties)
                await self._change()

    async def _change(self) -> None:
        loop = self._waker.attach()
        future: asyncio.Future[None] = loop.create_future()

        def look() -> bool:
            if not future.done():
                future.set_result(None)
            return False

        self._waker.wait(look)
        timer = loop.call_later(_ROOM_POLL, look)
        try:
            await future
        finally:
            timer.cancel()

    async def _durable(self, message: Message, receipt: _core.Receipt) -> str:
        await self._receipts.wait(receipt, False, None)
        return _push.id_of(message, receipt)

    async def flush(self, timeout: Duration | None = None, until: Until = "durable") -> bool:
        """Waits until every message accepted so far has come that far and returns True."""
        _push.check_until(until)
        if not await in_thread(lambda left: self._sender._flush(left, until == "acked"), timeout):
            name = self._sender._name
            raise Timeout(f"{name}: not everything was {until} after {timeout} s")
        return True

    def stats(self) -> dict[str, Any]:
        """Numbers; durations in seconds."""
        return self._sender.stats()


class Push(Sender):
    """Shares messages out among the connected consumers of a queue. Made by Peer.push()."""

    def __init__(self, push: SyncPush, waker: Waker, blocks: bool) -> None:
        super().__init__(push, waker, blocks)
        self._push = push

    async def send(
        self,
        data: Any,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> str:
        """Appends a copy and returns its id once it is durable; tasks share a sync."""
        message = Message(data, key, headers, id, correlation_id, reply_to, content_type)
        return await self._durable(message, await self._post(message))

    async def post(
        self,
        data: Any,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> Receipt:
        """Appends a copy and returns its Receipt; waits for room only."""
        message = Message(data, key, headers, id, correlation_id, reply_to, content_type)
        return Receipt(await self._post(message), self._receipts)

    def try_post(self, data: Any, **properties: Any) -> Receipt | None:
        """Like post(), without waiting: None when there is no room now."""
        receipt = self._push.try_post(data, **properties)
        return Receipt(receipt, self._receipts) if receipt is not None else None

    async def send_many(self, messages: Iterable[Any]) -> list[str]:
        """Appends all, data or Message each, and returns their ids once all are durable."""
        ids = []
        last = None
        for one in messages:
            message = one if isinstance(one, Message) else Message(one)
            last = await self._post(message)
            ids.append(_push.id_of(message, last))
        if last is not None:
            await self._receipts.wait(last, False, None)
        return ids

    async def purge(self) -> int:
        """Removes every message that no consumer holds, durably; returns how many."""
        return await asyncio.get_running_loop().run_in_executor(None, self._push.purge)

    def pause(self) -> None:
        """Stops handing out; what consumers hold they may finish."""
        self._push.pause()

    def resume(self) -> None:
        """Ends a pause()."""
        self._push.resume()

    @property
    def queue(self) -> str:
        """The name."""
        return self._push.queue


class Publisher(Sender):
    """Publishes messages under topics. Made by Peer.publisher()."""

    def __init__(self, publisher: SyncPublisher, waker: Waker, blocks: bool) -> None:
        super().__init__(publisher, waker, blocks)
        self._publisher = publisher

    async def publish(
        self,
        topic: Text,
        data: Any,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> str:
        """Appends a copy under `topic` and returns its id once it is durable."""
        message = Message(data, key, headers, id, correlation_id, reply_to, content_type)
        return await self._durable(message, await self._post(message, topic))

    async def post(
        self,
        topic: Text,
        data: Any,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> Receipt:
        """Appends a copy under `topic` and returns its Receipt; waits for room only."""
        message = Message(data, key, headers, id, correlation_id, reply_to, content_type)
        return Receipt(await self._post(message, topic), self._receipts)

    def try_post(self, topic: Text, data: Any, **properties: Any) -> Receipt | None:
        """Like post(), without waiting: None where that would wait."""
        receipt = self._publisher.try_post(topic, data, **properties)
        return Receipt(receipt, self._receipts) if receipt is not None else None

    async def wait_for_subscribers(self, count: int = 1, timeout: Duration | None = None) -> bool:
        """Waits until so many subscriptions have a subscriber and returns True; raises Timeout."""
        step = self._publisher._wait_for_subscribers
        if not await in_thread(lambda left: step(count, left), timeout):
            raise Timeout(f"{self.name}: not {count} subscription(s) after {timeout} s")
        return True

    @property
    def name(self) -> str:
        """With which all its topics begin."""
        return self._publisher.name
