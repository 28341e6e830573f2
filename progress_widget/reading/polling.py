"""From tickets to fragments: all that must be looked up is looked up here, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.models import TaskProgress, has_heartbeat
from progress_widget.reading.fragments import (
    Fragment,
    Moment,
    Version,
    fragment_of,
    in_language,
    is_late,
)
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State


def look_up(polls: Sequence[tuple[Ticket, Version | None]]) -> list[Fragment]:
    """Return a fragment for each ticket, given what its page shows."""
    rows = TaskProgress.objects.for_tasks(ticket.task_id for ticket, _ in polls)
    moment = present()
    fragments = []
    for ticket, shown in polls:
        row = rows[ticket.task_id]
        if row._state.adding and (shown is None or shown.state == State.WAITING):
            row = _known(row, ticket, moment)
        with in_language(ticket.language):
            fragments.append(fragment_of(row, ticket, moment, shown=shown))
    return fragments


def present() -> Moment:
    """Return the present moment, with the settings that apply."""
    return Moment(
        now=timezone.now(),
        patience=timedelta(seconds=conf.stalled_after),
        interval_ms=max(1, round(conf.poll_interval * 1000)),
        has_heartbeat=has_heartbeat(),
    )


def _known(row: TaskProgress, ticket: Ticket, moment: Moment) -> TaskProgress:
    """Return the row, or what the queue knows about a task that has been without one for long."""
    state = queues.result(ticket.task_id) if is_late(row, ticket, moment) else None
    return row if state is None else TaskProgress(task_id=row.task_id, state=state, total=0)
