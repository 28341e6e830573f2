"""When a report is written.

In Celery's workers, in the background: handles only store what they report, and one thread of
the process looks at all of them every WRITE_INTERVAL and writes what has changed, on its own
connection. Anywhere else, and on SQLite, inline: on the caller's connection, at once or at most
every WRITE_INTERVAL.

Either way, trouble with the database is logged once per outage, and what could not be written is
included in a later write: reporting never breaks the task that reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from time import monotonic
from typing import Any

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.models import has_heartbeat
from progress_widget.writing.background import writer
from progress_widget.writing.reports import Report, in_order
from progress_widget.writing.saving import in_transaction, log_failure, logger, look, save


class Outlet:
    """The path of one handle's report to its row.

    A handle joins its run only when it has something to report: one that only reads causes no
    heartbeat.
    """

    def __init__(self, report: Report, run: Any) -> None:
        self.report = report
        self.run = run
        self.joined: object = None
        self.due_at = self.look_at = 0.0

    def write(self) -> None:
        """Leave the report to the thread, which will look at it; inline, write it now."""
        if self.joined is not writer.watches:
            self._join()
        if not self.report.in_background:
            self.flush()

    def write_when_due(self) -> None:
        """Do as write() does, but, inline, at most every WRITE_INTERVAL."""
        if self.joined is not writer.watches:
            self._join()
        if not self.report.in_background and monotonic() >= self.due_at:
            self.flush()

    def flush(self) -> None:
        """Write all that is pending now; in the background, wait for the thread to do so."""
        if self.joined is not writer.watches:
            self._join()
        self.due_at = monotonic() + conf.write_interval
        if self.report.task_id:
            flush(self.report)
        if self.run is None:
            hand_over([self.report])

    def is_cancelled(self) -> bool:
        """Whether the task is known to be asked to stop, and see to it that this is learned.

        A report that the thread looks after learns it by its next write. Any other is read here, at
        most every WRITE_INTERVAL: a write would be a sign of life that its task has not given.
        """
        report = self.report
        if report.is_live and self.joined is writer.watches:
            report.is_asking = True
        elif report.task_id and not report.is_cancelled and monotonic() >= self.look_at:
            self.look_at = monotonic() + conf.write_interval
            _look(report)
        return report.is_cancelled

    def _join(self) -> None:
        """Attach the report to the run, where the end of the task finds it."""
        self.joined = writer.watches  # a forked child has another one, so its handle joins anew
        self.report.is_live = self.report.in_background
        if self.run is not None:
            reports_of(self.run).append(self.report)
            if self.report.starts and self.report.task_id != self.run.id:
                _warn_once(str(getattr(self.run, "task", "")))
        if self.report.in_background:
            writer.watch(self.report)


@lru_cache
def _warn_once(task_name: str) -> None:
    logger.warning(
        "Task %s has made a bar with another id than its own, which does not end with the task: "
        "pass self.request.id, or call finalize() when what it counts is done.",
        task_name,
    )


def reports_of(run: Any) -> list[Report]:
    """Return the reports attached to a run, where its end finds them: the list itself."""
    # In one step, since threads may share the handles of a task.
    reports: list[Report] = run.__dict__.setdefault("progress_reports", [])
    return reports


def is_in_background(run: Any) -> bool:
    """Whether the thread writes what is reported in this run, which may be None."""
    try:
        return run is not None and not run.is_eager and has_heartbeat()
    except Exception:  # whatever a router raises: the inline write will log it
        return False


def has_begun(run: Any) -> bool:
    """Whether a bar of this run has begun its attempt; two bars of one task are one attempt."""
    return any(report.is_new_attempt for report in reports_of(run))


def flush(*reports: Report) -> None:
    """Write all that is pending: inline at once, otherwise wait until the thread has tried once."""
    for report in in_order(reports):
        if not report.in_background:
            _write_inline(report)
    writer.flush([report for report in reports if report.in_background])


def _look(report: Report) -> None:
    try:
        with report.context():
            look(report)
    except queues.INTERRUPTIONS:
        raise
    except Exception:  # whatever the database, its driver or a router raises
        log_failure(report)


def _write_inline(report: Report) -> None:
    if report.is_pending:
        report.wants_write = True
    # Do not wait here for another thread, which may hold the row's lock in a transaction: the one
    # that is writing writes once more.
    while report.wants_write and report.lock.acquire(blocking=False):
        try:
            report.wants_write = False
            with report.context():
                save(report)
        except queues.INTERRUPTIONS:  # the task's, not ours to log; what was reported stays pending
            raise
        except Exception:  # whatever the database, its driver or a router raises
            log_failure(report)
        else:
            report.is_failing = False
        finally:
            report.lock.release()


def hand_over(reports: Iterable[Report]) -> None:
    """Leave ends that could not be written inline to the thread, which tries again.

    To be called when the task is over: on SQLite the thread would otherwise be in its way. Within a
    transaction nothing is left to the thread, which cannot see what is in there.
    """
    for report in reports:
        if report.outcome is not None and report.is_failing and not in_transaction():
            report.in_background = True
            writer.watch(report)
