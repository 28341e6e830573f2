"""The app of workers whose project is told when tasks have ended, in a process that has receivers.

What they are told stands in a file, a line for each end.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import sleep

from progress_widget.signals import progress_finished
from tests.workers.app import app

__all__ = ["app"]

FILE = os.environ["PROGRESS_TEST_TOLD"]


def note(row, **signal):
    with open(FILE, "a") as file:
        file.write(f"{row.task_id} {row.state}\n")


def refuse(row, **signal):
    raise ValueError("no mail today")


def work_until(row, **signal):
    """Take as long as a test wants, for a row whose link names a file."""
    while row.link and not Path(row.link).exists():
        sleep(0.02)


for receiver in (refuse, work_until, note):
    progress_finished.connect(receiver)
