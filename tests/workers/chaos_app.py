"""The Celery app of the chaos: that of the other workers, with its tasks and witnesses."""

from __future__ import annotations

from typing import Any

from celery import signals

from tests.workers.app import app
from tests.workers.chaos_oracle import note

app.conf.imports = ["tests.workers.chaos_tasks"]


@signals.worker_process_init.connect(weak=False)
def be_last(**signal: Any) -> None:
    """Connect in the child, hence after any other: receivers are called in their order."""
    signals.task_postrun.connect(note_end, weak=False)


def note_end(task_id: str, **signal: Any) -> None:
    note(task_id, "let go")


@signals.task_revoked.connect(weak=False)
def note_revocation(request: Any, **signal: Any) -> None:
    """Note when the worker heeds a revocation, as it comes to the task or stops it."""
    note(request.id, "revoked")
