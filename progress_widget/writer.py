"""When a bar's news reaches the row.

Inline: on the caller's own connection, at once or at most every WRITE_INTERVAL. Whatever goes
wrong with the database is logged, and what could not be written goes with the next write: reporting
never breaks the task that reports.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any, NamedTuple

from django.db import Error, router, transaction

from progress_widget.conf import conf
from progress_widget.models import State, TaskProgress

logger = logging.getLogger("progress_widget")


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
        attempt: The attempt that writes have to name; None until the row has been started.
        outcome: How it ended, until the row has been told.
        closed: Whether the row has ended, or belongs to a later attempt.
        failing: Whether the last write failed.
        due_at: When a loop may write again, on the monotonic clock.
    """

    def __init__(
        self,
        task_id: str,
        *,
        progress: int = 0,
        total: int | None,
        step: str,
        attempt: int | None = None,
        new_attempt: bool = False,
    ) -> None:
        self.task_id = task_id
        self.starts = attempt is None
        self.new_attempt = new_attempt
        self.attempt = attempt
        self.reached = (progress, 0)
        self.added = 0
        self.total = (total,)
        self.step = (step,)
        self.told = self.said()
        self.outcome: Outcome | None = None
        self.closed = False
        self.failing = False
        self.due_at = 0.0

    def said(self) -> Said:
        """Give all that the handle says, as of now."""
        return Said(self.reached, self.added, self.total, self.step)


def write(news: News) -> None:
    """Let the row know all, on the caller's connection; a failure is logged once per outage."""
    news.due_at = monotonic() + conf.write_interval
    if news.closed and news.outcome is None:
        return
    alias = router.db_for_write(TaskProgress)
    try:
        if transaction.get_connection(alias).in_atomic_block:
            # A savepoint, or PostgreSQL would refuse the caller's next query after an error.
            with transaction.atomic(using=alias):
                tell(news, alias)
        else:
            tell(news, alias)
    except Error:
        if not news.failing:
            logger.exception("The progress of task %s could not be written", news.task_id)
        news.failing = True
    else:
        news.failing = False


def tell(news: News, alias: str) -> None:
    """Bring the row up to what the handle says.

    Raises:
        django.db.Error: Nothing of it counts as told.
    """
    rows = TaskProgress.objects.using(alias)
    if news.attempt is None:
        total, step = news.said()[2:]
        news.attempt = rows.start(
            news.task_id, total=total[0], step=step[0], new_attempt=news.new_attempt
        )
        news.told = news.told._replace(total=total, step=step)
    if _updated(news, alias):
        return
    if news.starts and not rows.filter(task_id=news.task_id).exists():
        said = news.said()
        rows.create(
            task_id=news.task_id,
            attempt=news.attempt,
            total=said.total[0],
            progress=said.progress,
            step=said.step[0],
        )
        news.told = said
        _updated(news, alias)
    else:
        news.closed = True
        news.outcome = None


def _updated(news: News, alias: str) -> bool:
    """Write what the row has not been told; False when no row would take it."""
    rows = TaskProgress.objects.using(alias)
    assert news.attempt is not None
    said = news.said()
    changes = said.since(news.told)
    if changes and not news.closed:
        if not rows.save_news(news.task_id, news.attempt, changes):
            return False
        news.told = said
    if news.outcome is None:
        return True
    state, message, overrule = news.outcome
    if state == State.SUCCEEDED:
        ended = rows.succeed(news.task_id, news.attempt)
    else:
        ended = rows.end(news.task_id, news.attempt, state, message, overrule=overrule)
    if ended:
        news.closed = True
        news.outcome = None
    return ended
