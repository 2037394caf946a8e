"""A process taking part."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Literal

from . import _core, _process
from ._errors import InvalidArgument
from ._message import Headers
from ._publisher import Publisher
from ._pull import Pull
from ._push import Durability, Overflow, Push
from ._receiver import logger
from ._replier import Replier
from ._requester import Requester
from ._subscriber import Match, SlowPolicy, Subscriber
from ._time import Duration, seconds

LogSink = logging.Logger | Callable[[int, str], None]


@dataclass(frozen=True)
class Event:
    """What happens inside a peer."""

    kind: str
    """One of peer_up, peer_down, peer_rejected, link_suspect, connect_failed, ack_refused, damage,
    io_error, quota, dead_letter, dropped, gap, and what later versions add."""
    peer: str
    """Remote peer id in hexadecimal, where there is one."""
    queue: str
    """Name, where one is concerned."""
    count: int
    """How many messages, records or attempts."""
    text: str
    """One sentence for people."""


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _given(**options: Any) -> dict[str, Any]:
    """What was left out keeps the default of the library."""
    return {name: value for name, value in options.items() if value is not None}


def _moment(value: str | int | datetime | None) -> str | int | float | None:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise InvalidArgument("from_: a datetime without time zone; datetime.now(timezone.utc) has one")
    return value.timestamp()


class Peer(_core.Peer):
    """A process taking part: owns endpoints, identity, queues and at most one spool directory.

    spool: directory, made when missing; None: memory only, same API.
    spool_bytes_max, dead_bytes_max, free_bytes_min, segment_bytes, message_bytes_max: limits in
    bytes (16 GiB, 1 GiB, 64 MiB, 64 MiB, 16 MiB).
    insecure: allows binding addresses that other hosts can reach without encryption.
    close_timeout: what `with` and the end of the program grant close(); 5 s.
    on_event: called with each Event by a thread of the peer's own, one at a time; may call the API
    except close().
    log: a Logger, or a callable given level and line; None for silence. Default: the logger
    "peermq".

    Any number of threads may use it at once. A child of a fork must not. Opening a spool raises
    SpoolError when another process has it, or when it is damaged beyond reading.
    """

    def __init__(
        self,
        spool: str | os.PathLike[str] | None = None,
        *,
        spool_bytes_max: int | None = None,
        dead_bytes_max: int | None = None,
        free_bytes_min: int | None = None,
        segment_bytes: int | None = None,
        message_bytes_max: int | None = None,
        insecure: bool = False,
        close_timeout: Duration = 5.0,
        on_event: Callable[[Event], None] | None = None,
        log: LogSink | None = logger,
    ) -> None:
        self._close_timeout = seconds(close_timeout)
        # The peer keeps these for as long as its threads run; through them it must not keep itself.
        me = weakref.ref(self)
        self._event_callback = on_event
        self._log = log

        def tell(kind: str, peer: str, queue: str, count: int, text: str) -> None:
            this = me()
            if this is not None and this._event_callback is not None:
                this._event_callback(Event(kind, peer, queue, count, text))

        def write(level: str, line: str) -> None:
            this = me()
            if this is not None:
                this._write_log(_LEVELS[level], line)

        super().__init__(
            _given(
                spool=os.fspath(spool) if spool is not None else None,
                spool_bytes_max=spool_bytes_max,
                dead_bytes_max=dead_bytes_max,
                free_bytes_min=free_bytes_min,
                segment_bytes=segment_bytes,
                message_bytes_max=message_bytes_max,
                insecure=insecure,
                close_timeout=close_timeout,
                on_event=tell if on_event is not None else None,
                log=write if log is not None else None,
            )
        )
        _process.register(self)

    def _write_log(self, level: int, line: str) -> None:
        if isinstance(self._log, logging.Logger):
            self._log.log(level, "%s", line)
        elif self._log is not None:
            self._log(level, line)

    def bind(self, endpoint: str) -> str:
        """Listens on "tcp://HOST:PORT", "ipc://PATH" or "inproc://NAME".

        Port "*" or 0 picks a free one. Returns the endpoint as others must connect to it. One port
        carries everything.
        """
        return self._bind(endpoint)

    def connect(self, endpoint: str) -> None:
        """Connects now or as soon as someone listens there, and again whenever the link is lost."""
        self._connect(endpoint)

    def push(
        self,
        queue: str,
        *,
        durability: Durability | None = None,
        overflow: Overflow | None = None,
        memory_bytes_max: int | None = None,
        max_attempts: int | None = None,
        retry_wait_min: Duration | None = None,
        retry_wait_max: Duration | None = None,
        lease: Duration | None = None,
        max_consumers: int | None = None,
        ack_required: bool | None = None,
    ) -> Push:
        """The sending side of a queue: 1 to 255 printable ASCII characters without space.

        durability: "disk" (default with a spool), "os", "memory" (default without).
        overflow: what a new message meets when the quota is reached: "block" (default), "error",
        "drop_oldest".
        memory_bytes_max: most bytes of unsettled messages at level memory; 256 MiB.
        max_attempts: failures before a message goes to "<queue>.dead"; 10; 0: no limit.
        retry_wait_min, retry_wait_max: back-off, 1 s doubling to 300 s.
        lease: how long a consumer may be unheard of; 30 s.
        max_consumers: 0: no limit; 1: a single active consumer.
        ack_required: False: at most once.
        """
        return Push(
            self,
            queue,
            _given(
                durability=durability,
                overflow=overflow,
                memory_bytes_max=memory_bytes_max,
                max_attempts=max_attempts,
                retry_wait_min=retry_wait_min,
                retry_wait_max=retry_wait_max,
                lease=lease,
                max_consumers=max_consumers,
                ack_required=ack_required,
            ),
        )

    def pull(
        self,
        queue: str,
        *,
        prefetch: int | None = None,
        prefetch_bytes: int | None = None,
        concurrency: int | None = None,
        max_processing: Duration | None = None,
        single_producer: bool | None = None,
    ) -> Pull:
        """The receiving side of a queue; "<queue>.dead" reads dead letters.

        prefetch: most messages held here and not settled; 64. 1 for long tasks, thousands for tiny
        ones. prefetch_bytes: likewise; 64 MiB.
        concurrency: handlers at the same time when threads of your own call receive(); 1.
        max_processing: how long one message may be worked on; 1,800 s.
        single_producer: refuses a second producer of this queue, and reports it.
        """
        return Pull(
            self,
            queue,
            _given(
                prefetch=prefetch,
                prefetch_bytes=prefetch_bytes,
                concurrency=concurrency,
                max_processing=max_processing,
                single_producer=single_producer,
            ),
        )

    def publisher(
        self,
        name: str,
        *,
        durability: Durability | None = None,
        overflow: Overflow | None = None,
        memory_bytes_max: int | None = None,
    ) -> Publisher:
        """Publishes topics that begin with `name`: itself and "<name>.<more>".

        durability: "disk" (default with a spool), "os", "memory" (default without).
        overflow: what a new message meets when the quota is reached: "block" (default), "error",
        "drop_oldest". memory_bytes_max: at level memory; 256 MiB.
        """
        return Publisher(
            self,
            name,
            _given(durability=durability, overflow=overflow, memory_bytes_max=memory_bytes_max),
        )

    def subscriber(
        self,
        pattern: str,
        *,
        name: str | None = None,
        headers: Headers | None = None,
        match: Match | None = None,
        slow: SlowPolicy | None = None,
        buffer: int | None = None,
        from_: Literal["now", "start"] | int | datetime | None = None,
        last: int | None = None,
        prefetch: int | None = None,
        prefetch_bytes: int | None = None,
        concurrency: int | None = None,
        max_processing: Duration | None = None,
        confirm_timeout: Duration | None = None,
    ) -> Subscriber:
        """Subscribes to the topics that match `pattern`, of all connected peers, now and later.

        In a pattern `*` stands for one token, and `#`, at the end only, for the rest. Returns once
        every peer that is linked now has confirmed, or confirm_timeout (5 s) is over.

        name: of a durable subscription; None: live. headers, match: what a message must have, "all"
        (default) or "any" of it.
        slow, buffer: what a publisher does when more than `buffer` (65,536) messages wait for a
        live one: "drop_oldest" (default), "drop_newest", "block", "disconnect".
        from_: where a new one begins: "now" (default), "start", a sequence number, or an aware
        datetime; last: with the last so many.
        prefetch: 1,024; prefetch_bytes, concurrency, max_processing: as pull().
        """
        return Subscriber(
            self,
            pattern,
            _given(
                name=name,
                headers=headers,
                match=match,
                slow=slow,
                buffer=buffer,
                from_=_moment(from_),
                last=last,
                prefetch=prefetch,
                prefetch_bytes=prefetch_bytes,
                concurrency=concurrency,
                max_processing=max_processing,
                confirm_timeout=confirm_timeout,
            ),
        )

    def requester(
        self,
        service: str,
        *,
        durability: Durability | None = None,
        timeout: Duration | None = None,
        in_flight_max: int | None = None,
        memory_bytes_max: int | None = None,
        retry_percent: int | None = None,
        retry_burst: int | None = None,
        breaker_failures: int | None = None,
        breaker_window: int | None = None,
        breaker_wait: Duration | None = None,
    ) -> Requester:
        """The asking side of a service; names as for queues, of which they are independent.

        durability: "memory" (default); "os" and "disk" keep request and reply over a restart.
        timeout: how long a request waits unless it says otherwise; 30 s. in_flight_max: most
        requests without a reply; 1,024. retry_percent, retry_burst: how many may be handed out again
        after their replier was lost; 20 and 32. breaker_failures of breaker_window (20) failures
        open the circuit breaker for breaker_wait (5 s); 0, the default: no breaker.
        """
        return Requester(
            self,
            service,
            _given(
                durability=durability,
                timeout=timeout,
                in_flight_max=in_flight_max,
                memory_bytes_max=memory_bytes_max,
                retry_percent=retry_percent,
                retry_burst=retry_burst,
                breaker_failures=breaker_failures,
                breaker_window=breaker_window,
                breaker_wait=breaker_wait,
            ),
        )

    def replier(
        self,
        service: str,
        *,
        prefetch: int | None = None,
        concurrency: int | None = None,
        max_processing: Duration | None = None,
        cache_count_max: int | None = None,
        cache_bytes_max: int | None = None,
    ) -> Replier:
        """The answering side of a service.

        prefetch: most requests held here; default: as many as handlers. max_processing: how long one
        may be worked on; 1,800 s. cache_count_max, cache_bytes_max: replies remembered by request
        id; 4,096 and 16 MiB.
        """
        return Replier(
            self,
            service,
            _given(
                prefetch=prefetch,
                concurrency=concurrency,
                max_processing=max_processing,
                cache_count_max=cache_count_max,
                cache_bytes_max=cache_bytes_max,
            ),
        )

    def close(self, timeout: Duration | None = None) -> bool:
        """Drains and ends: queues in memory are settled, handlers finish, settlements are sent.

        True when all of that was done within `timeout` seconds (close_timeout); what was durable
        stays so in any case. Later calls return what the first one did.
        """
        return self._close(self._close_timeout if timeout is None else timeout)

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def id(self) -> str:
        """32 hexadecimal digits; kept in the spool, else new per Peer."""
        return self._id()

    def stats(self) -> dict[str, Any]:
        """Numbers of the whole peer: pushes, pulls, links, spool; durations in seconds."""
        return self._stats()

    def __repr__(self) -> str:
        return f"<peermq.Peer {self._id()[:8]}>"
