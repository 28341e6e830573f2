"""The Celery app of the stress test; environment variables name its folder and its broker."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from example import sqlite_broker

folder = Path(os.environ["PROGRESS_BENCH_FOLDER"])
app = Celery("stress")
app.conf.update(
    broker_url=(
        sqlite_broker.url(folder)
        if os.environ["PROGRESS_BENCH_BROKER"] == "sqlite"
        else "filesystem://"
    ),
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
)
if app.conf.broker_url == "filesystem://":
    for name in ("messages", "control"):
        (folder / name).mkdir(exist_ok=True)
    app.conf.broker_transport_options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.05,
    }


@app.task(name="note")
def note(number: int) -> None:
    with open(folder / f"{os.getpid()}.noted", "a") as noted:
        noted.write(f"{number}\n")
