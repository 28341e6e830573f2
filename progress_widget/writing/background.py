"""The thread that does the writing for the bars in Celery's workers."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from django.db import DataError, connections

from progress_widget.conf import conf
from progress_widget.writing.connecting import may_linger, use_own_connections
from progress_widget.writing.reports import Report, in_order
from progress_widget.writing.saving import knock, log_failure, save

PATIENCE = 2.0
"""Seconds for which a task waits at most until the thread has tried to write all its bars."""

DRAIN = 5.0
"""Seconds for which the end of a process waits at most until all is written.

For as long, the pauses between two attempts do not grow: a process that ends has no time for them.
"""

LINGER = 30.0
"""Seconds for which the thread and its connection outlive the last bar: the next may come soon."""

LONGEST_PAUSE = 5.0
"""Seconds between two attempts to write, at most, during an outage."""

GIVE_UP_AFTER = 600.0
"""Seconds after which the thread gives up what the database has refused all the time."""


@dataclass(eq=False)
class Watch:
    """What the writer knows about one report that it looks after."""

    tried_at: float = 0.0
    """When it last tried to write the report, on the monotonic clock."""

    failing_since: float | None = None
    """When the first of the attempts was that have failed since the last success."""

    pause: float = 0.0
    """Seconds until the next attempt, after one that has failed."""

    later: float = 0.0
    """Seconds for which the database has to take writes, without a break, before the report."""

    due_at: float | None = None
    """When these are over; None means that they have not begun."""

    is_in_hand: bool = False
    """Whether a thread is writing the report."""

    waiters: list[threading.Event] = field(default_factory=list)
    """Set after the next attempt to write."""


class Writer:
    """The thread of this process, which lives while a bar is live or pending, and LINGER longer.

    Every WRITE_INTERVAL, or when it is woken, it looks at every report and writes those that have
    changed, that somebody is waiting for, or whose heartbeat is due.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start afresh in a forked child, which inherits no thread but perhaps a held lock."""
        self.lock = threading.Lock()  # guards watches and thread; never held during a query
        self.quiet = threading.RLock()  # held during a query, so that nobody forks meanwhile
        self.wake = threading.Event()
        self.watches: dict[Report, Watch] = {}
        self.thread: threading.Thread | None = None
        self.busy_since: float | None = None
        self.idle_since: float | None = None
        self.lingers = self.keeps_open = True

    def before_fork(self) -> None:
        """Let the thread come to the end of its query: a child would inherit the driver's locks.

        They would be held for ever there: on SQLite, most children that are forked during a query
        hang at their own first one.
        """
        self.quiet.acquire(timeout=0 if self.is_stuck else PATIENCE)

    def after_fork(self) -> None:
        with suppress(RuntimeError):  # the thread's query took too long
            self.quiet.release()

    @property
    def is_stuck(self) -> bool:
        """Whether the thread hangs in the database, so that nobody should wait for it."""
        return self.busy_since is not None and monotonic() - self.busy_since > PATIENCE

    def watch(self, report: Report, *, rest: float = 0.0, later: float = 0.0) -> None:
        """Look after this report from now on.

        Args:
            rest: Seconds to let pass before it is written.
            later: Seconds for which the database has to take writes before it is written, so that
                another process, which may have been failing, comes first.
        """
        with self.lock:
            watch = self._watch(report)
            watch.later = later
            if rest:
                watch.tried_at = monotonic() + rest - conf.write_interval
        self.wake.set()  # even if that is to come: the thread may be asleep for LINGER

    def flush(self, reports: list[Report]) -> None:
        """Wait until the thread has tried once to write all of these reports.

        Nobody waits during an outage or for a thread that is stuck: it goes on trying by itself.
        """
        tried = []
        with self.lock:
            for report in reports:
                watch = self._watch(report)
                if report.is_pending and watch.failing_since is None and not self.is_stuck:
                    tried.append(threading.Event())
                    watch.waiters.append(tried[-1])
        if not tried:
            return
        self.wake.set()
        deadline = monotonic() + PATIENCE
        for event in tried:
            event.wait(max(0.0, deadline - monotonic()))

    def drain(self) -> None:
        """Wait until nothing is pending, as the process ends; at most DRAIN and what is put off."""
        with self.lock:
            thread = self.thread
            self.lingers = False
            for report, watch in self.watches.items():
                if report.is_live:
                    watch.tried_at = float("-inf")
                report.is_live = False
            at_most = DRAIN + max((watch.later for watch in self.watches.values()), default=0.0)
        if thread is not None and thread.is_alive():
            self.wake.set()
            thread.join(at_most)

    def _watch(self, report: Report) -> Watch:
        watch = self.watches.setdefault(report, Watch())
        # A soft time limit may break off a start, and an error the thread.
        if self.thread is None or not self.thread.is_alive() or self._is_lost():
            if self._is_lost():
                self.quiet = threading.RLock()  # that thread may hold the other for ever
            self.busy_since = self.idle_since = None
            self.lingers = self.keeps_open = may_linger()
            self.thread = threading.Thread(target=self._run, name="progress_widget", daemon=True)
            try:
                self.thread.start()
            except RuntimeError:  # no more threads, or the interpreter is shutting down
                log_failure(report)
        return watch

    def _is_lost(self) -> bool:
        """Whether the thread has hung for so long that another one has to do its work."""
        return self.busy_since is not None and monotonic() - self.busy_since > 2 * DRAIN

    def _run(self) -> None:
        use_own_connections()
        try:
            while self._has_work():
                self.wake.wait(conf.write_interval if self.watches else LINGER)
                self.wake.clear()
                with self.lock:  # after the clearing, so that whoever wakes the thread is in it
                    watches = dict(self.watches)
                for report in in_order(watches):
                    self._attend(report, watches[report])
        finally:
            with self.quiet:
                connections.close_all()

    def _has_work(self) -> bool:
        """Drop the reports that are done; return whether to go on, or else end the thread."""
        with self.lock:
            if self.thread is not threading.current_thread():  # another has taken over
                return False
            for report, watch in list(self.watches.items()):
                is_live = report.is_live and not report.is_fenced
                if not (is_live or report.is_pending or watch.waiters or watch.is_in_hand):
                    del self.watches[report]
            if self.watches:
                self.idle_since = None
                return True
            self.idle_since = self.idle_since or monotonic()
            if self.lingers and monotonic() - self.idle_since < LINGER:
                return True
            self.thread = None
            return False

    def _attend(self, report: Report, watch: Watch) -> None:
        with self.lock:  # before the report is read: the waiters have reported already
            if watch.is_in_hand or self.thread is not threading.current_thread():
                return
            waiters, watch.waiters = watch.waiters, []
            silence = monotonic() - watch.tried_at
            beat = report.is_live and silence >= conf.stalled_after / 6
            asks = report.is_live and report.is_asking
            is_rested = silence >= max(conf.write_interval * 0.9, watch.pause)
            watch.is_in_hand = bool(waiters or beat or (is_rested and (report.is_pending or asks)))
        if watch.is_in_hand:
            watch.tried_at = self.busy_since = monotonic()
            report.is_asking = False
            with self.quiet:
                self._write(report, watch, beat=beat or asks)
                if not self.keeps_open:
                    connections.close_all()
            watch.is_in_hand = False
            if self.thread is threading.current_thread():
                self.busy_since = None
        for waiter in waiters:
            waiter.set()

    def _write(self, report: Report, watch: Watch, *, beat: bool) -> None:
        is_early = watch.later > 0 and (watch.due_at is None or watch.tried_at < watch.due_at)
        try:
            with report.context():
                if is_early:
                    knock(report)
                else:
                    save(report, beat=beat)
        except Exception as error:
            log_failure(report)
            # Perhaps the connection is dead: the next attempt gets a fresh one.
            connections.close_all()
            watch.failing_since = watch.failing_since or watch.tried_at
            failing = monotonic() - watch.failing_since
            pause = 0.0 if failing < DRAIN else 2 * watch.pause
            watch.pause = min(LONGEST_PAUSE, max(pause, conf.write_interval))
            watch.due_at = None
            is_hopeless = isinstance(error, DataError)  # what can never be written
            if is_hopeless or failing > GIVE_UP_AFTER:
                report.give_up()
        else:
            report.is_failing = False
            # Whoever comes first may have failed for as long, and be in the pause that comes next.
            longest = min(LONGEST_PAUSE, 2 * watch.pause)
            watch.due_at = watch.due_at or monotonic() + longest + watch.later
            watch.failing_since, watch.pause = None, 0.0


writer = Writer()
os.register_at_fork(
    before=writer.before_fork,
    after_in_parent=writer.after_fork,
    after_in_child=writer.reset,
)
