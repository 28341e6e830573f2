"""What one bar shows at one moment."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from progress_widget.conf import conf
from progress_widget.models import State, TaskProgress
from progress_widget.reading import tickets
from progress_widget.reading.tickets import Ticket
from progress_widget.texts import ERROR, LATE, REASONS, SILENT

SLOWEST = 10_000
STALLED = "stalled"
UNKNOWN = "unknown"
REFUSED = "refused"

TEXTS = {
    State.WAITING: _("Waiting to start"),
    State.RUNNING: _("Running"),
    State.RETRYING: _("Attempt %(number)s will follow"),
    State.SUCCEEDED: _("Complete"),
    State.FAILED: _("Failed"),
    State.CANCELLED: _("Cancelled"),
    STALLED: _("No news"),
    UNKNOWN: _("This task is no longer known"),
    REFUSED: _("This progress can't be shown"),
}


class Version(NamedTuple):
    """What a page shows, as a poll says it in ``v``: "1.running.420.1f2e3d4c"."""

    attempt: int
    state: str
    tenths: int | None
    """Tenths of a percent; None while the total is unknown."""
    digest: str

    def __str__(self) -> str:
        tenths = "" if self.tenths is None else self.tenths
        return f"{self.attempt}.{self.state}.{tenths}.{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """Give what ``v`` says; None when it is not what this package writes."""
        found = re.fullmatch(r"([0-9]{1,10})\.([a-z]{1,16})\.([0-9]{0,4})\.([0-9a-f]{8})", text)
        if found is None:
            return None
        attempt, state, tenths, digest = found.groups()
        return cls(int(attempt), state, int(tenths) if tenths else None, digest)


class Fragment:
    """What one bar shows at one moment. Templates get it as ``fragment``.

    Args:
        shown: ``v`` as the page sent it; "" at the first rendering.
        now: Aware, but naive where USE_TZ is off; None: the present.
    """

    def __init__(
        self, row: TaskProgress, ticket: Ticket, *, shown: str = "", now: datetime | None = None
    ) -> None:
        self.row = row
        self.ticket = ticket
        self.shown = Version.parse(shown)
        self.now = now or timezone.now()

    @property
    def has_row(self) -> bool:
        """Whether anything has been recorded for the task."""
        return not self.row._state.adding

    @cached_property
    def state(self) -> str:
        """What has become of the task, as the page says it.

        A State; or "stalled"; or "unknown": the page has shown a row that is there no more. A
        shared bar that nobody ends has succeeded when it is at its total.
        """
        if not self.has_row and self.shown is not None and self.shown.state != State.WAITING:
            return UNKNOWN
        if self.row.is_finished and not self.row.is_ended:
            return State.SUCCEEDED.value
        return STALLED if self.row.is_stalled(self.now) else str(self.row.state)

    @property
    def is_finished(self) -> bool:
        """Whether the page stops asking."""
        return self.row.is_finished

    @property
    def percent(self) -> float | None:
        """0 to 100, or None: unknown, or nothing has begun."""
        return None if self.state in (State.WAITING, UNKNOWN) else self.row.percent

    @property
    def as_percent(self) -> str:
        """The percentage with the digits of the active language."""
        if self.percent is None:
            return ""
        # Translators: a percentage; some languages put a space before the sign.
        return gettext("%(number)s%%") % {"number": number_format(self.percent, 1)}

    @property
    def label(self) -> str:
        """What the task is; "" when neither page nor row says it."""
        return self.ticket.label or self.row.label

    @property
    def numbers(self) -> str:
        """How much of how much, where that says more than the percentage."""
        row = self.row
        if self.state in (State.WAITING, UNKNOWN) or row.total == 100 or not row.progress:
            return ""
        progress = number_format(row.progress)
        if row.total is None:
            return progress
        return gettext("%(progress)s of %(total)s") % {
            "progress": progress,
            "total": number_format(row.total),
        }

    @property
    def text(self) -> str:
        """What is going on, in a few words."""
        row = self.row
        text = str(TEXTS.get(self.state, self.state))
        if self.state == State.RETRYING:
            return text % {"number": number_format(row.attempt + 1)}
        if self.state != State.RUNNING:
            return text
        if row.attempt < 2:
            return row.step or text
        attempt = gettext("Attempt %(number)s") % {"number": number_format(row.attempt)}
        return ": ".join(filter(None, (attempt, row.step)))

    @property
    def message(self) -> str:
        """What a person should know besides, and can do; or ""."""
        if self.state == State.WAITING:
            return self._since(LATE, self._waiting_since) if self.is_late else ""
        if self.state == STALLED:
            return self._since(SILENT, self.row.updated_at)
        if self.state == UNKNOWN:
            return gettext("What was recorded of it has been removed.")
        if self.state == State.RETRYING:
            return gettext("The last attempt did not succeed. Nothing needs to be done.")
        reason = self.row.message or (ERROR if self.state == State.FAILED else "")
        return gettext(reason) if reason in REASONS else reason

    @property
    def interval(self) -> int:
        """Milliseconds until the next poll; longer while there is little to expect."""
        interval = self.ticket.interval
        slow = self.is_late or self.state in (STALLED, UNKNOWN)
        return max(interval, min(interval * 5, SLOWEST)) if slow else interval

    @cached_property
    def is_late(self) -> bool:
        """Whether the task has waited for longer than STALLED_AFTER."""
        waited = self.now - self._waiting_since
        return self.state == State.WAITING and waited > timedelta(seconds=conf.stalled_after)

    @cached_property
    def version(self) -> Version:
        """What this fragment shows."""
        said = (self.label, self.text, self.message, self.numbers, self.interval, self.is_finished)
        tenths = None if self.percent is None else round(self.percent * 10)
        digest = blake2b(repr(said).encode(errors="replace"), digest_size=4).hexdigest()
        return Version(self.row.attempt, self.state, tenths, digest)

    @property
    def is_shown(self) -> bool:
        """Whether the page shows just this."""
        return self.version == self.shown

    @property
    def announcement(self) -> str:
        """What a screen reader is to say: at the start, at quarters, at the end and at trouble."""
        if self.shown is None:
            return ""
        if self.version.state != self.shown.state:
            parts = (self.label, self.text, self.message)
            return ": ".join(filter(None, parts))
        if _quarter(self.version) > _quarter(self.shown):
            return " ".join(filter(None, (self.label, self.as_percent)))
        return ""

    @property
    def token(self) -> str:
        """The token of the next poll."""
        return tickets.sign(self.ticket)

    @property
    def _waiting_since(self) -> datetime:
        if self.has_row:
            return self.row.created_at
        # As now is: aware, or naive where USE_TZ is off.
        return datetime.fromtimestamp(self.ticket.since, tz=self.now.tzinfo)

    def _since(self, sentence: str, moment: datetime) -> str:
        return gettext(sentence) % {"time": self._clock(moment)}

    def _clock(self, moment: datetime) -> str:
        """Clock time, with the date when that is another day's."""
        local, today = moment, self.now
        if timezone.is_aware(today):  # as with USE_TZ
            local, today = timezone.localtime(moment), timezone.localtime(today)
        time = date_format(local, "TIME_FORMAT")
        if local.date() == today.date():
            return time
        # Not SHORT_DATETIME_FORMAT: where a language has none, Django takes the American one.
        return f"{date_format(local, 'SHORT_DATE_FORMAT')} {time}"


def _quarter(version: Version) -> int:
    return (version.tenths or 0) // 250
