"""The receiving side of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _core
from ._receiver import Receiver

if TYPE_CHECKING:
    from ._peer import Peer


class Pull(_core.Pull, Receiver):
    """Receives messages of a queue from all connected producers, competing with other consumers.

    Made by Peer.pull(). Any number of threads may use it at once; each message goes to one of them.
    `for message in pull` goes on until stop() or Peer.close().
    """

    def __init__(self, peer: Peer, queue: str, options: dict[str, Any]) -> None:
        super().__init__(peer, queue, options)
        self._name = queue

    @property
    def queue(self) -> str:
        """The name."""
        return self._name

    def __repr__(self) -> str:
        return f"<peermq.Pull {self._name!r}>"
