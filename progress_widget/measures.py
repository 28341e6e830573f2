"""How much is done: pure arithmetic, of plain numbers."""

from __future__ import annotations


def percent_of(progress: int, total: int | None, *, succeeded: bool) -> float | None:
    """Give the percentage, rounded down to one decimal, so that 100.0 means all of it.

    Args:
        total: None when unknown: then there is no percentage.
        succeeded: Decides for a total of 0, of which there is no part to give.
    """
    if total is None:
        return None
    if total == 0:
        return 100.0 if succeeded else 0.0
    return progress * 1000 // total / 10


def percent_text(percent: float | None) -> str:
    """Give a percentage for machines and logs, such as "42.0%"; "" for an unknown one."""
    return "" if percent is None else f"{percent:.1f}%"
