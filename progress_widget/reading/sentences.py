"""What a bar says of a row, in the active language."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import conditional_escape
from django.utils.translation import get_language, gettext

from progress_widget.models import TaskProgress
from progress_widget.reading.moments import Moment, is_late, waiting_since
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State
from progress_widget.texts import (
    AGAIN,
    ERROR,
    GONE,
    LATE,
    REASONS,
    SILENT,
    STOPPING,
    TEXTS,
    UNREPORTED,
)

STALLED = "stalled"
CANCELLING = "cancelling"
UNKNOWN = "unknown"


def text_of(row: TaskProgress, state: str) -> str:
    """Return what is going on, in a few words."""
    if state == State.WAITING and row._state.adding:
        return gettext(UNREPORTED)  # whether it has been started, no row tells
    if state == State.RUNNING and row.attempt > 1:
        attempt = gettext("Attempt %(number)s") % {"number": _formatted(row.attempt)}
        return ": ".join(filter(None, (attempt, row.step)))
    if state == State.RUNNING and row.step:
        return row.step
    text = gettext(TEXTS[state]) if state in TEXTS else state
    return text % {"number": _formatted(row.attempt + 1)} if state == State.RETRYING else text


def message_of(row: TaskProgress, state: str, ticket: Ticket, moment: Moment) -> str:
    """Return what a person should know besides, and can do."""
    if state == State.WAITING:
        if not is_late(row, ticket, moment):
            return ""
        return gettext(LATE) % {"time": _clock(waiting_since(row, ticket), moment.now)}
    if state == STALLED:
        return gettext(SILENT) % {"time": _clock(row.updated_at, moment.now)}
    if state == UNKNOWN:
        return gettext(GONE)
    if state == CANCELLING:
        return gettext(STOPPING)
    if state == State.RETRYING:
        return gettext(AGAIN)
    reason = row.message or (ERROR if state == State.FAILED else "")
    return gettext(reason) if reason in REASONS else reason


def numbers_of(row: TaskProgress) -> str:
    """Return how much of how much, where that says more than the percentage."""
    if not row.progress or (row.total == 100 and not row.failed):
        return ""
    where = get_language(), settings.USE_THOUSAND_SEPARATOR
    return _numbers(row.progress, row.total, row.failed, *where)


@lru_cache(maxsize=4096)
def _numbers(progress: int, total: int | None, failed: int, *where: object) -> str:
    """Return what ``numbers_of()`` does; an unchanged bar asks again and again.

    Args:
        where: What it depends on besides.
    """
    if total is None:
        return _formatted(progress)
    numbers = {
        "progress": _formatted(progress),
        "total": _formatted(total),
        "failed": _formatted(failed),
    }
    if failed:
        return gettext("%(progress)s of %(total)s, %(failed)s failed") % numbers
    return gettext("%(progress)s of %(total)s") % numbers


def as_percent_of(percent: float) -> str:
    """Return a percentage with the digits of the language."""
    return _as_percent(percent, get_language())


@lru_cache(maxsize=4096)
def _as_percent(percent: float, language: str | None) -> str:
    # Formatting is a fourth of what an unchanged bar costs, and there are a thousand percentages.
    # Escaped, since a template would do it twice for each bar.
    # Translators: a percentage; some languages put a space before the sign.
    return conditional_escape(gettext("%(number)s%%") % {"number": number_format(percent, 1)})


def _formatted(number: int) -> str:
    # Below a thousand nothing is grouped, and number_format() is a thirtieth of a bar's cost.
    return str(number) if number < 1000 else number_format(number)


def _clock(moment: datetime, now: datetime | None) -> str:
    """Return the clock time, with the date if that is another day's."""
    now = now or moment
    if timezone.is_aware(now):  # as with USE_TZ
        moment, now = timezone.localtime(moment), timezone.localtime(now)
    time = date_format(moment, "TIME_FORMAT")
    if moment.date() == now.date():
        return time
    # Not SHORT_DATETIME_FORMAT: where a language has none, Django takes the American one.
    return f"{date_format(moment, 'SHORT_DATE_FORMAT')} {time}"
