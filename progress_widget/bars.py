"""The bar: the handle by which a task reports its progress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar

from progress_widget import exceptions, queues
from progress_widget.exceptions import DoesNotExist, OutOfRange
from progress_widget.measures import percent_of, percent_text
from progress_widget.models import (
    MAX_NUMBER,
    MESSAGE_LENGTH,
    STEP_LENGTH,
    TASK_ID_LENGTH,
    State,
    TaskProgress,
    cropped,
    has_heartbeat,
)
from progress_widget.texts import COMPLETE
from progress_widget.writing.background import background
from progress_widget.writing.flushing import flush
from progress_widget.writing.reports import News, Outcome, Said
from progress_widget.writing.saving import read

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
        self.task_id = _valid_task_id(task_id)
        self.dynamic = dynamic
        self._request = queues.current_run() if self.task_id else None
        self._owned = self._request is not None and self._request.id == self.task_id
        self._joined = False
        self._ended: str | None = None
        self._final: Said | None = None
        if _getter and self.task_id:
            self._news = self._found()
            return
        self._news = News(
            self.task_id,
            starts=True,
            total=None if total is None else _whole_number(total, "total"),
            step="" if step is None else cropped(step, STEP_LENGTH),
            new_attempt=self._owned and not any(news.new_attempt for news in self._companions()),
            in_background=self._is_background(),
        )
        self._flush()

    @classmethod
    def get(cls, task_id: object) -> ProgressBar:
        """Give a handle on the bar of a task that has been started elsewhere.

        Raises:
            DoesNotExist: Nothing is recorded for the task.
        """
        return cls(task_id, _getter=True)

    def update(self, *, progress: Any = None, step: object = None, total: Any = None) -> None:
        """Say where the task stands; None leaves a value as it is.

        Raises:
            ValueError: A number is not whole.
            OutOfRange: The progress is negative or over the total, or the total is below the
                progress. Nothing has changed then.
        """
        news = self._news
        if type(progress) is int and step is None and total is None and not self.dynamic:
            # The usual call of a tight loop: a fifth of the cost of the full check.
            most = news.total[0]
            if 0 <= progress <= (MAX_NUMBER if most is None else most):
                news.reached = (progress, news.added)
                self._store()
                return
        self._say(
            None if progress is None else _whole_number(progress, "progress"),
            None if total is None else (_whole_number(total, "total"),),
            None if step is None else (cropped(step, STEP_LENGTH),),
        )
        self._store()

    def advance(self, amount: Any = 1) -> None:
        """Add to the progress, in the database: any number of workers may share one bar.

        What would go over the total stays at the total. Written at most every WRITE_INTERVAL, and
        when the bar or the task ends.

        Raises:
            ValueError: The amount is not a whole number.
            OutOfRange: It is negative, or the progress would be too large to be stored.
        """
        if type(amount) is not int or not 0 <= amount <= MAX_NUMBER:
            amount = _whole_number(amount, "amount")
        news = self._news
        if news.reached[0] - news.reached[1] + news.added + amount > MAX_NUMBER:
            raise OutOfRange(f"progress can be at most {MAX_NUMBER}")
        # A plain attribute: threads that share the handle lose nothing here, as they would
        # through a property.
        news.added += amount
        if not self._joined:
            self._join()
        if not news.in_background and monotonic() >= news.due_at:
            self._flush()

    def track(self, iterable: Iterable[T], total: Any = None) -> Iterator[T]:
        """Go through an iterable and count what has been done with its items.

        Starts at 0 and does not finalize. The length of a queryset loads all of it: give
        ``total=rows.count()`` with ``rows.iterator()``.

        Args:
            total: How many items there are; None: the iterable's length, or unknown.

        Raises:
            ValueError, OutOfRange: As ``update()``, of the total.
        """
        if total is None:
            length = getattr(iterable, "__len__", None)
            total = length() if length else None
        else:
            total = _whole_number(total, "total")
        self._say(0, (total,), None)
        self._store()
        return self._counted(iterable)

    def finalize(self) -> None:
        """End the bar well: progress = total, step "Complete"."""
        self._finish(Outcome(State.SUCCEEDED))

    def fail(self, message: object = "") -> None:
        """End the bar as failed.

        Args:
            message: Why, for the people who watch; never the text of an exception, which may
                hold secrets. More than 1,000 characters are cut off.
        """
        self._finish(Outcome(State.FAILED, cropped(message, MESSAGE_LENGTH)))

    @property
    def progress(self) -> int:
        """How much is done; assigning does what ``update(progress=...)`` does."""
        return self._known().progress

    @progress.setter
    def progress(self, value: Any) -> None:
        self.update(progress=value)

    @property
    def total(self) -> int | None:
        """What progress counts up to, None when unknown; may be assigned, None too."""
        return self._known().total[0]

    @total.setter
    def total(self, value: Any) -> None:
        self._say(None, (None if value is None else _whole_number(value, "total"),), None)
        self._store()

    @property
    def step(self) -> str:
        """What is being done now; assigning does what ``update(step=...)`` does."""
        return self._known().step[0]

    @step.setter
    def step(self, value: object) -> None:
        self.update(step="" if value is None else value)

    @property
    def as_percent(self) -> str:
        """The percentage as text, such as "42.0%"; "" while the total is unknown."""
        known = self._known()
        succeeded = self._ended == State.SUCCEEDED
        return percent_text(percent_of(known.progress, known.total[0], succeeded=succeeded))

    def __str__(self) -> str:
        known = self._known()
        of_total = "" if known.total[0] is None else f" / {known.total[0]}"
        return f"{known.progress}{of_total} | {known.step[0]}"

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
        elif self._owned:
            # Celery's Retry is an exception too: only the end of the task tells what this is.
            self._flush()
        else:
            self.fail()

    def _say(
        self,
        progress: int | None,
        total: tuple[int | None] | None,
        step: tuple[str] | None,
    ) -> None:
        """Check all, then take all; what is None stays as it is."""
        known = self._known()
        new_total = known.total[0] if total is None else total[0]
        new_progress = known.progress if progress is None else progress
        if new_total is not None and new_progress > new_total:
            raise OutOfRange(
                f"progress {new_progress} is more than the total of {new_total}; "
                "set a larger total first"
            )
        if progress is not None or (total is not None and self._news.said().is_over):
            self._news.reached = (new_progress, self._news.added)
        if total is not None:
            self._news.total = total
        if step is not None:
            self._news.step = step

    def _known(self) -> Said:
        """What this handle knows; of a dynamic one, the row under its own unwritten news."""
        said = self._news.said()
        if not (self.dynamic and self.task_id):
            return self._final or said
        row = read(self._news)
        if row is None:
            return self._final or said
        if row.is_ended:
            self._ended = row.state
        news = said.since(self._news.told)
        return Said(
            reached=(news.get("progress", row.progress) + news.get("added", 0), 0),
            added=0,
            total=(news.get("total", row.total),),
            step=(news.get("step", row.step),),
        )

    def _counted(self, iterable: Iterable[T]) -> Iterator[T]:
        news, inline = self._news, not self._news.in_background
        added = news.added
        try:
            for done, item in enumerate(iterable, 1):
                yield item
                news.reached = (done, added)
                if inline and monotonic() >= news.due_at:
                    self._flush()
        finally:
            self._store()

    def _finish(self, outcome: Outcome) -> None:
        if self._ended is None:
            self._ended = outcome.state
            if outcome.state == State.SUCCEEDED:
                said = self._news.said()
                total = said.progress if said.total[0] is None else said.total[0]
                self._final = Said((total, 0), 0, (total,), (COMPLETE,))
        self._news.end(outcome)
        self._flush()

    def _store(self) -> None:
        """Leave the news to the thread, which looks for it; inline, write."""
        if not self._joined:
            self._join()
        if not self._news.in_background:
            self._flush()

    def _flush(self) -> None:
        if not self._joined:
            self._join()
        if self.task_id:
            flush(self._news)

    def _join(self) -> None:
        """Hang on the request, where the end of the task finds what this handle says."""
        self._joined = True
        if self._request is not None:
            # In one step each, since threads may share a task's handles.
            self._request.__dict__.setdefault("progress_bars", []).append(self._news)
        if self._news.in_background:
            background.take(self._news)

    def _companions(self) -> list[News]:
        return getattr(self._request, "progress_bars", [])

    def _found(self) -> News:
        row = TaskProgress.objects.filter(task_id=self.task_id).first()
        if row is None:
            raise DoesNotExist(self.task_id)
        if row.is_ended:
            self._ended = row.state
        return News(
            row.task_id,
            starts=False,
            progress=row.progress,
            total=row.total,
            step=row.step,
            attempt=row.attempt,
            in_background=self._is_background(),
        )

    def _is_background(self) -> bool:
        return self._request is not None and not self._request.is_eager and has_heartbeat()


def _valid_task_id(task_id: object) -> str:
    text = "" if task_id is None else str(task_id)
    if len(text) > TASK_ID_LENGTH or "\0" in text:
        raise ValueError(f"A task id has at most {TASK_ID_LENGTH} characters and no NUL: {text!r}")
    return text


def _whole_number(value: Any, name: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if not isinstance(value, str) and number != value:
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if not 0 <= number <= MAX_NUMBER:
        raise OutOfRange(f"{name} must be from 0 to {MAX_NUMBER}, not {number}")
    return number
