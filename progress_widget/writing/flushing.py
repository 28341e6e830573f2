"""When a report is written.

In Celery's workers, in the background: handles only store what they report, and one thread of
the process looks at all of them every WRITE_INTERVAL and writes what has changed, on its own
connection. Anywhere else, and on SQLite, inline: on the caller's connection, at once or at most
every WRITE_INTERVAL.

Either way, trouble with the database is logged once per outage, and what could not be written is
included in a later write: reporting never breaks the task that reports.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error

from progress_widget.conf import conf
from progress_widget.writing.background import writer
from progress_widget.writing.reports import Report, in_order, reports_of
from progress_widget.writing.saving import log_failure, save


class Outlet:
    """The path of one handle's report to its row.

    A handle joins its run only when it has something to report: one that only reads causes no
    heartbeat.
    """

    def __init__(self, report: Report, run: Any) -> None:
        self.report = report
        self.run = run
        self.has_joined = False
        self.due_at = 0.0

    def write(self) -> None:
        """Leave the report to the thread, which will look at it; inline, write it now."""
        if not self.has_joined:
            self._join()
        if not self.report.in_background:
            self.flush()

    def write_when_due(self) -> None:
        """Do as write() does, but, inline, at most every WRITE_INTERVAL."""
        if not self.has_joined:
            self._join()
        if not self.report.in_background and monotonic() >= self.due_at:
            self.flush()

    def flush(self) -> None:
        """Write all that is pending now; in the background, wait for the thread to do so."""
        if not self.has_joined:
            self._join()
        self.due_at = monotonic() + conf.write_interval
        if self.report.task_id:
            flush(self.report)

    def _join(self) -> None:
        """Attach the report to the run, where the end of the task finds it."""
        self.has_joined = True
        self.report.is_live = self.report.in_background
        if self.run is not None:
            reports_of(self.run).append(self.report)
        if self.report.in_background:
            writer.watch(self.report)


def has_begun(run: Any) -> bool:
    """Whether a bar of this run has begun its attempt; two bars of one task are one attempt."""
    return any(report.is_new_attempt for report in reports_of(run))


def flush(*reports: Report) -> None:
    """Write all that is pending: inline at once, otherwise wait for one attempt of the thread."""
    for report in in_order(reports):
        if not report.in_background:
            _write_inline(report)
    writer.flush([report for report in reports if report.in_background])


def _write_inline(report: Report) -> None:
    if report.is_pending:
        report.wants_write = True
    # Do not wait here for another thread, which may hold the row's lock in a transaction: the one
    # that is writing writes once more.
    while report.wants_write and report.lock.acquire(blocking=False):
        try:
            report.wants_write = False
            save(report)
        except (Error, ObjectDoesNotExist):  # the latter: the row was deleted during its start
            log_failure(report)
        else:
            report.is_failing = False
        finally:
            report.lock.release()
