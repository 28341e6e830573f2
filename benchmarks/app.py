"""The Celery app of the benchmark; environment variables say which servers it works with."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from example import sqlite_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

folder = Path(os.environ["PROGRESS_BENCH_FOLDER"])
(folder / "results").mkdir(exist_ok=True)

app = Celery("benchmarks")
app.conf.update(
    broker_url=os.environ.get("RABBITMQ_URL") or sqlite_broker.url(folder),
    result_backend=os.environ.get("REDIS_URL") or f"file://{folder / 'results'}",
    result_expires=600,
    imports=["benchmarks.tasks"],
    task_default_queue=f"progress-bench-{folder.name}",
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)
