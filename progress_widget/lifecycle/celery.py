"""Celery's signals, which set the state of a row to what has become of its task.

A task's reports are attached to its request, so a task without a bar costs nothing. The worker's
main process, which reports for tasks that no longer can, leaves the writing to its thread: a row
that the task has locked must not keep the worker from killing the task.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from billiard import current_process
from celery import current_task, signals, states
from celery.exceptions import Retry, SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError

from progress_widget import queues
from progress_widget.exceptions import Cancelled
from progress_widget.states import ENDED, State
from progress_widget.texts import EXPIRED, LOST, REVOKED, TIMED_OUT, UNREGISTERED
from progress_widget.writing.announcing import announcer
from progress_widget.writing.background import writer
from progress_widget.writing.flushing import flush, hand_over, reports_of
from progress_widget.writing.opening import begin_member, begin_run
from progress_widget.writing.reports import Outcome, Report

PRECEDENCE = 2.0
"""Seconds by which the main process may be late to say how a broken-off run ended.

Counted anew whenever the database has been away: then the main process may be between two attempts.
"""


def connect() -> None:
    """Connect to Celery's signals, in every process that has the app installed."""
    receivers = {
        signals.task_prerun: on_prerun,
        signals.task_postrun: on_postrun,
        signals.task_failure: on_failure,
        signals.task_revoked: on_revoked,
        signals.task_unknown: on_unknown,
        signals.worker_process_shutdown: on_shutdown,
        signals.worker_shutdown: on_shutdown,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False, dispatch_uid=f"progress_widget.{receiver.__name__}")


def on_prerun(sender: Any, **signal: object) -> None:
    """Let the bars of this run find it, wherever in the process they are opened."""
    request = sender.request
    queues.begin_run(request)
    group = queues.group_of(request)
    if group is not None:
        request.progress_member = begin_member(request, group)
    if queues.is_launched(request):
        request.progress_beginning = begin_run(request, is_first=not is_rerun(request))
    elif is_rerun(request):
        # A run before may have started the row, which this one has to end. Made here, since another
        # receiver may have left the task's tenant by the end of the run.
        request.progress_beginning = Report(
            task_id=request.id, is_new_attempt=True, in_background=not request.is_eager
        )


def on_postrun(
    sender: Any, task_id: str, retval: object, state: str | None, **signal: object
) -> None:
    """End the bars that are the task's own, and flush all that it has.

    Bars with other ids, which it may share with other tasks, go on.
    """
    request = sender.request
    queues.end_run(request)
    if state is None and not request.is_eager:
        state, retval = unnoted_end()
    reports = reports_of(request)
    own = [report for report in reports if report.task_id == task_id]
    beginning = getattr(request, "progress_beginning", None)
    if beginning is not None and not any(report.starts for report in own):
        own.append(beginning)
        reports.append(beginning)
    for report in reports:
        report.is_live = False
    member = getattr(request, "progress_member", None)
    outcome = outcome_of(sender, retval, state) if own or member is not None else None
    if member is not None and outcome is not None and outcome.state in ENDED:
        member.end(outcome)
        reports.append(member)
    for report in own:
        report.is_left_open = outcome is None or outcome.state == State.RETRYING
    if own and outcome is not None:
        last = next((report for report in reversed(own) if report.starts), own[-1])
        if state is not None or request.is_eager:
            last.end(outcome)
        else:
            # Broken off. The main process knows whether it was cancelled or failed, and is about to
            # say so; only if it does not, as with Celery 5.5 after sys.exit(), does this count.
            end_from_outside(task_id, outcome, last=last, later=PRECEDENCE)
    if beginning is not None and beginning.is_to_begin and beginning.outcome is None:
        beginning.is_fenced = True  # another run may have begun by now
    # After the outcome has been recorded: if anything but a soft time limit breaks off the waiting,
    # the thread writes it all the same.
    try:
        flush(*reports)
    except queues.INTERRUPTIONS:  # which the task has outrun
        flush(*reports)
    hand_over(reports)


def is_rerun(request: Any) -> bool:
    """Whether the task has been run before: retried, or delivered again."""
    return bool(request.retries or (request.delivery_info or {}).get("redelivered"))


def unnoted_end() -> tuple[str | None, object]:
    """Return how a run ended that Celery could not note, as where its result backend is away.

    What went wrong there is on its way now, and has for its context what the task has raised.

    Returns:
        The state, or None if the run was broken off, as by SystemExit; and what was raised.
    """
    error = sys.exc_info()[1]
    if not isinstance(error, Exception):
        return None, None
    raised: list[BaseException] = []
    while error is not None and error not in raised:
        raised.append(error)
        error = error.__context__
    telling = (Retry, Cancelled, SoftTimeLimitExceeded)
    found = next((one for one in raised if isinstance(one, telling)), raised[0])
    return states.RETRY if isinstance(found, Retry) else states.FAILURE, found


def outcome_of(task: Any, retval: object, state: str | None) -> Outcome | None:
    """Return how a run ended, or None if it left that open with ``raise Ignore()``.

    The states are those of celery.app.trace; a state of None means that the run was broken off.
    """
    if state == states.SUCCESS:
        return Outcome(State.SUCCEEDED)
    if state == states.IGNORED:
        return None
    if isinstance(retval, Cancelled):
        return Outcome(State.CANCELLED, REVOKED, overrule=True)
    if state == states.RETRY:
        return Outcome(State.RETRYING, overrule=True, after=seconds_until(retval))
    if state is None and is_retried_when_lost(task):
        return Outcome(State.RETRYING, overrule=True, after=task.default_retry_delay)
    redelivered = getattr(retval, "requeue", task.acks_late) and not task.request.is_eager
    if state != states.FAILURE and redelivered:
        return Outcome(State.RETRYING, overrule=True)
    return Outcome(State.FAILED, reason_of(retval), overrule=True)


def is_retried_when_lost(task: Any) -> bool:
    """Whether Celery, since 5.7, runs a task again that takes the process of its pool with it."""
    if not (getattr(task, "retry_on_worker_lost", False) and current_process().daemon):
        return False
    return task.max_retries is None or task.request.retries < task.max_retries


def seconds_until(retry: object) -> float:
    """Return how long a retry is put off, which ``retry()`` takes in seconds or as a moment."""
    when = getattr(retry, "when", None) or 0
    if isinstance(when, datetime):
        return max(0.0, (when - datetime.now(when.tzinfo)).total_seconds())
    return float(when)


def reason_of(exception: object) -> str:
    """Return the reason in a sentence for people, or "" if there is nothing special to say.

    It is never the exception's own text, which may hold secrets.
    """
    if isinstance(exception, (SoftTimeLimitExceeded, TimeLimitExceeded)):
        return TIMED_OUT
    return LOST if isinstance(exception, WorkerLostError) else ""


def on_failure(sender: Any, task_id: str, exception: object, **signal: object) -> None:
    """Mark a task as failed that can't do so itself: killed, over its time limit, or rejected.

    Unless its message is not acknowledged even so: then it will be delivered again.
    """
    if current_task:
        return
    is_late = isinstance(exception, TimeLimitExceeded) and getattr(sender, "acks_late", False)
    if is_late and not acks_on_timeout(sender):
        outcome = Outcome(State.RETRYING, overrule=True)
    else:
        outcome = Outcome(State.FAILED, reason_of(exception), overrule=True)
    end_from_outside(task_id, outcome)
    count_from_outside(task_id, outcome)


def acks_on_timeout(task: Any) -> bool:
    """Whether a late message is acknowledged once its task is over its hard time limit."""
    # The first has been there since Celery 5.7, and there the other counts only where it is unset.
    return bool(getattr(task, "acks_on_timeout", task.acks_on_failure_or_timeout))


def on_revoked(request: Any, expired: bool, **signal: object) -> None:
    """Mark a task as cancelled: revoked before or while it ran, or expired."""
    outcome = Outcome(State.CANCELLED, EXPIRED if expired else REVOKED)
    end_from_outside(request.id, outcome)
    count_from_outside(request.id, outcome)


def on_unknown(id: str, **signal: object) -> None:
    """Mark a task as failed that is not registered with the worker."""
    outcome = Outcome(State.FAILED, UNREGISTERED)
    end_from_outside(id, outcome)
    count_from_outside(id, outcome)


def on_shutdown(**signal: object) -> None:
    """Write what is still pending, and announce what has ended, before the process does."""
    writer.drain()
    announcer.drain()


def end_from_outside(
    task_id: str, outcome: Outcome, *, last: Report | None = None, later: float = 0.0
) -> None:
    """End the row, if there is one, in the thread.

    Args:
        last: A report of the attempt that has ended; None means whichever the row is at.
        later: Seconds for which the database has to take writes before that.
    """
    report = Report(task_id=task_id, in_background=True)
    if last is not None:
        report.attempt, report.context = last.attempt, last.context
    report.end(outcome)
    writer.watch(report, later=later)


def count_from_outside(task_id: str, outcome: Outcome) -> None:
    """Count the task in the row of its group, if it is of one, in the thread."""
    if outcome.state in ENDED:
        report = Report(task_id=task_id, group="", in_background=True)
        report.end(outcome)
        writer.watch(report)
