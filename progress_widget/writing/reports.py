"""What a bar has to tell its row, and how much of that is written: no clock, no database."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from progress_widget.exceptions import OutOfRange
from progress_widget.models import MAX_NUMBER, TaskProgress
from progress_widget.states import State
from progress_widget.writing.contexts import Context, context_here
from progress_widget.writing.snapshots import Snapshot
from progress_widget.writing.values import Assigned


class Outcome(NamedTuple):
    """How an attempt went."""

    state: State
    message: str = ""
    overrule: bool = False
    """Whether the queue says so, which overrules a finalize() that came too early."""

    after: float = 0.0
    """Seconds until the next attempt, if there is one."""


@dataclass(eq=False, kw_only=True)
class Report:
    """What one handle has to tell its row."""

    task_id: str

    starts: bool = False
    """Whether the handle starts the row; one from ``get()`` only finds it."""

    begins: bool = False
    """Whether it only notes that a run has begun whose row is there: that of ``start_task()``."""

    group: str | None = None
    """The id of the group in whose row the task counts, instead of a row of its own.

    "" means that the group, if there is one, has to be looked up.
    """

    stops_with: str | None = None
    """The id of the group that the task is of: who wants the group to stop, wants the task to."""

    is_first_run: bool = False
    """Whether the task has not been run before."""

    is_awaiting: bool = False
    """Whether its row was not there yet; it is looked for again with each heartbeat."""

    takes_over: Report | None = None
    """The report that notes the beginning of the run, until the run makes this bar."""

    is_new_attempt: bool = False
    """Whether the start counts as an attempt; without a start, the end does."""

    label: str = ""
    """What the task is, written with the start; "" leaves that of a row that is there."""

    attempt: int | None = None
    """The attempt that writes have to name.

    None means, for a handle that starts the row, that it has not done so yet; for any other,
    whichever attempt the row is at.
    """

    in_background: bool = False
    """Whether the thread does the writing."""

    is_live: bool = False
    """Whether the task may still report something, so its heartbeat goes on."""

    reached: tuple[int, int] = (0, 0)
    added: int = 0
    total: Assigned[int | None] = field(default_factory=lambda: Assigned(None))
    step: Assigned[str] = field(default_factory=lambda: Assigned(""))

    written: Snapshot = field(init=False)
    """What the row knows."""

    outcome: Outcome | None = None
    """How the attempt went, until the row knows."""

    is_fenced: bool = False
    """Whether the row accepts no more: it has ended, or belongs to a later attempt."""

    is_left_open: bool = False
    """Whether its run is over but not the task: another run may have started the row since."""

    is_cancelled: bool = False
    """Whether the row is known to say that the task is asked to stop."""

    is_asking: bool = False
    """Whether the task wants to know that soon, even if it has nothing to report."""

    is_failing: bool = False
    """Whether the last attempt to write failed."""

    wants_write: bool = False
    """Whether something is left for the thread that is writing inline."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by the thread that is writing inline, since threads may share a handle."""

    context: Context = field(init=False)
    """Makes what each write is done in."""

    def __post_init__(self) -> None:
        self.written = self.snapshot()
        self.context = context_here(self.task_id)

    @classmethod
    def found(cls, row: TaskProgress, *, in_background: bool) -> Report:
        """Return the report of a handle that has found a row and has nothing to tell it yet.

        One that is waiting belongs to no attempt: its task will begin one.
        """
        return cls(
            task_id=row.task_id,
            attempt=None if row.state == State.WAITING else row.attempt,
            in_background=in_background,
            reached=(row.progress, 0),
            total=Assigned(row.total),
            step=Assigned(row.step),
            is_cancelled=row.cancel_asked_at is not None,
        )

    def snapshot(self) -> Snapshot:
        """Return all that the handle reports, as of now."""
        return Snapshot(self.reached, self.added, self.total, self.step)

    @property
    def is_started(self) -> bool:
        """Whether the row has been started, by this handle or by another."""
        return self.attempt is not None or not self.starts

    @property
    def is_to_begin(self) -> bool:
        """Whether the row does not know of the run yet."""
        return self.begins and self.attempt is None and not self.is_fenced

    @property
    def counts_attempt(self) -> bool:
        """Whether the start has to count the attempt: nobody has noted the run's beginning."""
        is_counted = self.takes_over is not None and self.takes_over.attempt is not None
        return self.is_new_attempt and not is_counted

    @property
    def is_pending(self) -> bool:
        """Whether something still has to be written."""
        if self.outcome is not None:
            return True
        is_new = not self.is_started or (self.is_to_begin and not self.is_awaiting)
        has_changes = is_new or bool(self.snapshot().changes_since(self.written))
        return has_changes and not self.is_fenced

    def reach(self, progress: int) -> bool:
        """Take a new progress if it lies within the total; return whether it does."""
        total = self.total.value
        if not 0 <= progress <= (MAX_NUMBER if total is None else total):
            return False
        self.reached = (progress, self.added)
        return True

    def add(self, amount: int) -> None:
        """Add to the progress.

        Raises:
            OutOfRange: The progress would be too large to be stored.
        """
        progress, added_by_then = self.reached
        if progress + self.added - added_by_then + amount > MAX_NUMBER:
            raise OutOfRange(f"progress can be at most {MAX_NUMBER}")
        # A plain attribute: threads that share the handle lose nothing here, as they would
        # through a property.
        self.added += amount

    def assign(
        self,
        known: Snapshot,
        *,
        progress: int | None = None,
        total: Assigned[int | None] | None = None,
        step: Assigned[str] | None = None,
    ) -> None:
        """Take new values, all of them or none; None leaves a value as it is.

        Args:
            known: What the new values must agree with.

        Raises:
            OutOfRange: The progress would be over the total.
        """
        new_total = known.total.value if total is None else total.value
        new_progress = known.progress if progress is None else progress
        if new_total is not None and new_progress > new_total:
            raise OutOfRange(
                f"progress {new_progress} is more than the total of {new_total}; "
                "set a larger total first"
            )
        is_reached = progress is not None or (total is not None and self.snapshot().is_over)
        # The total first: the thread may look in between, and clamps the progress to the total.
        if total is not None:
            self.total = total
        if is_reached:
            self.reached = (new_progress, self.added)
        if step is not None:
            self.step = step

    def laid_over(self, row: TaskProgress) -> Snapshot:
        """Return what the row will say once this report has been written."""
        changes = self.snapshot().changes_since(self.written)
        return Snapshot(
            reached=(changes.get("progress", row.progress) + changes.get("added", 0), 0),
            added=0,
            total=Assigned(changes.get("total", row.total)),
            step=Assigned(changes.get("step", row.step)),
        )

    def end(self, outcome: Outcome) -> None:
        """Take the outcome.

        Once the row has ended, only the queue may say otherwise; and what fail() said stays, even
        while it could not be written.
        """
        has_failed = self.outcome is not None and self.outcome.state == State.FAILED
        if not has_failed and (outcome.overrule or not self.is_fenced):
            self.outcome = outcome

    def forget(self, outcome: Outcome | None) -> None:
        """Drop this outcome, but not another that came while it was being written."""
        if self.outcome is outcome:
            self.outcome = None

    def give_up(self) -> None:
        """Drop what could not be written and never will be: the outcome only if it is all."""
        snapshot = self.snapshot()
        if not self.is_started or not snapshot.changes_since(self.written):
            self.outcome = None
        self.written = snapshot
        self.is_fenced = self.is_fenced or not self.is_started or self.is_to_begin


def in_order(reports: Iterable[Report]) -> list[Report]:
    """Return reports as they have to be written: those that end a row after all others."""
    return sorted(reports, key=lambda report: report.outcome is not None)
