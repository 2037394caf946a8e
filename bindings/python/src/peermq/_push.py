"""The sending side of a queue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from ._errors import InvalidArgument, Timeout
from ._message import Message
from ._time import Duration

if TYPE_CHECKING:
    from ._peer import Peer

    _Base = _core._Sender
else:
    _Base = object

Durability = Literal["disk", "os", "memory"]
Overflow = Literal["block", "error", "drop_oldest"]
Until = Literal["durable", "acked"]


def _wait(self: _core.Receipt, timeout: Duration | None = None, until: Until = "durable") -> bool:
    """Waits until the message has come that far and returns True.

    Raises Timeout when `timeout` seconds pass first; SpoolError (it could not be stored), Closed.
    """
    if not self._wait(timeout, until):
        raise Timeout(f"message {self.id} was not {until} after {timeout} s")
    return True


setattr(_core.Receipt, "wait", _wait)


def keywords(message: Message) -> dict[str, Any]:
    """The properties of a Message as send() takes them."""
    return {
        "key": message.key,
        "headers": message.headers,
        "id": message.id,
        "correlation_id": message.correlation_id,
        "reply_to": message.reply_to,
        "content_type": message.content_type,
    }


def check_until(until: str) -> None:
    """Raises InvalidArgument."""
    if until not in ("durable", "acked"):
        raise InvalidArgument(f'until: "durable" or "acked" are possible, not {until!r}')


def id_of(message: Message, receipt: _core.Receipt) -> str:
    """Under which consumers see it."""
    if not message.id:
        return receipt.id
    return message.id if isinstance(message.id, str) else message.id.decode(errors="surrogateescape")


def post_each(push: _core.Push, messages: Iterable[Any]) -> tuple[list[str], _core.Receipt | None]:
    """Posts all; their ids, and the receipt of the last."""
    ids: list[str] = []
    receipt: _core.Receipt | None = None
    for one in messages:
        if isinstance(one, Message):
            receipt = push.post(one.data, **keywords(one))
            ids.append(id_of(one, receipt))
        else:
            receipt = push.post(one)
            ids.append(receipt.id)
    return ids, receipt


class Sender(_Base):
    """What Push and Publisher have in common."""

    _name: str

    def flush(self, timeout: Duration | None = None, until: Until = "durable") -> bool:
        """Waits until every message accepted so far has come that far and returns True.

        Raises Timeout when `timeout` seconds pass first, and the first failure that no receipt was
        asked about.
        """
        check_until(until)
        if not self._flush(timeout, until == "acked"):
            raise Timeout(f"{self._name}: not everything was {until} after {timeout} s")
        return True

    def stats(self) -> dict[str, Any]:
        """Numbers: depth, in_flight, acked and so on; durations in seconds."""
        return self._stats()


class Push(_core.Push, Sender):
    """Shares messages out among the connected consumers of a queue, each message to one of them.

    Made by Peer.push(). Any number of threads may use it at once. The messages belong to the Peer;
    after Peer.close() every call raises Closed.

    send(), post() and try_post() take the data and, by keyword, key, headers, id, correlation_id,
    reply_to and content_type. Data is sent as it is when it is bytes, bytearray or memoryview, else
    as msgpack.
    """

    def __init__(self, peer: Peer, queue: str, options: dict[str, Any]) -> None:
        super().__init__(peer, queue, options)
        self._name = queue

    def send_many(self, messages: Iterable[Any]) -> list[str]:
        """Appends all, data or Message each, and returns their ids once all are durable.

        One sync for many. Raises like send(); then those before the failing one are accepted.
        """
        ids, last = post_each(self, messages)
        if last is not None:
            last.wait()
        return ids

    def purge(self) -> int:
        """Removes every message that no consumer holds, durably; returns how many."""
        return self._purge()

    def pause(self) -> None:
        """Stops handing out; what consumers hold they may finish. Not kept over restarts."""
        self._pause()

    def resume(self) -> None:
        """Ends a pause()."""
        self._resume()

    @property
    def queue(self) -> str:
        """The name."""
        return self._name

    def __repr__(self) -> str:
        return f"<peermq.Push {self._name!r}>"
