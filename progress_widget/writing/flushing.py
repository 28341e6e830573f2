"""When a bar's news reaches the row.

In the background, in Celery's workers: handles only store what they say, and one thread a process
looks at all of them every WRITE_INTERVAL and writes what is new, on its own connection. Inline,
anywhere else and on SQLite: on the caller's connection, at once or at most every WRITE_INTERVAL.

Either way, what goes wrong with the database is logged once per outage, and what could not be
written goes with a later write: reporting never breaks the task that reports.
"""

from __future__ import annotations

from time import monotonic

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error

from progress_widget.conf import conf
from progress_widget.writing.background import background
from progress_widget.writing.reports import News
from progress_widget.writing.saving import log_failure, tell


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
