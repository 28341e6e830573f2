"""How the end of a task is announced to the receivers of ``progress_finished``.

A receiver may take seconds, as for an e-mail, and do what it likes. So in a worker they have a
thread of their own, which holds up neither the task nor the writing of other bars.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

from django.db import connections, router, transaction

from progress_widget.models import TaskProgress
from progress_widget.signals import progress_finished
from progress_widget.writing.connecting import may_linger, use_own_connections
from progress_widget.writing.contexts import Context

logger = logging.getLogger("progress_widget")

DRAIN = 5.0
"""Seconds for which the end of a process waits at most for the receivers."""

PATIENCE = 2.0
"""Seconds for which whoever forks waits at most until no query is under way."""

PAUSES = (0.0, 1.0, 5.0, 15.0, 30.0)
"""Seconds after each attempt to read the row that has failed; another one is the last."""


class End(NamedTuple):
    """The end of an attempt, which is to be announced."""

    task_id: str
    context: Context
    """Makes what its row was written in."""


def announce(end: End, *, in_background: bool) -> None:
    """Tell the receivers, if there are any, that a task has ended; never raise.

    Args:
        in_background: Whether in a thread; otherwise here, once the end has been committed.
    """
    try:
        if not progress_finished.has_listeners(TaskProgress):
            return
        if in_background:
            announcer.take(end)
        else:
            alias = router.db_for_write(TaskProgress)
            transaction.on_commit(partial(_announce_here, end), using=alias)
    except Exception:  # whatever a router raises, or a process that can start no more threads
        log_failure(end)


def log_failure(end: End) -> None:
    logger.exception("The end of task %s could not be announced", end.task_id)


def _announce_here(end: End) -> None:
    try:
        _tell(end, _row_of(end))
    except Exception:  # whatever the database, its driver or a project's function raises
        log_failure(end)


def _row_of(end: End) -> TaskProgress:
    with end.context():
        return TaskProgress.objects.for_tasks([end.task_id])[end.task_id]


def _tell(end: End, row: TaskProgress) -> None:
    """Send the signal, unless the row is gone by now, or its next attempt has begun."""
    if row.is_ended:
        with end.context():
            progress_finished.send_robust(sender=TaskProgress, row=row)  # which logs


class Announcer:
    """The thread of this process that calls the receivers; it lives while there is an end to tell.

    Its connections are closed with it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start afresh in a forked child: the thread, and what it has to tell, are its parent's."""
        self.lock = threading.Lock()  # guards ends and thread
        self.quiet = threading.RLock()  # held during a query, so that nobody forks meanwhile
        self.hurry = threading.Event()
        self.ends: deque[End] = deque()
        self.thread: threading.Thread | None = None

    def before_fork(self) -> None:
        """Let the thread come to the end of its query, as ``Writer.before_fork()`` does.

        Not to that of a receiver, which may take much longer, unless SQLite is open.
        """
        self.quiet.acquire(timeout=PATIENCE)

    def after_fork(self) -> None:
        with suppress(RuntimeError):  # the thread's query took too long
            self.quiet.release()

    def take(self, end: End) -> None:
        """Announce this end soon."""
        with self.lock:
            self.ends.append(end)
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(
                    target=self._run, name="progress_widget receivers", daemon=True
                )
                self.thread.start()

    def drain(self) -> None:
        """Wait until all is announced, as the process ends; at most DRAIN."""
        with self.lock:
            thread = self.thread
        if thread is not None and thread.is_alive():
            self.hurry.set()
            thread.join(DRAIN)
            self.hurry.clear()

    def _run(self) -> None:
        use_own_connections()
        for alias in connections:
            connections[alias].execute_wrappers.append(self._in_quiet)
        try:
            while (end := self._next()) is not None:
                self._announce(end)
        finally:
            self._close()

    def _next(self) -> End | None:
        with self.lock:
            if not self.ends:
                self.thread = None
                return None
            return self.ends.popleft()

    def _announce(self, end: End) -> None:
        try:
            with self._undisturbed():
                _tell(end, self._row_of(end))
        except Exception:  # whatever the database, its driver or a project's function raises
            log_failure(end)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Let nobody fork before the connections are closed, if they may not stay open."""
        if may_linger():
            yield
            return
        with self.quiet:
            try:
                yield
            finally:
                connections.close_all()

    def _row_of(self, end: End) -> TaskProgress:
        pauses = iter(PAUSES)
        while True:
            try:
                with self.quiet:
                    return _row_of(end)
            except Exception:
                self._close()  # perhaps the connection is dead
                pause = next(pauses, None)
                if pause is None:
                    raise
            self.hurry.wait(pause)

    def _close(self) -> None:
        with self.quiet:
            connections.close_all()

    def _in_quiet(self, execute: Any, *query: Any) -> Any:
        with self.quiet:
            return execute(*query)


announcer = Announcer()
os.register_at_fork(
    before=announcer.before_fork,
    after_in_parent=announcer.after_fork,
    after_in_child=announcer.reset,
)
