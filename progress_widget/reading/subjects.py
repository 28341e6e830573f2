"""What a page says of a bar: whose it is, and how often it asks."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from progress_widget.models import TASK_ID_LENGTH
from progress_widget.texts import cropped


def is_object(task: Any) -> bool:
    """Whether it is a model instance that tasks may be about, and that names none itself."""
    return isinstance(task, Model) and not hasattr(task, "task_id")


def task_id_of(task: Any) -> str:
    """Return the task id of whatever a page may have in hand, or "" if there is none."""
    for name in ("task_id", "id"):
        if hasattr(task, name):
            task = getattr(task, name)
            break
    return "" if task is None else cropped(task, TASK_ID_LENGTH)


def milliseconds_of(seconds: Any) -> int:
    """Return an interval as a poll has it; raise ValueError if it is no positive number."""
    try:
        milliseconds = round(float(seconds) * 1000)
    except (TypeError, ValueError, OverflowError):
        milliseconds = 0
    if milliseconds < 1:
        raise ValueError(f"interval must be a positive number of seconds, not {seconds!r}")
    return milliseconds
