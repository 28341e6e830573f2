"""What the doctor asks of the queue; a module for each queue answers."""

from __future__ import annotations

from progress_widget.queues.examining import celery

Worker = celery.Worker
broker = celery.broker
connect = celery.connect
is_configured = celery.is_configured
queue_of = celery.queue_of
register = celery.register
send = celery.send
workers = celery.workers
