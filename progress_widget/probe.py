"""The package's own task, which progress_doctor sends to see whether a report arrives."""

from __future__ import annotations

import logging
import time

from django.db import connections, router

from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress
from progress_widget.texts import cropped

logger = logging.getLogger("progress_widget")

NAME = "progress_widget.probe"
SIGNATURE_LENGTH = 255


def report(task_id: str, worker: str) -> None:
    """Sign the doctor's row with the time and the worker, then report as any task does.

    Where there is no such row, nothing is written: the doctor has gone already, or it works with
    another database, where it could not delete what this worker leaves.
    """
    signature = cropped(f"{time.time()} {worker}", SIGNATURE_LENGTH)
    if not TaskProgress.objects.filter(task_id=task_id).update(label=signature):
        logger.warning("The row of progress_doctor is not in the %s", database())
        return
    ProgressBar(task_id, total=1, step="Examining...").update(progress=1)


def database() -> str:
    """Return which database rows are written to, for people who know its settings."""
    connection = connections[router.db_for_write(TaskProgress)]
    name, host = (connection.settings_dict[key] for key in ("NAME", "HOST"))
    return f'{connection.vendor} database "{name}"' + (f" on {host}" if host else "")
