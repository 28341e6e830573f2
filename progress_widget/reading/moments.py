"""When a bar is read, and what is late by then."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from django.conf import settings

from progress_widget.models import TaskProgress
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State

ASKED_AFTER = timedelta(seconds=5)
"""How long a page waits for a row before the queue is asked; less if STALLED_AFTER is less."""


class Moment(NamedTuple):
    """When a fragment is made, and what the settings say of it."""

    now: datetime | None
    """By the clock that wrote the row's times, and aware or naive as they are.

    None where that clock has not been read: then nothing is called late.
    """

    patience: timedelta
    """STALLED_AFTER."""

    long_patience: timedelta
    """SILENT_AFTER."""

    interval_ms: int
    """POLL_INTERVAL, in milliseconds."""

    has_heartbeat: bool
    """Whether a task's bar gives signs of life."""

    def of(self, row: TaskProgress) -> Moment:
        """Return this moment by the clock of a row; without a row, by this process's."""
        return self if row._state.adding else self._replace(now=row.now)


def is_late(row: TaskProgress, ticket: Ticket, moment: Moment) -> bool:
    """Whether the task has waited for longer than STALLED_AFTER."""
    return row.state == State.WAITING and _has_waited(row, ticket, moment, moment.patience)


def is_stalled(row: TaskProgress, moment: Moment) -> bool:
    """Whether nothing has been heard for long of what should go on.

    How long, that depends on whether the row is kept alive: a task's own bar gives signs of life
    while it runs, if it is written in the background. Whoever asks a silent task to stop sees at
    first that it is asked; the task has as long again to answer.
    """
    if moment.now is None or row.state not in (State.RUNNING, State.RETRYING) or row.is_finished:
        return False
    is_kept_alive = row.state == State.RUNNING and row.attempt > 0 and moment.has_heartbeat
    patience = moment.patience if is_kept_alive else moment.long_patience
    since = max(row.updated_at, row.cancel_asked_at or row.updated_at)
    return moment.now - since > patience


def is_stuck(row: TaskProgress, moment: Moment) -> bool:
    """Whether a task that is asked to stop has been silent for longer than STALLED_AFTER.

    Its bar does not tell: it says no more than "Cancelling", for ever if no worker takes the task.
    """
    if moment.now is None or row.cancel_asked_at is None:
        return False
    return moment.now - row.updated_at > moment.patience


def is_worth_asking(row: TaskProgress, ticket: Ticket, moment: Moment) -> bool:
    """Whether the queue may know more than the row: there is none, or it is silent."""
    if row._state.adding:
        return _has_waited(row, ticket, moment, min(moment.patience, ASKED_AFTER))
    return is_stalled(row, moment)


def may_have_failed(row: TaskProgress, ticket: Ticket, moment: Moment) -> bool:
    """Whether a task that has succeeded, as its queue says, may have called fail() on its bar.

    The queue knows nothing of that call, and its worker tries to write it for ``long_patience``.
    """
    heard_of = waiting_since(row, ticket) if row._state.adding else row.updated_at
    return moment.now is None or moment.now - heard_of <= moment.long_patience


def waiting_since(row: TaskProgress, ticket: Ticket) -> datetime:
    """Return when the row was made or, where there is none, when the page was rendered."""
    if not row._state.adding:
        return row.created_at
    return datetime.fromtimestamp(ticket.rendered_at, tz=timezone.utc if settings.USE_TZ else None)


def _has_waited(row: TaskProgress, ticket: Ticket, moment: Moment, patience: timedelta) -> bool:
    return moment.now is not None and moment.now - waiting_since(row, ticket) > patience
