"""The sending side of topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _core
from ._errors import Timeout
from ._push import Sender
from ._time import Duration

if TYPE_CHECKING:
    from ._peer import Peer


class Publisher(_core.Publisher, Sender):
    """Publishes messages under topics: each goes to every subscription whose filter takes it.

    Made by Peer.publisher(). publish(), post() and try_post() take the topic, the data and, by
    keyword, the properties that Push.send() takes.
    """

    def __init__(self, peer: Peer, name: str, options: dict[str, Any]) -> None:
        super().__init__(peer, name, options)
        self._name = name

    def wait_for_subscribers(self, count: int = 1, timeout: Duration | None = None) -> bool:
        """Waits until so many subscriptions have a subscriber connected and returns True.

        What is published from then on goes to them. Raises Timeout.
        """
        if not self._wait_for_subscribers(count, timeout):
            raise Timeout(f"{self._name}: not {count} subscription(s) after {timeout} s")
        return True

    @property
    def name(self) -> str:
        """With which all its topics begin."""
        return self._name

    def __repr__(self) -> str:
        return f"<peermq.Publisher {self._name!r}>"
