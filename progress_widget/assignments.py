"""What an UPDATE of a row assigns: expressions, so that the database reckons with what is there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Least

from progress_widget.clock import NOW

NUMBER = models.PositiveBigIntegerField()


def from_now(seconds: float) -> Any:
    """Return the expression for the moment that is so many seconds later, or earlier."""
    if not seconds:
        return NOW
    delay = Value(timedelta(seconds=seconds), output_field=models.DurationField())
    return models.ExpressionWrapper(NOW + delay, output_field=models.DateTimeField())


def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an update assigns to make these changes."""
    values = {name: changes[name] for name in ("total", "step") if name in changes}
    if changes.keys() & {"progress", "added"} or changes.get("total") is not None:
        values["progress"] = _clamped(changes)
    return values


def total_at_the_end(changes: Mapping[str, Any]) -> Any:
    """Return the expression for the total of a success: what was reached where it is unknown."""
    if "total" not in changes:
        return Coalesce(F("total"), _reached(changes))
    total = changes["total"]
    return _reached(changes) if total is None else total


def _clamped(changes: Mapping[str, Any]) -> Any:
    """Return the expression for the new progress, which stays within the row's total."""
    reached = _reached(changes)
    if "total" in changes:
        # The literal, not the column: MySQL would read the column's new or old value, depending
        # on the order of the assignments.
        total = changes["total"]
        return reached if total is None else Least(reached, _number(total))
    # LEAST with a NULL is NULL on SQLite and MySQL.
    return Case(When(total__isnull=True, then=reached), default=Least(reached, F("total")))


def _reached(changes: Mapping[str, Any]) -> Any:
    """Return the expression for the new progress, were there no total."""
    progress = _number(changes["progress"]) if "progress" in changes else F("progress")
    if "added" not in changes:
        return progress
    return models.ExpressionWrapper(progress + _number(changes["added"]), output_field=NUMBER)


def _number(value: int) -> Value:
    return Value(value, output_field=NUMBER)
