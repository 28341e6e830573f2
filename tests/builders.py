"""What tests of reading need: rows, tickets and fragments, at noon, without a database."""

from __future__ import annotations

from datetime import datetime, timezone

from progress_widget.models import State, TaskProgress
from progress_widget.reading.fragments import Fragment, Version, fragment_of
from progress_widget.reading.polling import present
from progress_widget.reading.tickets import Ticket

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=timezone.utc)
KEY = "p0123ab"


def ticket(**values: object) -> Ticket:
    """Return the ticket of a bar for nobody in particular, on a page rendered at noon."""
    return Ticket(**{"task_id": "kelp", "rendered_at": int(NOON.timestamp()), **values})


def saved(**values: object) -> TaskProgress:
    """Return a row as the database would, without a database."""
    moments = dict.fromkeys(("created_at", "updated_at"), NOON)
    row = TaskProgress(**{"task_id": "kelp", "total": 10, "attempt": 1, **moments, **values})
    row._state.adding = False
    return row


def absent() -> TaskProgress:
    """Return what stands in for a row that does not exist."""
    return TaskProgress(task_id="kelp", state=State.WAITING)


def fragment(
    row: TaskProgress,
    *,
    now: datetime = NOON,
    shown: Version | None = None,
    has_heartbeat: bool = True,
    **values: object,
) -> Fragment:
    """Return what a bar shows of a row; further values are the ticket's."""
    moment = present()._replace(now=now, has_heartbeat=has_heartbeat)
    return fragment_of(row, ticket(**values), moment, shown=shown)
