"""From tickets to fragments: what has to be looked up is looked up here, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.models import TaskProgress, has_heartbeat
from progress_widget.reading.fragments import Fragment, Version, fragment_of, in_language
from progress_widget.reading.moments import Moment, is_late
from progress_widget.reading.tickets import Ticket


def look_up(polls: Sequence[tuple[Ticket, Version | None]]) -> list[Fragment]:
    """Return the fragment for each ticket and what its page shows."""
    rows = TaskProgress.objects.for_tasks(ticket.task_id for ticket, _ in polls)
    here = present()
    fragments = []
    for ticket, shown in polls:
        moment = here.of(rows[ticket.task_id])
        row = _known(rows[ticket.task_id], ticket, moment)
        with in_language(ticket.language):
            fragments.append(fragment_of(row, ticket, moment, shown=shown))
    return fragments


def present() -> Moment:
    """Return the present moment by this process's clock, and what the settings say of it."""
    return Moment(
        now=timezone.now(),
        patience=timedelta(seconds=conf.stalled_after),
        long_patience=timedelta(seconds=conf.silent_after),
        interval_ms=round(conf.poll_interval * 1000),
        has_heartbeat=has_heartbeat(),
    )


def _known(row: TaskProgress, ticket: Ticket, moment: Moment) -> TaskProgress:
    """Return the row, or what the queue knows of a task that has long had none."""
    if not row._state.adding or not is_late(row, ticket, moment):
        return row
    state = queues.result(ticket.task_id)
    return row if state is None else TaskProgress(task_id=row.task_id, state=state, total=0)
