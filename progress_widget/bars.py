"""The bar: the handle by which a task reports its progress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from progress_widget import exceptions, queues
from progress_widget.exceptions import DoesNotExist
from progress_widget.measures import percent_of, percent_text
from progress_widget.models import MAX_NUMBER, MESSAGE_LENGTH, TaskProgress, has_heartbeat
from progress_widget.states import State
from progress_widget.texts import cropped
from progress_widget.writing.flushing import Outlet
from progress_widget.writing.reports import Outcome, Report, Snapshot, reports_of
from progress_widget.writing.saving import read
from progress_widget.writing.values import step_of, task_id_of, total_of, whole_number

T = TypeVar("T")


class ProgressBar:
    """Reports how far a task has come; the row of the task keeps it for the pages.

    Example::

        @shared_task(bind=True)
        def dry_kelp(self, leaves):
            bar = ProgressBar(self.request.id, total=len(leaves), step="Drying kelp...")
            for leaf in bar.track(leaves):
                dry(leaf)

    The row ends with the task; ``finalize()`` ends it earlier. A bar whose task id is None or ""
    (the task was called as a plain function) keeps its numbers to itself.

    Args:
        task_id: The task's id; a UUID will do. At most 255 characters.
        total: What progress counts up to; None while that is not known.
        step: What is being done now; more than 255 characters are cut off.
        dynamic: Whether each read asks the row, which others may write to as well. Otherwise
            reads give what this handle knows.
        _getter: Take the row as it is, as ``get()`` does; total and step are then ignored.

    Raises:
        ValueError: The total is not a whole number, or the task id is too long.
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
    ) -> None:
        self.task_id = task_id_of(task_id)
        self.dynamic = dynamic
        self._run = queues.current_run() if self.task_id else None
        self._is_own = self._run is not None and self._run.id == self.task_id
        self._ended: str | None = None
        if _getter and self.task_id:
            self._report = self._found()
        else:
            self._report = self._new(total, step)
        self._outlet = Outlet(self._report, self._run)
        if self._report.starts:
            self._outlet.flush()

    @classmethod
    def get(cls, task_id: object) -> ProgressBar:
        """Return a handle on the bar of a task that has been started elsewhere.

        Raises:
            DoesNotExist: Nothing is recorded for the task.
        """
        return cls(task_id, _getter=True)

    def update(self, *, progress: Any = None, step: object = None, total: Any = None) -> None:
        """Report where the task stands; None leaves a value as it is.

        Raises:
            ValueError: A number is not whole.
            OutOfRange: The progress is negative or over the total, or the total is below the
                progress. Nothing has changed then.
        """
        # The usual call of a tight loop comes first: it takes a fifth of the full check.
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
        """Add to the progress, in the database: any number of workers may share one bar.

        What would go over the total stays at the total. Written at most every WRITE_INTERVAL, and
        when the bar or the task ends.

        Raises:
            ValueError: The amount is not a whole number.
            OutOfRange: It is negative, or the progress would be too large to be stored.
        """
        if type(amount) is not int or not 0 <= amount <= MAX_NUMBER:
            amount = whole_number(amount, "amount")
        self._report.add(amount)
        self._outlet.write_when_due()

    def track(self, iterable: Iterable[T], total: Any = None) -> Iterator[T]:
        """Go through an iterable and count what has been done with its items.

        Starts at 0 and does not finalize. The length of a queryset loads all of it: give
        ``total=rows.count()`` with ``rows.iterator()``.

        Args:
            total: How many items there are; None means the iterable's length, or unknown.

        Raises:
            ValueError, OutOfRange: As ``update()``, of the total.
        """
        if total is None:
            length = getattr(iterable, "__len__", None)
            total = length() if length else None
        self._report.assign(self._known(), progress=0, total=total_of(total))
        self._outlet.write()
        return self._counted(iterable)

    def finalize(self) -> None:
        """End the bar well: progress = total, step "Complete"."""
        self._end(Outcome(State.SUCCEEDED))

    def fail(self, message: object = "") -> None:
        """End the bar as failed.

        Args:
            message: Why, for the people who watch; never the text of an exception, which may
                hold secrets. More than 1,000 characters are cut off.
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
        """What progress counts up to, None if unknown; may be assigned, None too."""
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
        """The percentage as text, such as "42.0%"; "" while the total is unknown."""
        known = self._known()
        succeeded = self._ended == State.SUCCEEDED
        return percent_text(percent_of(known.progress, known.total.value, succeeded=succeeded))

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
            # Celery's Retry is an exception too: only the end of the task tells what this is.
            self._outlet.flush()
        else:
            self.fail()

    def _known(self) -> Snapshot:
        """Return what this handle knows; of a dynamic one, its own report laid over the row."""
        row = read(self._report) if self.dynamic and self.task_id else None
        if row is not None and row.is_ended:
            self._ended = row.state
        if row is not None:
            return self._report.laid_over(row)
        snapshot = self._report.snapshot()
        return snapshot.completed() if self._ended == State.SUCCEEDED else snapshot

    def _counted(self, iterable: Iterable[T]) -> Iterator[T]:
        report, outlet = self._report, self._outlet
        inline, added = not report.in_background, report.added
        try:
            for done, item in enumerate(iterable, 1):
                yield item
                # The hot path: not even a call of a method.
                report.reached = (done, added)
                if inline:
                    outlet.write_when_due()
        finally:
            self._outlet.write()

    def _end(self, outcome: Outcome) -> None:
        self._ended = self._ended or outcome.state
        self._report.end(outcome)
        self._outlet.flush()

    def _new(self, total: Any, step: object) -> Report:
        has_begun = self._run is not None and any(
            report.is_new_attempt for report in reports_of(self._run)
        )
        return Report(
            task_id=self.task_id,
            starts=True,
            is_new_attempt=self._is_own and not has_begun,
            in_background=self._in_background(),
            total=total_of(total),
            step=step_of(step),
        )

    def _found(self) -> Report:
        row = TaskProgress.objects.for_tasks([self.task_id])[self.task_id]
        if row.pk is None:
            raise DoesNotExist(self.task_id)
        if row.is_ended:
            self._ended = row.state
        return Report.found(row, in_background=self._in_background())

    def _in_background(self) -> bool:
        return self._run is not None and not self._run.is_eager and has_heartbeat()
