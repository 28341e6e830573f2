"""How a report is written to its row."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import IntegrityError, connections, router, transaction

from progress_widget import queues
from progress_widget.clock import NOW
from progress_widget.models import GroupMember, TaskProgress
from progress_widget.rows import TaskProgressQuerySet
from progress_widget.states import ENDED, Taken
from progress_widget.writing.announcing import End, announce
from progress_widget.writing.reports import Outcome, Report

logger = logging.getLogger("progress_widget")

LOCK_TIMEOUTS = {
    "postgresql": "SET LOCAL lock_timeout = '1s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
}
"""Keep one locked row from holding up the other bars of the thread."""


def save(report: Report, *, beat: bool = False) -> None:
    """Write what the row does not know yet.

    Args:
        beat: Whether to write even if nothing has changed, as a sign that the task is alive.

    Raises:
        django.db.Error: The write failed; what has not been written stays pending.
    """
    outcome = report.outcome
    if report.group is not None:
        _count(report, report.group, outcome)
        return
    if report.is_to_begin and outcome is None:
        _begin(report)
        return
    if not report.is_started:
        is_overtaken = report.is_left_open and look(report) is not None
        if report.is_fenced or is_overtaken:  # its start was given up, or comes too late
            report.is_fenced = True
            report.forget(outcome)
            return
        _start(report)
        beat = False
    if _write(report, outcome, beat=beat):
        return
    knew = report.is_cancelled
    attempt = look(report)
    if report.is_cancelled and not knew:
        save(report, beat=beat)
        return
    if report.starts and attempt is None:
        _restore(report)
        _write(report, outcome)
    elif report.starts and attempt is not None and attempt < (report.attempt or 0):
        _start_again(report)
    else:
        report.is_fenced = True
        report.forget(outcome)


def knock(report: Report) -> None:
    """Write a sign of life and nothing else, to learn whether the database takes writes.

    Raises:
        django.db.Error: It does not.
    """
    with _writing(report) as rows:
        rows.save_changes(report.task_id, report.attempt, {})


def look(report: Report) -> int | None:
    """Note whether the task is asked to stop; return the row's attempt, or None if it is gone.

    Raises:
        django.db.Error: The row can't be read.
    """
    with _writing(report, locks=False) as rows:
        found = rows.filter(task_id=report.task_id).values_list("attempt", "cancel_asked_at")
        attempt, asked_at = found.first() or (None, None)
    report.is_cancelled = report.is_cancelled or asked_at is not None
    return attempt


def read(report: Report) -> TaskProgress | None:
    """Return the row, or None if there is none or the database cannot be reached."""
    try:
        with _writing(report, locks=False):
            row = TaskProgress.objects.for_tasks([report.task_id])[report.task_id]
            return None if row.pk is None else row
    except queues.INTERRUPTIONS:
        raise
    except Exception:  # whatever the database, its driver or a router raises
        log_failure(report)
        return None


def in_transaction() -> bool:
    """Whether the caller is, or may be, in a transaction on the rows' database."""
    try:
        return connections[router.db_for_write(TaskProgress)].in_atomic_block
    except Exception:  # whatever a router raises
        return True


def log_failure(report: Report) -> None:
    """Log what went wrong, once per outage."""
    if not report.is_failing:
        logger.exception("The progress of task %s could not be written", report.task_id)
    report.is_failing = True


@contextmanager
def _writing(report: Report, *, locks: bool = True) -> Iterator[TaskProgressQuerySet]:
    """Write all or nothing, and leave the caller's transaction usable.

    Args:
        locks: Whether that may have to wait for others. What only reads may be called by a task, to
            whose own transaction no limit is set.
    """
    alias = router.db_for_write(TaskProgress)
    connection = connections[alias]
    is_patient = locks and report.in_background
    patience = LOCK_TIMEOUTS.get(connection.vendor) if is_patient else None
    rows = TaskProgress.objects.using(alias)
    if not (patience or connection.in_atomic_block):
        yield rows
        return
    with transaction.atomic(using=alias):
        if patience:
            with connection.cursor() as cursor:
                cursor.execute(patience)
        yield rows


def _start(report: Report) -> None:
    total, step = report.total, report.step
    with _writing(report) as rows:
        report.attempt = rows.start(
            report.task_id,
            total=total.value,
            step=step.value,
            label=report.label,
            new_attempt=report.counts_attempt,
        )
        if report.stops_with is not None and _is_asked_to_stop(rows, report.stops_with):
            rows.ask_to_stop(report.task_id)
    report.written = report.written._replace(total=total, step=step)


def _is_asked_to_stop(rows: TaskProgressQuerySet, task_id: str) -> bool:
    return rows.filter(task_id=task_id).exclude(cancel_asked_at=None).exists()


def _begin(report: Report) -> None:
    with _writing(report) as rows:
        report.attempt = rows.begin(report.task_id)
    report.is_awaiting = report.attempt is None


def _count(report: Report, group: str, outcome: Outcome | None) -> None:
    """Count a task in the row of its group at its end; before that, note that it has begun."""
    is_over = False
    with _writing(report) as rows:
        members = GroupMember.objects.using(rows.db)
        if outcome is None:
            members.begin(group)
            report.attempt = 0
        elif group := group or members.group_of(report.task_id) or "":
            is_over = members.end(group, [report.task_id], outcome.state)
    if outcome is not None:
        report.is_fenced = True
        report.forget(outcome)
    if is_over:
        announce(End(group, report.context), in_background=report.in_background)


def _start_again(report: Report) -> None:
    """Start a row whose start was rolled back with the caller's transaction."""
    report.attempt = None
    report.written = report.snapshot()._replace(reached=(0, report.added))
    save(report)


def _write(report: Report, outcome: Outcome | None, *, beat: bool = False) -> bool:
    """Write the changes and the outcome; return whether the row took them or there were none."""
    snapshot = report.snapshot()
    changes = {} if report.is_fenced else snapshot.changes_since(report.written)
    if outcome is None and (report.is_fenced or not (changes or beat)):
        return True
    taken = Taken.NOT
    with _writing(report) as rows:
        if outcome is None:
            # Any wish that the task should stop is learned by this write, which it makes fail.
            is_written = rows.save_changes(
                report.task_id, report.attempt, changes, if_asked=report.is_cancelled
            )
        else:
            is_uncounted = report.is_new_attempt and not report.starts and report.attempt is None
            # A first run that has not been noted must not touch what the next one has begun.
            is_unnoted = report.is_to_begin and report.is_first_run
            taken = rows.end(
                report.task_id,
                0 if is_unnoted else report.attempt,
                *outcome,
                new_attempt=is_uncounted,
                changes=changes,
            )
            is_written = bool(taken)
    if is_written:
        report.written = snapshot
    if is_written and outcome is not None:
        report.is_fenced = True
        report.forget(outcome)
        if taken == Taken.AS_SAID and outcome.state in ENDED:
            announce(End(report.task_id, report.context), in_background=report.in_background)
    return is_written


def _restore(report: Report) -> None:
    """Restore a row that was deleted while its task was running."""
    snapshot = report.snapshot()
    with suppress(IntegrityError), _writing(report) as rows:  # another may restore it first
        rows.create(
            task_id=report.task_id,
            label=report.label,
            attempt=report.attempt or 0,
            total=snapshot.total.value,
            progress=snapshot.progress,
            step=snapshot.step.value,
            created_at=NOW,
            started_at=NOW,
            updated_at=NOW,
        )
        report.written = snapshot
