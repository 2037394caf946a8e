"""The receiving side of topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from ._errors import Timeout
from ._receiver import Receiver
from ._time import Duration

if TYPE_CHECKING:
    from ._peer import Peer

SlowPolicy = Literal["drop_oldest", "drop_newest", "block", "disconnect"]
Match = Literal["all", "any"]


@dataclass(frozen=True)
class Confirmation:
    """What linked peers have said to a change of a subscription."""

    complete: bool
    """All that were linked have confirmed in time."""
    publishers: int
    """Whose topics the patterns can match; 0 is possible."""
    refusals: list[str]


class Subscriber(_core.Subscriber, Receiver):
    """Receives what is published under topics that match its patterns, by all connected peers.

    Made by Peer.subscriber(). A live subscription ends with this object; what is received is
    settled. A durable one (name) is kept by each publisher; its messages are settled as those of a
    queue, and its members compete for them. What is missed is never silent: the event "gap", and
    missed.
    """

    def __init__(self, peer: Peer, pattern: str, options: dict[str, Any]) -> None:
        super().__init__(peer, pattern, options)
        self._subscription = options.get("name", "")
        self._name = self._subscription or pattern

    def subscribe(self, pattern: str) -> Confirmation:
        """Adds a pattern and waits until every linked peer has confirmed, or confirm_timeout."""
        return Confirmation(*self._subscribe(pattern))

    def unsubscribe(self, pattern: str) -> Confirmation:
        """Removes a pattern, likewise."""
        return Confirmation(*self._unsubscribe(pattern))

    @property
    def patterns(self) -> list[str]:
        """Those of now."""
        return self._patterns()

    @property
    def publishers(self) -> int:
        """How many publishers have confirmed and have topics that can match."""
        return self._publishers()

    def wait_for_publishers(self, count: int = 1, timeout: Duration | None = None) -> bool:
        """Waits for at least so many and returns True; raises Timeout."""
        if not self._wait_for_publishers(count, timeout):
            raise Timeout(f"{self._name}: not {count} publisher(s) after {timeout} s")
        return True

    @property
    def missed(self) -> int:
        """Messages that this subscription has missed since this object was made."""
        return self._missed()

    @property
    def name(self) -> str:
        """Of a durable subscription; empty for a live one."""
        return str(self._subscription)

    def __repr__(self) -> str:
        return f"<peermq.Subscriber {self._name!r}>"
