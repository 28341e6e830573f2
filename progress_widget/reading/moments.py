"""When a bar is read, and what is late by then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from progress_widget.models import TaskProgress
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State


class Moment(NamedTuple):
    """When a fragment is made, and what the settings say of it."""

    now: datetime
    """Aware, but naive where USE_TZ is off."""

    patience: timedelta
    """STALLED_AFTER."""

    interval_ms: int
    """POLL_INTERVAL, in milliseconds."""

    has_heartbeat: bool
    """Whether a task's bar gives signs of life."""


def is_late(row: TaskProgress, ticket: Ticket, moment: Moment) -> bool:
    """Whether the task has waited for longer than STALLED_AFTER."""
    waited = moment.now - waiting_since(row, ticket, moment)
    return row.state == State.WAITING and waited > moment.patience


def is_stalled(row: TaskProgress, moment: Moment) -> bool:
    """Whether the task should have given a sign of life by now, and has not.

    Only a task's own bar that is written in the background gives any.
    """
    is_silent = moment.now - row.updated_at > moment.patience
    return is_silent and row.state == State.RUNNING and row.attempt > 0 and moment.has_heartbeat


def waiting_since(row: TaskProgress, ticket: Ticket, moment: Moment) -> datetime:
    """Return when the row was made or, where there is none, when the page was rendered."""
    if not row._state.adding:
        return row.created_at
    # As now is: aware, or naive where USE_TZ is off.
    return datetime.fromtimestamp(ticket.rendered_at, tz=moment.now.tzinfo)
