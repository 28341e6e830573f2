"""The report of a handle that is opened, on a row of its own or on one that is there."""

from __future__ import annotations

from typing import Any

from progress_widget.exceptions import DoesNotExist
from progress_widget.models import LABEL_LENGTH
from progress_widget.texts import cropped
from progress_widget.writing.flushing import has_begun, is_in_background
from progress_widget.writing.reports import Report
from progress_widget.writing.saving import read
from progress_widget.writing.values import step_of, total_of


def is_own(task_id: str, run: Any) -> bool:
    """Whether a bar with this id is that of the run itself."""
    return run is not None and run.id == task_id


def new_report(task_id: str, run: Any, *, total: Any, step: object, label: object) -> Report:
    """Return the report of a handle that starts its row.

    Raises:
        ValueError, OutOfRange: The total is no number, or out of range.
    """
    return Report(
        task_id=task_id,
        starts=True,
        is_new_attempt=is_own(task_id, run) and not has_begun(run),
        in_background=is_in_background(run),
        total=total_of(total),
        step=step_of(step),
        label=cropped(label, LABEL_LENGTH),
    )


def found_report(task_id: str, run: Any) -> tuple[Report, str | None]:
    """Return the report of a handle on a row that is there, and the state in which it has ended.

    Raises:
        DoesNotExist: There is no row.
    """
    report = Report(task_id=task_id, in_background=is_in_background(run))
    row = read(report)
    if row is None and not report.is_failing:
        raise DoesNotExist(task_id)
    if row is None:  # the database cannot be asked; what is reported goes to whichever there is
        return report, None
    ended = row.state if row.is_ended else None
    return Report.found(row, in_background=report.in_background), ended
