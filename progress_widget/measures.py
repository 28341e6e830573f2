"""How much is done: pure arithmetic on plain numbers."""

from __future__ import annotations

from math import ceil


def percent_of(progress: int, total: int | None, *, succeeded: bool) -> float | None:
    """Return the progress in percent, rounded down to one decimal, so that 100.0 means all of it.

    Args:
        total: None means unknown, and the result is None too.
        succeeded: Whether a total of 0, of which no part can be done, is 100 % rather than 0 %.
    """
    if total is None:
        return None
    if total == 0:
        return 100.0 if succeeded else 0.0
    return progress * 1000 // total / 10


def duration_text(seconds: float) -> str:
    """Return a duration as a clock would have it, such as "1:02:03"; a part of a second is one."""
    minutes, rest = divmod(max(0, ceil(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent_text(percent: float | None) -> str:
    """Return text for machines and logs, such as "42.0%", or "" if the percent is unknown."""
    return "" if percent is None else f"{percent:.1f}%"
