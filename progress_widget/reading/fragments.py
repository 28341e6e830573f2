"""What one bar shows at one moment: frozen data, made from a row without looking anything up."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from django.utils import translation
from django.utils.translation import get_language, gettext

from progress_widget.models import TaskProgress
from progress_widget.reading.moments import Moment, is_late, is_stalled, waiting_since
from progress_widget.reading.sentences import (
    CANCELLING,
    STALLED,
    UNKNOWN,
    as_percent_of,
    message_of,
    numbers_of,
    text_of,
)
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State
from progress_widget.texts import TEXTS

REFUSED = "refused"

CALM_MS = 5_000
"""The longest interval of a bar that moves slowly; the shortest of one that does not move."""

SLOWEST_MS = 10_000


class Version(NamedTuple):
    """What a page shows, as a poll states it in ``v``: "1.running.420.1f2e3d4c"."""

    attempt: int
    state: str

    tenths: int | None
    """Tenths of a percent; None while the total is unknown."""

    digest: str

    def __str__(self) -> str:
        tenths = "" if self.tenths is None else self.tenths
        return f"{self.attempt}.{self.state}.{tenths}.{self.digest}"

    @property
    def quarter(self) -> int:
        return (self.tenths or 0) // 250

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """Return what ``v`` states, or None if this package did not write it."""
        found = re.fullmatch(r"([0-9]{1,10})\.([a-z]{1,16})\.([0-9]{0,4})\.([0-9a-f]{8})", text)
        if found is None:
            return None
        attempt, state, tenths, digest = found.groups()
        return cls(int(attempt), state, int(tenths) if tenths else None, digest)


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """What one bar shows. Templates get it as ``fragment``."""

    state: str
    """A State, "cancelling", "stalled", "unknown" (the row is gone) or "refused"."""

    text: str
    """What is going on, in a few words."""

    is_finished: bool = False
    """Whether the page stops polling."""

    attempt: int = 0

    percent: float | None = None
    """0 to 100; None while it is unknown or the task has not begun."""

    as_percent: str = ""
    """The same as text, formatted for the language."""

    numbers: str = ""
    """How much of how much, where that says more than the percent."""

    label: str = ""
    """What the task is."""

    message: str = ""
    """What else a person should know and can do."""

    interval_ms: int = field(default=0, repr=False)  # not in the version: it is not shown
    """Milliseconds until the next poll."""

    keeps_pace: bool = field(default=False, repr=False)
    """Whether the tag has set the interval, so that nothing lengthens it."""

    may_cancel: bool = field(default=False, repr=False)
    """Whether the page lets its user cancel the task."""

    @cached_property
    def version(self) -> Version:
        """What distinguishes this fragment from others; the digest covers all that it shows."""
        tenths = None if self.percent is None else round(self.percent * 10)
        digest = blake2b(repr(self).encode(errors="replace"), digest_size=4).hexdigest()
        return Version(self.attempt, self.state, tenths, digest)


def fragment_of(
    row: TaskProgress,
    ticket: Ticket,
    moment: Moment,
    *,
    shown: Version | None = None,
    is_final: bool = True,
) -> Fragment:
    """Return what a bar shows of a row, in the active language.

    Args:
        shown: What the page shows; None means nothing yet.
        is_final: Whether a page may take the row's end, if it has one, for the last word.
    """
    state = _state_of(row, moment, shown)
    still_waits = state == CANCELLING and row.state == State.WAITING
    has_begun = state not in (State.WAITING, UNKNOWN) and not still_waits
    is_late_start = state == State.WAITING and is_late(row, ticket, moment)
    is_calm = state in (STALLED, UNKNOWN) or is_late_start or not is_final
    percent = row.percent if has_begun else None
    return Fragment(
        state=state,
        text=text_of(row, state),
        is_finished=row.is_finished and is_final,
        attempt=row.attempt,
        percent=percent,
        as_percent="" if percent is None else as_percent_of(percent),
        numbers=numbers_of(row) if has_begun else "",
        label=ticket.label or row.label,
        message=message_of(row, state, ticket, moment),
        interval_ms=ticket.interval_ms or _interval_ms(row, state, ticket, moment, is_calm=is_calm),
        keeps_pace=ticket.interval_ms is not None,
    )


def refusal() -> Fragment:
    """Return a finished fragment that says only that the progress can't be shown."""
    return Fragment(state=REFUSED, text=gettext(TEXTS[REFUSED]), is_finished=True)


def in_language(language: str) -> AbstractContextManager[None]:
    """Activate a language for a while, unless it is active already; "" means none."""
    if language == (get_language() or ""):
        return nullcontext()
    return translation.override(language or None)


def _state_of(row: TaskProgress, moment: Moment, shown: Version | None) -> str:
    is_absent = row._state.adding and row.state == State.WAITING
    if is_absent and shown is not None and shown.state != State.WAITING:
        return UNKNOWN
    if row.is_finished and not row.is_ended:
        return State.SUCCEEDED.value  # a shared bar that nobody ends
    if is_stalled(row, moment):
        return STALLED
    is_asked = row.cancel_asked_at is not None and not row.is_ended
    return CANCELLING if is_asked else str(row.state)


def _interval_ms(
    row: TaskProgress, state: str, ticket: Ticket, moment: Moment, *, is_calm: bool
) -> int:
    """Return an interval that grows with the time in which a bar moves by one percent.

    A tenth of the time for which it has run, waited or been silent is the most: what comes then
    is, in proportion, hardly late.

    Args:
        is_calm: Whether little is to be expected.
    """
    shortest = max(moment.interval_ms, CALM_MS) if is_calm else moment.interval_ms
    longest = SLOWEST_MS if is_calm else CALM_MS
    since = _since(row, state, ticket)
    if since is None or moment.now is None:
        return shortest
    # Not the difference alone: a retry is due at a time to come.
    age_ms = abs(moment.now - since) / timedelta(milliseconds=1)
    percent = row.percent or 0 if state == State.RUNNING else 0
    return max(shortest, min(round(age_ms / max(percent, 10)), longest))


def _since(row: TaskProgress, state: str, ticket: Ticket) -> datetime | None:
    """Return since when a bar moves or stands as it does; None if its pace is unknown."""
    if state == State.RUNNING:
        return None if row.total is None else row.started_at
    if state == CANCELLING:
        return row.cancel_asked_at
    return waiting_since(row, ticket) if state == State.WAITING else row.updated_at
