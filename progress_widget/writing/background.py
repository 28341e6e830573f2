"""The thread that does the writing for the bars in Celery's workers."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from time import monotonic

from django.db import InterfaceError, OperationalError, connections

from progress_widget.conf import conf
from progress_widget.writing.reports import Report
from progress_widget.writing.saving import log_failure, save

PATIENCE = 5.0
"""Seconds, at most, for which a task waits until the thread has tried to write."""


@dataclass
class Watch:
    """What the writer knows about one report that it looks after."""

    tried_at: float = 0.0
    """When it last tried to write the report, on the monotonic clock."""

    waiters: list[threading.Event] = field(default_factory=list)
    """Set after the next attempt to write."""


class Writer:
    """The thread of this process, which runs while a report is live or pending.

    Every WRITE_INTERVAL, or when it is woken, it looks at every report and writes those that have
    changed, that somebody is waiting for, or whose heartbeat is due.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start afresh in a forked child, which inherits no thread but perhaps a held lock."""
        self.lock = threading.Lock()  # guards watches and thread; never held during a query
        self.wake = threading.Event()
        self.watches: dict[Report, Watch] = {}
        self.thread: threading.Thread | None = None

    def watch(self, report: Report, *, later: float = 0.0) -> None:
        """Look after this report from now on.

        Args:
            later: Seconds to let pass before it is written.
        """
        with self.lock:
            watch = self._watch(report)
            if later:
                watch.tried_at = monotonic() + later - conf.write_interval

    def flush(self, reports: list[Report]) -> None:
        """Wait until the thread has tried once to write all of these reports."""
        if not reports:
            return
        tried = [threading.Event() for _ in reports]
        with self.lock:
            for report, event in zip(reports, tried, strict=True):
                self._watch(report).waiters.append(event)
        self.wake.set()
        deadline = monotonic() + PATIENCE
        for event in tried:
            event.wait(max(0.0, deadline - monotonic()))

    def drain(self) -> None:
        """Wait until nothing is pending, at most PATIENCE, before the process ends."""
        with self.lock:
            thread = self.thread
            for report, watch in self.watches.items():
                if report.is_live:
                    watch.tried_at = float("-inf")
                report.is_live = False
        if thread is not None and thread.is_alive():
            self.wake.set()
            thread.join(PATIENCE)

    def _watch(self, report: Report) -> Watch:
        watch = self.watches.setdefault(report, Watch())
        # A soft time limit may interrupt a start, and an error may end the thread.
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self._run, name="progress_widget", daemon=True)
            try:
                self.thread.start()
            except RuntimeError:  # no more threads, or the interpreter is shutting down
                log_failure(report)
        return watch

    def _run(self) -> None:
        try:
            while self._has_work():
                self.wake.wait(conf.write_interval)
                self.wake.clear()
                with self.lock:  # after clear(), or the report of whoever woke it could be missed
                    watches = list(self.watches.items())
                for report, watch in watches:
                    self._attend(report, watch)
        finally:
            connections.close_all()

    def _has_work(self) -> bool:
        """Drop the reports that are done, and the thread if none is left; return whether any is."""
        with self.lock:
            for report, watch in list(self.watches.items()):
                is_live = report.is_live and not report.is_fenced
                if not (is_live or report.is_pending or watch.waiters):
                    del self.watches[report]
            if not self.watches:
                self.thread = None
            return bool(self.watches)

    def _attend(self, report: Report, watch: Watch) -> None:
        with self.lock:  # before the report is read: the waiters have reported already
            waiters, watch.waiters = watch.waiters, []
        silence = monotonic() - watch.tried_at
        beat = report.is_live and silence >= conf.stalled_after / 6
        if waiters or beat or (report.is_pending and silence >= conf.write_interval * 0.9):
            watch.tried_at = monotonic()
            self._write(report, beat=beat)
        for waiter in waiters:
            waiter.set()

    def _write(self, report: Report, *, beat: bool) -> None:
        try:
            save(report, beat=beat)
        except (OperationalError, InterfaceError):
            # The connection may be dead: the next attempt gets a fresh one.
            log_failure(report)
            connections.close_all()
        except Exception:
            log_failure(report)
            report.give_up()
        else:
            report.is_failing = False


writer = Writer()
os.register_at_fork(after_in_child=writer.reset)
