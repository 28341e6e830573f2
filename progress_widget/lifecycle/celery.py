"""Celery's signals, which set the state of a row to what has become of its task.

A task's reports are attached to its request, so a task without a bar costs nothing. The worker's
main process, which reports for tasks that no longer can, leaves the writing to its thread: a row
that the task has locked must not keep the worker from killing the task.
"""

from __future__ import annotations

from typing import Any

from celery import current_task, signals, states
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError

from progress_widget.states import State
from progress_widget.texts import EXPIRED, LOST, REVOKED, TIMED_OUT, UNREGISTERED
from progress_widget.writing.background import writer
from progress_widget.writing.flushing import flush
from progress_widget.writing.reports import Outcome, Report, reports_of

PRECEDENCE = 2.0
"""Seconds by which the main process may be late to say how a broken-off run ended."""


def connect() -> None:
    """Connect to Celery's signals, in every process that has the app installed."""
    receivers = {
        signals.task_postrun: on_postrun,
        signals.task_failure: on_failure,
        signals.task_revoked: on_revoked,
        signals.task_unknown: on_unknown,
        signals.worker_process_shutdown: on_shutdown,
        signals.worker_shutdown: on_shutdown,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False, dispatch_uid=f"progress_widget.{receiver.__name__}")


def on_postrun(
    sender: Any, task_id: str, retval: object, state: str | None, **signal: object
) -> None:
    """Flush the bars of a task that is over, and end its own.

    Bars with other ids, which it may share with other tasks, go on.
    """
    reports = reports_of(sender.request)
    for report in reports:
        report.is_live = False
    own = [report for report in reports if report.task_id == task_id]
    outcome = outcome_of(sender, retval, state) if own else None
    if outcome is None:
        flush(*reports)
        return
    last = next((report for report in reversed(own) if report.starts), own[-1])
    if state is None and not sender.request.is_eager:
        flush(*reports)
        # Broken off. The main process knows whether it was cancelled or failed, and is about to
        # say so; only if it does not, as with Celery 5.5 after sys.exit(), does this count.
        end_from_outside(task_id, outcome, attempt=last.attempt, later=PRECEDENCE)
    else:
        flush(*(report for report in reports if report is not last))
        last.end(outcome)
        flush(last)


def outcome_of(task: Any, retval: object, state: str | None) -> Outcome | None:
    """Return how a run ended, or None if it left that open with ``raise Ignore()``.

    The states are those of celery.app.trace; a state of None means that the run was broken off.
    """
    if state == states.SUCCESS:
        return Outcome(State.SUCCEEDED)
    if state == states.IGNORED:
        return None
    if state == states.RETRY:
        return Outcome(State.RETRYING, overrule=True)
    redelivered = getattr(retval, "requeue", task.acks_late) and not task.request.is_eager
    if state != states.FAILURE and redelivered:
        return Outcome(State.RETRYING, overrule=True)
    return Outcome(State.FAILED, reason_of(retval), overrule=True)


def reason_of(exception: object) -> str:
    """Return the reason in a sentence for people, or "" if there is nothing special to say.

    It is never the exception's own text, which may hold secrets.
    """
    if isinstance(exception, (SoftTimeLimitExceeded, TimeLimitExceeded)):
        return TIMED_OUT
    return LOST if isinstance(exception, WorkerLostError) else ""


def on_failure(task_id: str, exception: object, **signal: object) -> None:
    """Mark a task as failed that can't do so itself: killed, over its time limit, or rejected."""
    if not current_task:
        end_from_outside(task_id, Outcome(State.FAILED, reason_of(exception), overrule=True))


def on_revoked(request: Any, expired: bool, **signal: object) -> None:
    """Mark a task as cancelled: revoked before or while it ran, or expired."""
    end_from_outside(request.id, Outcome(State.CANCELLED, EXPIRED if expired else REVOKED))


def on_unknown(id: str, **signal: object) -> None:
    """Mark a task as failed that is not registered with the worker."""
    end_from_outside(id, Outcome(State.FAILED, UNREGISTERED))


def on_shutdown(**signal: object) -> None:
    """Write what is still pending before the process ends."""
    writer.drain()


def end_from_outside(
    task_id: str, outcome: Outcome, *, attempt: int | None = None, later: float = 0.0
) -> None:
    """End the row, if there is one, in the thread.

    Args:
        attempt: The attempt that has ended; None means whichever the row is at.
        later: Seconds to let pass before that.
    """
    report = Report(task_id=task_id, attempt=attempt, in_background=True)
    report.end(outcome)
    writer.watch(report, later=later)
