"""From tickets to fragments: all that must be looked up is looked up here, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import timedelta

from django.db import router
from django.db.models import Model
from django.utils import timezone

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.lookups import reference_to
from progress_widget.models import TaskProgress, has_heartbeat
from progress_widget.reading.fragments import Fragment, Version, fragment_of, in_language
from progress_widget.reading.moments import Moment, is_worth_asking, may_have_failed
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State


def look_up(polls: Sequence[tuple[Ticket, Version | None]]) -> list[Fragment]:
    """Return a fragment for each ticket, given what its page shows."""
    rows = TaskProgress.objects.for_tasks(ticket.task_id for ticket, _ in polls)
    here = present()
    return [shown_of(rows[ticket.task_id], ticket, here, shown=shown) for ticket, shown in polls]


def newest_about(things: Sequence[Model]) -> list[TaskProgress | None]:
    """Return the newest row about each object, in one query; None where there is none."""
    saved = [thing for thing in things if thing.pk is not None]
    if not saved:
        return [None] * len(things)
    alias = router.db_for_write(TaskProgress)
    found = TaskProgress.objects.using(alias).newest_about(saved)
    return [None if thing.pk is None else found.get(reference_to(thing)) for thing in things]


def shown_of(
    row: TaskProgress, ticket: Ticket, here: Moment, *, shown: Version | None = None
) -> Fragment:
    """Return what a bar shows of a row, in the language of its page.

    Args:
        here: As ``present()`` tells it.
        shown: What the page shows; None for a page that shows nothing yet.
    """
    moment = here.of(row)
    # A page that goes on asking after a success has it from the queue.
    has_heard = shown is not None and shown.state == State.SUCCEEDED and not row.is_finished
    asks = has_heard or is_worth_asking(row, ticket, moment)
    end = queues.result(row.task_id) if asks else None
    known = row if end is None else _ended(row, end)
    is_final = end != State.SUCCEEDED or not may_have_failed(row, ticket, moment)
    with in_language(ticket.language):
        return fragment_of(known, ticket, moment, shown=shown, is_final=is_final)


def present() -> Moment:
    """Return the present moment by this process's clock, and what the settings say of it."""
    return Moment(
        now=timezone.now(),
        patience=timedelta(seconds=conf.stalled_after),
        long_patience=timedelta(seconds=conf.silent_after),
        interval_ms=max(1, round(conf.poll_interval * 1000)),
        has_heartbeat=has_heartbeat(),
    )


def _ended(row: TaskProgress, state: State) -> TaskProgress:
    """Return what the row would be if it knew of this end; the row itself stays as it is."""
    ended = copy(row)
    ended.state, ended.message = state, ""
    if state == State.SUCCEEDED:
        ended.total = ended.progress = row.progress if row.total is None else row.total
    return ended
