"""The thread that writes the bars of a process."""

from __future__ import annotations

import os
import threading
from time import monotonic

from django.db import InterfaceError, OperationalError, connections

from progress_widget.conf import conf
from progress_widget.writing.reports import News
from progress_widget.writing.saving import log_failure, tell

PATIENCE = 5.0
"""Seconds that a task waits at most for the thread."""


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
