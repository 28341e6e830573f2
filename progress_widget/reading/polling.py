"""From tickets to fragments: all that must be looked up is looked up here, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from django.db import router
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.lookups import reference_to
from progress_widget.models import TaskProgress, has_heartbeat
from progress_widget.reading.access import may_cancel, may_view_row
from progress_widget.reading.fragments import (
    Fragment,
    Version,
    fragment_of,
    in_language,
    refusal,
)
from progress_widget.reading.moments import Moment, is_worth_asking, may_have_failed
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State


class Wanted(NamedTuple):
    """What a page wants to know of one of its bars."""

    ticket: Ticket

    request: HttpRequest | None = None
    """Whoever may have to be the row's owner; None means that nobody has to."""

    shown: Version | None = None
    """What the page shows; None for a page that shows nothing yet."""


def look_up(bars: Sequence[Wanted]) -> list[Fragment]:
    """Return a fragment for each bar, in one query."""
    rows = TaskProgress.objects.for_tasks(one.ticket.task_id for one in bars)
    here = present()
    return [shown_of(rows[one.ticket.task_id], one, here) for one in bars]


def newest_about(things: Sequence[Model]) -> list[TaskProgress | None]:
    """Return the newest row about each object, in one query; None where there is none."""
    saved = [thing for thing in things if thing.pk is not None]
    if not saved:
        return [None] * len(things)
    alias = router.db_for_write(TaskProgress)
    found = TaskProgress.objects.using(alias).newest_about(saved)
    return [None if thing.pk is None else found.get(reference_to(thing)) for thing in things]


def shown_of(row: TaskProgress, wanted: Wanted, here: Moment) -> Fragment:
    """Return what a bar shows of a row, in the language of its page.

    Args:
        here: As ``present()`` tells it.
    """
    ticket, request, shown = wanted
    if request is not None and not may_view_row(request, row):
        with in_language(ticket.language):
            return refusal()
    moment = here.of(row)
    # A page that goes on asking after a success has it from the queue.
    has_heard = shown is not None and shown.state == State.SUCCEEDED and not row.is_finished
    asks = has_heard or is_worth_asking(row, ticket, moment)
    end = queues.result(row.task_id) if asks else None
    known = row if end is None else _ended(row, end)
    is_final = end != State.SUCCEEDED or not may_have_failed(row, ticket, moment)
    with in_language(ticket.language):
        fragment = fragment_of(known, ticket, moment, shown=shown, is_final=is_final)
    if ticket.cancel and shown is None and _may_be_cancelled(known, request):
        return replace(fragment, may_cancel=True)
    return fragment


def _may_be_cancelled(row: TaskProgress, request: HttpRequest | None) -> bool:
    """Whether there is something to cancel, and this request may do so."""
    is_there = not (row._state.adding or row.is_finished or row.cancel_asked_at)
    return is_there and request is not None and may_cancel(request, row)


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
