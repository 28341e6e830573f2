"""The Celery app of the tests' workers; environment variables say what they work with."""

from __future__ import annotations

import os

from celery import Celery

import example.sqlite_broker  # noqa: F401  # Celery does not know sqlite:// without it
from tests.workers import stacks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

stacks.tell_when_asked()

app = Celery("tests")
app.conf.update(
    broker_url=os.environ.get("PROGRESS_TEST_BROKER", "memory://"),
    result_backend=os.environ.get("PROGRESS_TEST_RESULTS") or None,
    imports=["tests.workers.tasks"],
    task_default_queue=os.environ.get("PROGRESS_TEST_QUEUE", "progress-tests"),
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    # How long the loss of a pool's process is only suspected; Celery's own value is 10 seconds.
    worker_lost_wait=2.0,
)
