"""Durations as users give them."""

from __future__ import annotations

from datetime import timedelta


Duration = float | timedelta


def seconds(duration: Duration) -> float:
    """As a number of seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
