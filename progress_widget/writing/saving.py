"""How a bar's news gets into its row."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import Error, IntegrityError, connections, router, transaction
from django.utils import timezone

from progress_widget.models import TaskProgress, TaskProgressQuerySet
from progress_widget.writing.reports import News

logger = logging.getLogger("progress_widget")

LOCK_TIMEOUTS = {
    "postgresql": "SET LOCAL lock_timeout = '1s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
}
"""So that one locked row does not hold up the other bars of the thread."""


def log_failure(news: News) -> None:
    """Tell the log what went wrong, once per outage."""
    if not news.failing:
        logger.exception("The progress of task %s could not be written", news.task_id)
    news.failing = True


def tell(news: News, *, beat: bool = False) -> None:
    """Bring the row up to what the handle says.

    Args:
        beat: Whether to write also when there is nothing to say: the task is alive.

    Raises:
        django.db.Error: What has not been written is still owed.
    """
    outcome = news.outcome
    if news.starts and news.attempt is None:
        if news.closed:  # its start was dropped
            news.settle(outcome)
            return
        _start(news)
        beat = False
    saved = _save(news, beat=beat)
    ended = _end(news)
    if saved and ended:
        return
    with _writing(news) as rows:
        there = rows.filter(task_id=news.task_id).values_list("attempt", flat=True).first()
    if news.starts and there is None:
        _restore(news)
        _end(news)
    elif news.starts and there is not None and there < (news.attempt or 0):
        # The start was rolled back with the caller's transaction.
        news.attempt = None
        news.told = news.said()._replace(reached=(0, news.added))
        tell(news)
    else:
        news.closed = True
        news.settle(outcome)


def read(news: News) -> TaskProgress | None:
    """Give the row; None: there is none, or it can't be asked."""
    alias = router.db_for_read(TaskProgress)
    rows = TaskProgress.objects.using(alias).filter(task_id=news.task_id)
    try:
        if not connections[alias].in_atomic_block:
            return rows.first()
        with transaction.atomic(using=alias):  # an error would poison the task's transaction
            return rows.first()
    except Error:
        log_failure(news)
        return None


@contextmanager
def _writing(news: News) -> Iterator[TaskProgressQuerySet]:
    """One act of writing, all or nothing, that leaves the caller's transaction usable."""
    alias = router.db_for_write(TaskProgress)
    connection = connections[alias]
    patience = LOCK_TIMEOUTS.get(connection.vendor) if news.in_background else None
    rows = TaskProgress.objects.using(alias)
    if not (patience or connection.in_atomic_block):
        yield rows
        return
    with transaction.atomic(using=alias):
        if patience:
            with connection.cursor() as cursor:
                cursor.execute(patience)
        yield rows


def _start(news: News) -> None:
    total, step = news.total, news.step
    with _writing(news) as rows:
        news.attempt = rows.start(
            news.task_id, total=total[0], step=step[0], new_attempt=news.new_attempt
        )
    news.told = news.told._replace(total=total, step=step)


def _save(news: News, *, beat: bool) -> bool:
    said = news.said()
    changes = said.since(news.told)
    if news.closed or news.attempt is None or not (changes or beat):
        return True
    with _writing(news) as rows:
        found = rows.save_news(news.task_id, news.attempt, changes)
    if found:
        news.told = said
    return found


def _end(news: News) -> bool:
    outcome = news.outcome
    if outcome is None:
        return True
    with _writing(news) as rows:
        ended = rows.end(news.task_id, news.attempt, *outcome)
    if ended:
        news.closed = True
        news.settle(outcome)
    return ended


def _restore(news: News) -> None:
    """Put back a row that somebody has deleted while its task runs."""
    said = news.said()
    with suppress(IntegrityError), _writing(news) as rows:  # somebody may put it back first
        rows.create(
            task_id=news.task_id,
            attempt=news.attempt or 0,
            total=said.total[0],
            progress=said.progress,
            step=said.step[0],
            started_at=timezone.now(),
        )
        news.told = said
