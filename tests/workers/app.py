"""The Celery app of the tests' workers; environment variables say what they work with."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

app = Celery("tests")
app.conf.update(
    broker_url=os.environ.get("PROGRESS_TEST_BROKER", "memory://"),
    result_backend=os.environ.get("PROGRESS_TEST_RESULTS") or None,
    imports=["tests.workers.tasks"],
    task_default_queue=os.environ.get("PROGRESS_TEST_QUEUE", "progress-tests"),
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
if "filesystem" in app.conf.broker_url:
    folder = Path(os.environ["PROGRESS_TEST_FOLDER"])
    for name in ("messages", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    app.conf.broker_transport_options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.1,
    }
