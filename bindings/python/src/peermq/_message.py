"""Messages: what is sent by send_many(), what a Delivery keeps after take()."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ._core import Delivery

Text = str | bytes
Headers = Mapping[str, Text] | list[tuple[str, Text]]


@dataclass(frozen=True)
class Message:
    """What to send, with its properties; send() and post() take the same by keyword.

    `data` is sent as it is when it is bytes, bytearray or memoryview, else as msgpack. `key` binds
    messages together: those of one key are handed out one at a time and in order.
    """

    data: Any
    key: Text | None = None
    headers: Headers | None = None
    id: Text | None = None
    correlation_id: Text | None = None
    reply_to: Text | None = None
    content_type: Text | None = None


@dataclass(frozen=True)
class OwnedMessage:
    """A received message that owns its bytes."""

    body: bytes
    data: Any = field(repr=False)
    key: str
    headers: dict[str, str]
    id: str
    correlation_id: str
    reply_to: str
    content_type: str
    timestamp: datetime
    attempt: int
    redelivered: bool


def _take(self: Delivery) -> OwnedMessage:
    """Copies everything out, so that the batch that it came in can go."""
    return OwnedMessage(
        body=bytes(self.body),
        data=self.data,
        key=self.key,
        headers=self.headers,
        id=self.id,
        correlation_id=self.correlation_id,
        reply_to=self.reply_to,
        content_type=self.content_type,
        timestamp=self.timestamp,
        attempt=self.attempt,
        redelivered=self.redelivered,
    )


async def _enter(self: Delivery) -> Delivery:
    return self


async def _leave(self: Delivery, kind: Any, value: Any, trace: Any) -> None:
    self.__exit__(kind, value, trace)


setattr(Delivery, "take", _take)
setattr(Delivery, "__aenter__", _enter)
setattr(Delivery, "__aexit__", _leave)
