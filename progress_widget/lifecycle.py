"""Celery's signals: what becomes of a task becomes the state of its row.

What the bars of a task say hangs on the task's request, so a task without a bar costs nothing.
"""

from __future__ import annotations

from typing import Any

from celery import states
from celery.signals import task_postrun

from progress_widget import writer
from progress_widget.models import State
from progress_widget.writer import News, Outcome

OUTCOMES = {
    states.SUCCESS: Outcome(State.SUCCEEDED),
    states.RETRY: Outcome(State.RETRYING, overrule=True),
    states.FAILURE: Outcome(State.FAILED, overrule=True),
}


def end_bars(sender: Any, task_id: str, state: str | None, **signal: Any) -> None:
    """Flush the bars of a task that is over, and end those that are its own.

    Bars of other ids, which a task may share with others, go on.
    """
    bars: list[News] = getattr(sender.request, "progress_bars", [])
    for news in bars:
        if news.task_id == task_id:
            news.outcome = OUTCOMES.get(state, OUTCOMES[states.FAILURE])
        writer.write(news)


def connect() -> None:
    """Listen to Celery, in every process that has the app installed."""
    task_postrun.connect(end_bars, weak=False, dispatch_uid="progress_widget.end_bars")
