"""The report of a handle that is opened, on a row of its own or on one that is there."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.exceptions import DoesNotExist
from progress_widget.models import LABEL_LENGTH
from progress_widget.texts import cropped
from progress_widget.writing.background import writer
from progress_widget.writing.flushing import flush, has_begun, is_in_background
from progress_widget.writing.reports import Report
from progress_widget.writing.saving import read
from progress_widget.writing.values import step_of, total_of


def is_own(task_id: str, run: Any) -> bool:
    """Whether a bar with this id is that of the run itself."""
    return run is not None and run.id == task_id


def begin_run(run: Any, *, is_first: bool) -> Report:
    """Note that a run has begun whose row is there, and return the report that will do so.

    In the background, a first run has WRITE_INTERVAL to make a bar: that notes it too, at no
    further cost. Later ones are noted at once, so that none is taken for the one before.
    """
    report = Report(
        task_id=run.id,
        begins=True,
        is_first_run=is_first,
        is_new_attempt=True,
        in_background=is_in_background(run),
    )
    if report.in_background:
        report.is_live = True
        writer.watch(report, rest=conf.write_interval if is_first else 0.0)
    else:
        _note_inline(report)
    return report


def begin_member(run: Any, group: str) -> Report:
    """Note that a task of a group has begun, and return the report that will count its end.

    One that is over within WRITE_INTERVAL, in the background, is only counted.
    """
    in_background = is_in_background(run)
    report = Report(task_id=run.id, group=group, begins=True, in_background=in_background)
    if in_background:
        writer.watch(report, rest=conf.write_interval)
    else:
        _note_inline(report)
    return report


def _note_inline(report: Report) -> None:
    # From where a run begins, no interruption reaches the task; the report has to, for its end.
    with suppress(*queues.INTERRUPTIONS):
        flush(report)


def beginning_of(task_id: str, run: Any) -> Report | None:
    """Return the report that notes the beginning of the run, if the bar is the run's own."""
    report: Report | None = getattr(run, "progress_beginning", None)
    return report if report is not None and report.begins and is_own(task_id, run) else None


def new_report(task_id: str, run: Any, *, total: Any, step: object, label: object) -> Report:
    """Return the report of a handle that starts its row.

    Raises:
        ValueError, OutOfRange: The total is no number, or out of range.
    """
    beginning = beginning_of(task_id, run)
    report = Report(
        task_id=task_id,
        starts=True,
        is_new_attempt=is_own(task_id, run) and not has_begun(run),
        takes_over=beginning,
        stops_with=queues.group_of(run) if is_own(task_id, run) else None,
        in_background=is_in_background(run),
        total=total_of(total),
        step=step_of(step),
        label=cropped(label, LABEL_LENGTH),
    )
    if beginning is not None:  # once the arguments are known to be good
        beginning.is_live, beginning.is_fenced = False, True
    return report


def found_report(task_id: str, run: Any) -> tuple[Report, str | None]:
    """Return the report of a handle on a row that is there, and the state in which it has ended.

    Raises:
        DoesNotExist: There is no row.
    """
    beginning = beginning_of(task_id, run)
    if beginning is not None and beginning.is_to_begin:  # so that the row is at this attempt
        flush(beginning)
    report = Report(task_id=task_id, in_background=is_in_background(run))
    row = read(report)
    if row is None and not report.is_failing:
        raise DoesNotExist(task_id)
    if row is None:  # the database cannot be asked; what is reported goes to whichever there is
        return report, None
    ended = row.state if row.is_ended else None
    return Report.found(row, in_background=report.in_background), ended
