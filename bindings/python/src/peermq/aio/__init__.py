"""peermq for asyncio: the names of peermq, with async and await.

No thread of its own: a peer wakes the event loop through an eventfd. Works with every loop that has
add_reader(), uvloop for one.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from .. import _core
from .._core import Delivery, Settlement
from .._message import Message, OwnedMessage
from ._peer import Peer
from ._pull import Pull, Subscriber
from ._push import Publisher, Push, Receipt
from ._service import PendingReply, Replier, Reply, Request, Requester
from ._waker import in_thread

__all__ = [
    "Delivery",
    "Message",
    "OwnedMessage",
    "Peer",
    "PendingReply",
    "Publisher",
    "Pull",
    "Push",
    "Receipt",
    "Replier",
    "Reply",
    "Request",
    "Requester",
    "Settlement",
    "Subscriber",
]


def _settled(self: _core.Settlement) -> Generator[Any, None, str]:
    """`await message.ack()`: waits for the producer's answer."""

    def step(left: float) -> str | None:
        state = self.wait(left)
        return None if state == "pending" else state

    async def settled() -> str:
        state = await in_thread(step, None)
        assert state is not None
        return state

    return settled().__await__()


setattr(Settlement, "__await__", _settled)
