"""The asking side of a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import Reply
from ._errors import Timeout
from ._message import Headers, Text
from ._time import Duration

if TYPE_CHECKING:
    from ._peer import Peer


def given(**properties: Any) -> dict[str, Any]:
    """Without those that were left out."""
    return {name: value for name, value in properties.items() if value is not None}


class PendingReply:
    """The reply to come. Dropped before the reply is taken, it cancels the request."""

    def __init__(self, pending: _core.PendingReply) -> None:
        self._pending = pending

    def get(self, timeout: Duration | None = None) -> Reply:
        """Waits for the last part and returns it, once.

        Raises Timeout when `timeout` seconds pass first (the request goes on), or when the request's
        own deadline is over; RemoteError; Error with the codes outcome_unknown and cancelled;
        Closed.
        """
        self.wait(timeout)
        return self._pending._get()

    def wait(self, timeout: Duration | None = None) -> bool:
        """Waits until the reply has come or the request has failed; True, or raises Timeout."""
        if not self._pending._wait(timeout):
            raise Timeout(f"no reply after {timeout} s")
        return True

    def next(self, timeout: Duration | None = None) -> Reply | None:
        """The next part; None after the last one, and when `timeout` passes: done tells."""
        return self._pending._next(timeout)

    def __iter__(self) -> Iterator[Reply]:
        while (part := self._pending._next(None)) is not None:
            yield part
            if part.is_last:
                return

    @property
    def done(self) -> bool:
        """True once nothing more comes."""
        return self._pending.done

    def cancel(self) -> bool:
        """Nobody waits any more. False when it was answered or had failed before."""
        return self._pending._cancel()

    @property
    def correlation_id(self) -> str:
        """The request's own; empty when it was given none."""
        return self._pending.correlation_id


class Requester(_core.Requester):
    """Asks a service: each request goes to one of the connected repliers. Made by Peer.requester().

    Data is sent as it is when it is bytes, bytearray or memoryview, else as msgpack.
    """

    def __init__(self, peer: Peer, service: str, options: dict[str, Any]) -> None:
        super().__init__(peer, service, options)
        self._service = service

    def call(
        self,
        data: Any,
        *,
        timeout: Duration | None = None,
        idempotent: bool = False,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        content_type: Text | None = None,
    ) -> Reply:
        """Asks and waits: the reply, or its last part.

        timeout: seconds until it is given up, also by repliers; default: the requester's (30 s).
        idempotent: may run more than once: another replier gets it when the first one is lost.
        Raises Timeout, RemoteError, Quota, Closed; Error outcome_unknown, circuit_open.
        """
        return self.request(
            data,
            timeout=timeout,
            idempotent=idempotent,
            headers=headers,
            id=id,
            correlation_id=correlation_id,
            content_type=content_type,
        ).get()

    def request(
        self,
        data: Any,
        *,
        timeout: Duration | None = None,
        idempotent: bool = False,
        headers: Headers | None = None,
        id: Text | None = None,
        correlation_id: Text | None = None,
        content_type: Text | None = None,
    ) -> PendingReply:
        """Asks without waiting for the reply. Raises like call(), but for what ends a request."""
        properties = given(
            headers=headers, id=id, correlation_id=correlation_id, content_type=content_type
        )
        return PendingReply(self._request(data, properties, timeout, idempotent))

    def receive(self, timeout: Duration | None = None) -> PendingReply | None:
        """With a spool: the next reply that no PendingReply waits for, or None.

        Above all to requests of an earlier process.
        """
        pending = self._receive(timeout)
        return PendingReply(pending) if pending is not None else None

    def unanswered(self) -> list[str]:
        """With a spool: ids of requests that receive() will give or has ready."""
        return self._unanswered()

    def stats(self) -> dict[str, Any]:
        """Numbers: in_flight, requests, replies and so on."""
        return self._stats()

    @property
    def service(self) -> str:
        """The name."""
        return self._service

    def __repr__(self) -> str:
        return f"<peermq.Requester {self._service!r}>"
