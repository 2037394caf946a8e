"""The end of the program, and forks."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from ._peer import Peer

_peers: weakref.WeakSet[Peer] = weakref.WeakSet()


def register(peer: Peer) -> None:
    """It is closed at the end of the program, if nobody does so before."""
    _peers.add(peer)


def _at_exit() -> None:
    # Closing wakes who waits in a daemon thread and lets its handler finish; after that, what comes
    # back for the interpreter is parked.
    _core._begin_leaving()
    for peer in list(_peers):
        try:
            peer.close()
        except Exception:
            pass  # in a forked child, or interrupted: there is nobody left to tell
    _core._leave_interpreter()


def _after_fork() -> None:
    _peers.clear()  # they are the parent's
    _core._after_fork_in_child()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
