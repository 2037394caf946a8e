"""Types of the extension; names with an underscore are for the package alone."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, Self



from ._message import Headers, OwnedMessage, Text

_Duration = float | timedelta
SettlementState = Literal["pending", "accepted", "refused", "unknown"]

class Receipt:
    """Tells how far one posted message has come. Cheap to drop."""

    @property
    def done(self) -> bool:
        """True once the message is durable."""
    @property
    def acked(self) -> bool:
        """True once a consumer has settled the message."""
    @property
    def id(self) -> str:
        """The id under which consumers see it unless it was sent with one of its own."""
    @property
    def sequence(self) -> int:
        """Position in the queue's stream, from 1."""
    def wait(
        self, timeout: _Duration | None = None, until: Literal["durable", "acked"] = "durable"
    ) -> bool:
        """Waits until the message has come that far and returns True.

        Raises Timeout when `timeout` seconds pass first; SpoolError (it could not be stored),
        Closed.
        """
    def _wait(self, timeout: _Duration | None, until: str, /) -> bool: ...
    @property
    def _failed(self) -> bool: ...
    @property
    def _failed_acked(self) -> bool: ...

class Settlement:
    """The fate of an ack or its kin. May be dropped."""

    @property
    def state(self) -> SettlementState:
        """"refused": it came too late; "unknown": nobody can say any more."""
    def wait(self, timeout: _Duration | None = None) -> SettlementState:
        """Waits for the producer's answer; "pending" when `timeout` seconds pass first."""
    def __await__(self) -> Generator[Any, None, SettlementState]:
        """In asyncio: waits for the producer's answer."""

class Delivery:
    """A message in the hands of this process, to be settled once.

    `with message:` acks at the end, nacks when the block raises, and gives the message back
    (release) when the block is interrupted by KeyboardInterrupt, SystemExit or a cancelled task.
    One that is dropped unsettled counts as nacked. Made by Pull, not by hand.
    """

    @property
    def body(self) -> memoryview:
        """The bytes as they came, read-only, without a copy."""
    @property
    def data(self) -> Any:
        """The object that was sent, or the body as bytes."""
    @property
    def id(self) -> str:
        """The sender's id, or "<stream>-<epoch>-<sequence>" when it gave none."""
    @property
    def key(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def attempt(self) -> int:
        """1 + counted failures before."""
    @property
    def redelivered(self) -> bool:
        """True when it may have been handed out before; never False when it was."""
    @property
    def settled(self) -> bool: ...
    @property
    def queue(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def topic(self) -> str:
        """What it was published under; empty in a queue."""
    @property
    def timestamp(self) -> datetime:
        """When it was posted, by the producer's clock."""
    @property
    def correlation_id(self) -> str: ...
    @property
    def reply_to(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    def ack(self) -> Settlement:
        """Done: never again. Returns at once. Raises Error invalid_state when settled already."""
    def nack(self, delay: _Duration | None = None, reason: Text | None = None) -> Settlement:
        """Failed: counts, comes again after `delay` seconds, or after the queue's back-off."""
    def release(self) -> Settlement:
        """Given back: does not count, comes again at once, perhaps elsewhere."""
    def reject(self, reason: Text) -> Settlement:
        """Never to be handled: to the dead letters. Discards what is a dead letter."""
    def take(self) -> OwnedMessage:
        """Copies everything out."""
    def __enter__(self) -> Delivery: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> Literal[False]: ...
    async def __aenter__(self) -> Delivery: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Notifier:
    """A descriptor that becomes readable when something has changed; see notifier.hpp."""

    def __init__(self) -> None: ...
    def fileno(self) -> int: ...
    def reset(self) -> None: ...
    def notify(self) -> None: ...

class Peer:
    def __init__(self, options: dict[str, Any], /) -> None: ...
    def _bind(self, endpoint: str, /) -> str: ...
    def _connect(self, endpoint: str, /) -> None: ...
    def _close(self, timeout: _Duration, /) -> bool: ...
    def _id(self) -> str: ...
    def _stats(self) -> dict[str, Any]: ...

class _Sender:
    def _flush(self, timeout: _Duration | None, acked: bool, /) -> bool: ...
    def _notify(self, notifier: Notifier, /) -> None: ...
    def _stats(self) -> dict[str, Any]: ...

class Push(_Sender):
    def __init__(self, peer: Peer, queue: str, options: dict[str, Any], /) -> None: ...
    def send(
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
        """Appends a copy and returns its id once it is durable (callers share a sync).

        Blocks for the disk, and where post() waits. Raises InvalidArgument (fix the call), Quota
        (overflow="error"), Closed, SpoolError.
        """
    def post(
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
        """Appends a copy and returns its Receipt without waiting for the disk.

        Waits while the quota is reached, unless overflow says otherwise. Raises like send().
        """
    def try_post(
        self,
        data: Any,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> Receipt | None:
        """Like post(), but None, under any overflow, when there is no room now."""
    def _purge(self) -> int: ...
    def _pause(self) -> None: ...
    def _resume(self) -> None: ...

class Publisher(_Sender):
    def __init__(self, peer: Peer, name: str, options: dict[str, Any], /) -> None: ...
    def publish(
        self,
        topic: Text,
        data: Any,
        /,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> str:
        """Appends a copy under `topic` and returns its id once it is durable; see Push.send()."""
    def post(
        self,
        topic: Text,
        data: Any,
        /,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> Receipt:
        """The same without waiting for the disk. Waits while a subscription that blocks is behind."""
    def try_post(
        self,
        topic: Text,
        data: Any,
        /,
        *,
        key: Text | None = None,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        reply_to: Text | None = None,
        content_type: Text | None = None,
    ) -> Receipt | None:
        """Like post(), but None where that would wait."""
    def _wait_for_subscribers(self, count: int, timeout: _Duration | None, /) -> bool: ...

class _Receiver:
    def receive(self, timeout: _Duration | None = None) -> Delivery | None:
        """The next message; None when `timeout` seconds pass, or at once after stop().

        With 0, what has arrived already.
        """
    def __iter__(self) -> Self: ...
    def __next__(self) -> Delivery: ...
    def _stop(self) -> None: ...
    def _stopped(self) -> bool: ...
    def _set_concurrency(self, concurrency: int, /) -> None: ...
    def _notify(self, notifier: Notifier, /) -> None: ...
    def _on_refused(self, callback: Callable[[str], None] | None, /) -> None: ...
    def _stats(self) -> dict[str, Any]: ...

class Pull(_Receiver):
    def __init__(self, peer: Peer, queue: str, options: dict[str, Any], /) -> None: ...

class Subscriber(_Receiver):
    def __init__(self, peer: Peer, pattern: str, options: dict[str, Any], /) -> None: ...
    def _subscribe(self, pattern: str, /) -> tuple[bool, int, list[str]]: ...
    def _unsubscribe(self, pattern: str, /) -> tuple[bool, int, list[str]]: ...
    def _patterns(self) -> list[str]: ...
    def _publishers(self) -> int: ...
    def _wait_for_publishers(self, count: int, timeout: _Duration | None, /) -> bool: ...
    def _missed(self) -> int: ...

class Reply:
    """A reply, or one part of a longer one."""

    @property
    def body(self) -> memoryview:
        """The bytes as they came."""
    @property
    def data(self) -> Any:
        """The object that was sent, or the body as bytes."""
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def content_type(self) -> str: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def part(self) -> int:
        """Counting from 0."""
    @property
    def is_last(self) -> bool: ...
    @property
    def is_progress(self) -> bool:
        """Tells how far the work is, and is no result."""

class PendingReply:
    @property
    def done(self) -> bool: ...
    @property
    def correlation_id(self) -> str: ...
    def _wait(self, timeout: _Duration | None, /) -> bool: ...
    def _get(self) -> Reply: ...
    def _next(self, timeout: _Duration | None, /) -> Reply | None: ...
    def _cancel(self) -> bool: ...

class Requester:
    def __init__(self, peer: Peer, service: str, options: dict[str, Any], /) -> None: ...
    def _request(
        self,
        data: Any,
        properties: dict[str, Any],
        timeout: _Duration | None,
        idempotent: bool,
        /,
    ) -> PendingReply: ...
    def _receive(self, timeout: _Duration | None, /) -> PendingReply | None: ...
    def _unanswered(self) -> list[str]: ...
    def _notify(self, notifier: Notifier, /) -> None: ...
    def _stats(self) -> dict[str, Any]: ...

class Request:
    @property
    def body(self) -> memoryview: ...
    @property
    def data(self) -> Any: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def id(self) -> str: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def redelivered(self) -> bool: ...
    @property
    def idempotent(self) -> bool: ...
    @property
    def remaining(self) -> float | None: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def answered(self) -> bool: ...
    def _reply(self, data: Any, properties: dict[str, Any], /) -> None: ...
    def _reply_part(self, data: Any, properties: dict[str, Any], /) -> bool: ...
    def _progress(self, data: Any, /) -> bool: ...
    def _fail(self, code: str, message: str, /) -> None: ...

class Replier:
    def __init__(self, peer: Peer, service: str, options: dict[str, Any], /) -> None: ...
    def _receive(self, timeout: _Duration | None, /) -> Request | None: ...
    def _stop(self) -> None: ...
    def _stopped(self) -> bool: ...
    def _set_concurrency(self, concurrency: int, /) -> None: ...
    def _notify(self, notifier: Notifier, /) -> None: ...
    def _stats(self) -> dict[str, Any]: ...

def _done_indices(pending: list[PendingReply], /) -> list[int]: ...
def pack(value: Any, /) -> bytes: ...
def unpack(data: bytes, /) -> Any: ...
def _set_error_maker(maker: Callable[..., Exception], /) -> None: ...
def _set_pack_hook(hook: Callable[[Any], Any], /) -> None: ...
def _begin_leaving() -> None: ...
def _leave_interpreter() -> None: ...
def _after_fork_in_child() -> None: ...
def _library_version() -> str: ...
