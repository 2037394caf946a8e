"""peermq: durable queues between peers, without a server."""

from __future__ import annotations

from . import _codec as _codec
from . import _core
from ._app import App
from ._core import Delivery, Receipt, Reply, Settlement
from ._errors import (
    Closed,
    Error,
    ErrorCode,
    InvalidArgument,
    Quota,
    RemoteError,
    SpoolError,
    Timeout,
)
from ._message import Message, OwnedMessage
from ._peer import Event, Peer
from ._publisher import Publisher
from ._pull import Pull
from ._push import Push
from ._replier import Replier, Request
from ._requester import PendingReply, Requester
from ._subscriber import Confirmation, Subscriber

__version__: str = _core._library_version()

__all__ = [
    "App",
    "Closed",
    "Confirmation",
    "Delivery",
    "Error",
    "ErrorCode",
    "Event",
    "InvalidArgument",
    "Message",
    "OwnedMessage",
    "Peer",
    "PendingReply",
    "Publisher",
    "Pull",
    "Push",
    "Quota",
    "Receipt",
    "RemoteError",
    "Replier",
    "Reply",
    "Request",
    "Requester",
    "Settlement",
    "SpoolError",
    "Subscriber",
    "Timeout",
    "__version__",
]
