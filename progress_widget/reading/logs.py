"""What goes wrong at each poll is logged once, not at each."""

from __future__ import annotations

import logging
from time import monotonic

logger = logging.getLogger("progress_widget")

PAUSE = 60.0
"""Seconds without a fault after which the same fault is another one."""

_last: dict[tuple[object, ...], float] = {}


def log_once(message: str, *args: object, error: Exception | None = None) -> None:
    """Log a fault, unless it has been there within the last minute.

    It is not asked whether all is well in between: when a database takes only some of the
    connections, every other poll succeeds.
    """
    now = monotonic()
    fault = (message, *args, type(error))
    if now - _last.get(fault, float("-inf")) > PAUSE:
        logger.error(message, *args, exc_info=error)
    _last[fault] = now
