"""When a bar's news reaches the row.

In the background, in Celery's workers: handles only store what they say, and one thread a process
looks at all of them every WRITE_INTERVAL and writes what is new, on its own connection. Inline,
anywhere else and on SQLite: on the caller's connection, at once or at most every WRITE_INTERVAL.

Either way, what goes wrong with the database is logged once per outage, and what could not be
written goes with a later write: reporting never breaks the task that reports.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, NamedTuple

from django.core.exceptions import ObjectDoesNotExist
from django.db import (
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connections,
    router,
    transaction,
)
from django.utils import timezone

from progress_widget.conf import conf
from progress_widget.models import State, TaskProgress, TaskProgressQuerySet

logger = logging.getLogger("progress_widget")

PATIENCE = 5.0
"""Seconds that a task waits at most for the thread."""

LOCK_TIMEOUTS = {
    "postgresql": "SET LOCAL lock_timeout = '1s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
}
"""So that one locked row does not hold up the other bars of the thread."""


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


def flush(*bars: News) -> None:
    """Let the rows know all, now: inline at once, else wait for one attempt of the thread."""
    for news in bars:
        if not news.in_background:
            write_inline(news)
    background.flush([news for news in bars if news.in_background])


def write_inline(news: News) -> None:
    """Let the row know all, on the caller's connection."""
    news.due_at = monotonic() + conf.write_interval
    if news.owes:
        news.untold = True
    # Nobody waits here for another thread, which may hold the row's lock in a transaction: who is
    # writing writes once more.
    while news.untold and news.lock.acquire(blocking=False):
        try:
            news.untold = False
            tell(news)
        except (Error, ObjectDoesNotExist):  # the latter: the row was deleted under a start
            log_failure(news)
        else:
            news.failing = False
        finally:
            news.lock.release()


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


class Background:
    """The thread of this process. It lives while a bar is open or owes its row something."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, in a forked child: threads are not inherited, held locks are."""
        self.lock = threading.Lock()  # for bars, their waiting lists and thread; never during SQL
        self.wake = threading.Event()
        self.bars: dict[News, None] = {}
        self.thread: threading.Thread | None = None

    def take(self, news: News) -> None:
        """Look at this bar from now on."""
        with self.lock:
            self._take(news)

    def flush(self, bars: list[News]) -> None:
        """Wait until the thread has tried once to write all that these bars say."""
        if not bars:
            return
        attempts = [threading.Event() for _ in bars]
        with self.lock:
            for news, attempt in zip(bars, attempts, strict=True):
                news.waiting.append(attempt)
                self._take(news)
        self.wake.set()
        deadline = monotonic() + PATIENCE
        for attempt in attempts:
            attempt.wait(max(0.0, deadline - monotonic()))

    def drain(self) -> None:
        """Wait until nothing is owed, as the process ends; at most PATIENCE."""
        with self.lock:
            thread = self.thread
            for news in self.bars:
                if news.is_open:
                    news.written_at = float("-inf")
                news.is_open = False
        if thread is not None and thread.is_alive():
            self.wake.set()
            thread.join(PATIENCE)

    def _take(self, news: News) -> None:
        self.bars[news] = None
        # A soft time limit may break off a start, and an error the thread.
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self._run, name="progress_widget", daemon=True)
            try:
                self.thread.start()
            except RuntimeError:  # no more threads, or the interpreter is on its way out
                log_failure(news)

    def _run(self) -> None:
        try:
            while self._has_bars():
                self.wake.wait(conf.write_interval)
                self.wake.clear()
                with self.lock:  # after the clearing: those who wake the thread are in it
                    bars = list(self.bars)
                for news in bars:
                    self._attend(news)
        finally:
            connections.close_all()

    def _has_bars(self) -> bool:
        """Let go of the bars that are done with; without any, the thread is over."""
        with self.lock:
            for news in list(self.bars):
                alive = news.is_open and not news.closed
                if not (alive or news.owes or news.waiting):
                    del self.bars[news]
            if not self.bars:
                self.thread = None
            return bool(self.bars)

    def _attend(self, news: News) -> None:
        with self.lock:  # before reading what the bar says: the waiters have said theirs
            waiters, news.waiting = news.waiting, []
        silence = monotonic() - news.written_at
        beat = news.is_open and silence >= conf.stalled_after / 6
        if waiters or beat or (news.owes and silence >= conf.write_interval * 0.9):
            self._write(news, beat=beat)
        for waiter in waiters:
            waiter.set()

    def _write(self, news: News, *, beat: bool) -> None:
        news.written_at = monotonic()
        try:
            tell(news, beat=beat)
        except (OperationalError, InterfaceError):
            # Perhaps the connection is dead: the next attempt gets a fresh one.
            log_failure(news)
            connections.close_all()
        except Exception:
            log_failure(news)
            news.drop()
        else:
            news.failing = False


background = Background()
os.register_at_fork(after_in_child=background.reset)
