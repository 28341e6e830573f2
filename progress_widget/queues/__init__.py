"""What the rest asks of the queue that runs the tasks; each queue is a module that answers."""

from __future__ import annotations

from progress_widget.queues import celery

current_run = celery.current_run
result = celery.result
