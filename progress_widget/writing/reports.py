"""What a bar has to tell its row."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from progress_widget.models import State


class Said(NamedTuple):
    """What a handle says of its row.

    Each value that can be set is kept in a tuple made anew by each setting: by its identity an
    old value said again (news, since others may have changed the row) is told from no news.
    """

    reached: tuple[int, int]
    """The progress that was set, and what had been added in all until then."""

    added: int
    """What has been added in all."""

    total: tuple[int | None]
    step: tuple[str]

    @property
    def progress(self) -> int:
        """The progress as the handle knows it, within the total."""
        progress = self.reached[0] + self.added - self.reached[1]
        return progress if self.total[0] is None else min(progress, self.total[0])

    @property
    def is_over(self) -> bool:
        """Whether more has been added than the total takes."""
        return self.progress < self.reached[0] + self.added - self.reached[1]

    def since(self, told: Said) -> dict[str, Any]:
        """Give what is news to a row that has been told so much, as save_news() takes it."""
        news: dict[str, Any] = {}
        if self.reached is not told.reached:
            news["progress"] = self.progress
        elif self.added != told.added:
            news["added"] = self.added - told.added
        if self.total is not told.total:
            news["total"] = self.total[0]
        if self.step is not told.step:
            news["step"] = self.step[0]
        return news


class Outcome(NamedTuple):
    """How an attempt went."""

    state: State
    message: str = ""
    overrule: bool = False
    """Whether Celery says so, who knows better than a finalize() too early."""


class News:
    """What one handle says, and how much of that its row has been told.

    Attributes:
        starts: Whether this handle starts the row; one from ``get()`` only finds it.
        new_attempt: Whether starting counts as a run by Celery.
        attempt: The attempt that writes have to name. None: of a handle that starts the row,
            that it has not yet; of any other, whichever the row is at.
        outcome: How it ended, until the row has been told.
        closed: Whether the row has ended, or belongs to a later attempt.
        in_background: Whether the thread does the writing.
        is_open: Whether a task may still say something, so that the row's heart has to beat.
        failing: Whether the last write failed.
        lock: Held by who writes inline: threads may share a handle.
        untold: Whether an inline write has to be made.
        due_at: When the next inline write of a loop may be, on the monotonic clock.
        written_at: When the thread has last tried.
        waiting: Those who wait for the thread's next attempt.
    """

    def __init__(
        self,
        task_id: str,
        *,
        starts: bool,
        progress: int = 0,
        total: int | None = None,
        step: str = "",
        attempt: int | None = None,
        new_attempt: bool = False,
        in_background: bool = False,
    ) -> None:
        self.task_id = task_id
        self.starts = starts
        self.new_attempt = new_attempt
        self.attempt = attempt
        self.reached = (progress, 0)
        self.added = 0
        self.total = (total,)
        self.step = (step,)
        self.told = self.said()
        self.outcome: Outcome | None = None
        self.closed = False
        self.in_background = in_background
        self.is_open = in_background
        self.failing = False
        self.lock = threading.Lock()
        self.untold = False
        self.due_at = 0.0
        self.written_at = 0.0
        self.waiting: list[threading.Event] = []

    def said(self) -> Said:
        """Give all that the handle says, as of now."""
        return Said(self.reached, self.added, self.total, self.step)

    @property
    def owes(self) -> bool:
        """Whether the row has to be told something."""
        if self.outcome is not None:
            return True
        unstarted = self.starts and self.attempt is None
        return not self.closed and (unstarted or bool(self.said().since(self.told)))

    def end(self, outcome: Outcome) -> None:
        """Say how it went.

        Once the row has ended, only Celery may say otherwise; and what fail() said stays, also
        while it could not be written.
        """
        has_failed = self.outcome is not None and self.outcome.state == State.FAILED
        if not has_failed and (outcome.overrule or not self.closed):
            self.outcome = outcome

    def settle(self, outcome: Outcome | None) -> None:
        """Owe this outcome no more; another may have been said while it was written."""
        if self.outcome is outcome:
            self.outcome = None

    def drop(self) -> None:
        """Give up what could not be written and never will be."""
        self.told = self.said()
        self.outcome = None
        self.closed = self.closed or self.attempt is None
