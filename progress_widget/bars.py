"""The bar: the handle through which a task reports its progress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from progress_widget import exceptions, queues
from progress_widget.measures import percent_of, percent_text
from progress_widget.models import MAX_NUMBER, MESSAGE_LENGTH
from progress_widget.states import State
from progress_widget.texts import REVOKED, cropped
from progress_widget.writing.flushing import Outlet
from progress_widget.writing.opening import found_report, is_own, new_report
from progress_widget.writing.reports import Outcome
from progress_widget.writing.saving import read
from progress_widget.writing.snapshots import Snapshot
from progress_widget.writing.tracking import counted, until_cancelled
from progress_widget.writing.values import step_of, task_id_of, total_of, whole_number

T = TypeVar("T")


class ProgressBar:
    """Reports how far a task has come; the task's row stores it for the pages.

    Example::

        @shared_task(bind=True)
        def dry_kelp(self, leaves):
            bar = ProgressBar(self.request.id, total=len(leaves), step="Drying kelp...")
            for leaf in bar.track(leaves):
                dry(leaf)

    The row ends with the task; ``finalize()`` ends it earlier. A bar whose task id is None or ""
    (the task was called as a plain function) keeps its numbers in memory only.

    Args:
        task_id: The task's id, as text or a UUID; at most 255 characters.
        total: What progress counts up to; None means unknown.
        step: What is being done now; cut to 255 characters.
        dynamic: Whether each read queries the row, to which others may write as well. Otherwise
            reads return what this handle knows.
        _getter: Whether to take the row as it is, as ``get()`` does; the rest is then ignored.
        label: What the task is, for people; cut to 255 characters. "" leaves that of a row that is
            there, as ``start_task()`` makes it.

    Raises:
        ValueError: The total is not a whole number, or the task id is too long or has a NUL.
        OutOfRange: The total is negative or over 2**63 - 1.
        DoesNotExist: With _getter, there is no such row.
    """

    exceptions = exceptions

    def __init__(
        self,
        task_id: object,
        total: Any = 100,
        step: object = None,
        dynamic: bool = False,
        _getter: bool = False,
        *,
        label: object = "",
    ) -> None:
        self.task_id = task_id_of(task_id)
        self.dynamic = dynamic
        self._run = queues.current_run(self.task_id) if self.task_id else None
        self._is_own = is_own(self.task_id, self._run)
        self._ended: str | None = None
        self._final: Snapshot | None = None
        if _getter and self.task_id:
            self._report, self._ended = found_report(self.task_id, self._run)
        else:
            self._report = new_report(self.task_id, self._run, total=total, step=step, label=label)
        self._outlet = Outlet(self._report, self._run)
        if self._report.starts:
            self._outlet.flush()

    @classmethod
    def get(cls, task_id: object) -> ProgressBar:
        """Return a handle on a bar that was started elsewhere.

        Raises:
            DoesNotExist: Nothing is recorded for the task.
        """
        return cls(task_id, _getter=True)

    def update(self, *, progress: Any = None, step: object = None, total: Any = None) -> None:
        """Report where the task stands; None leaves a value as it is.

        Raises:
            ValueError: A number is not whole.
            OutOfRange: The progress is negative or over the total, or the total is below the
                progress. Nothing is changed then.
        """
        # The usual call in a tight loop comes first, since it costs a fifth of the full check.
        is_usual = type(progress) is int and step is None and total is None and not self.dynamic
        if not (is_usual and self._report.reach(progress)):
            self._report.assign(
                self._known(),
                progress=None if progress is None else whole_number(progress, "progress"),
                total=None if total is None else total_of(total),
                step=None if step is None else step_of(step),
            )
        self._outlet.write()

    def advance(self, amount: Any = 1) -> None:
        """Add to the progress in the database, so that any number of workers may share one bar.

        The progress stops at the total. It is written at most every WRITE_INTERVAL, and when the
        bar or the task ends.

        Raises:
            ValueError: The amount is not a whole number.
            OutOfRange: The amount is negative, or the progress would be too large to be stored.
        """
        if type(amount) is not int or not 0 <= amount <= MAX_NUMBER:
            amount = whole_number(amount, "amount")
        self._report.add(amount)
        self._outlet.write_when_due()

    def track(self, iterable: Iterable[T], total: Any = None, *, stop: bool = False) -> Iterator[T]:
        """Yield the items of an iterable and count those that are done.

        Starts at 0 and does not finalize. Taking the length of a queryset loads all of it: pass
        ``rows.iterator()`` with ``total=rows.count()``.

        Args:
            total: How many items there are; None means the iterable's length, or unknown if it
                has none.
            stop: Whether to end the loop once the task is asked to stop.

        Raises:
            ValueError, OutOfRange: As in ``update()``, for the total.
            Cancelled: In the loop, with ``stop``, instead of taking the next item.
        """
        if total is None:
            length = getattr(iterable, "__len__", None)
            total = length() if length else None
        self._report.assign(self._known(), progress=0, total=total_of(total))
        self._outlet.write()
        wanted = until_cancelled(iterable, self._outlet) if stop else iterable
        return counted(wanted, self._outlet)

    def finalize(self) -> None:
        """End the bar as succeeded: progress = total, step "Complete"."""
        self._end(Outcome(State.SUCCEEDED))

    def fail(self, message: object = "") -> None:
        """End the bar as failed.

        Args:
            message: The reason, for the people who watch; never the text of an exception, which
                may hold secrets. Cut to 1,000 characters.
        """
        self._end(Outcome(State.FAILED, cropped(message, MESSAGE_LENGTH)))

    @property
    def progress(self) -> int:
        """How much is done; assigning does what ``update(progress=...)`` does."""
        return self._known().progress

    @progress.setter
    def progress(self, value: Any) -> None:
        self.update(progress=value)

    @property
    def total(self) -> int | None:
        """What progress counts up to, or None if unknown; either may be assigned."""
        return self._known().total.value

    @total.setter
    def total(self, value: Any) -> None:
        self._report.assign(self._known(), total=total_of(value))
        self._outlet.write()

    @property
    def step(self) -> str:
        """What is being done now; assigning does what ``update(step=...)`` does."""
        return self._known().step.value

    @step.setter
    def step(self, value: object) -> None:
        self.update(step="" if value is None else value)

    @property
    def as_percent(self) -> str:
        """The progress in percent, such as "42.0%"; "" while the total is unknown."""
        known = self._known()
        succeeded = self._ended == State.SUCCEEDED
        return percent_text(percent_of(known.progress, known.total.value, succeeded=succeeded))

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has asked the task to stop; it is for the task to do so.

        Known WRITE_INTERVAL after it was asked for, and still true in further attempts. Ask as
        often as you like: in a worker that costs no query beyond those that report.
        """
        return self._outlet.is_cancelled()

    def __str__(self) -> str:
        known = self._known()
        of_total = "" if known.total.value is None else f" / {known.total.value}"
        return f"{known.progress}{of_total} | {known.step.value}"

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.finalize()
        elif self._is_own:
            # Celery's Retry is an exception too: only the end of the task shows what this means.
            self._outlet.flush()
        elif isinstance(exc, exceptions.Cancelled):
            self._end(Outcome(State.CANCELLED, REVOKED))
        else:
            self.fail()

    def _known(self) -> Snapshot:
        """Return what this handle knows; if it is dynamic, its report laid over the row."""
        row = read(self._report) if self.dynamic and self.task_id else None
        if row is not None and row.is_ended:
            self._ended = row.state
        if row is not None:
            return self._report.laid_over(row)
        return self._final or self._report.snapshot()

    def _end(self, outcome: Outcome) -> None:
        if self._ended is None:
            self._ended = outcome.state
            if outcome.state == State.SUCCEEDED:
                self._final = self._report.snapshot().at_the_end()
        self._report.end(outcome)
        self._outlet.flush()
