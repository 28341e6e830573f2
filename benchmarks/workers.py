"""A worker for the benchmarks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 300.0


@contextmanager
def worker(folder: Path) -> Iterator[Callable[..., Any]]:
    """Start a worker, and yield a function that has it run tasks and returns the first result."""
    from benchmarks import tasks
    from benchmarks.app import app

    def ask(name: str, *each: tuple[Any, ...]) -> Any:
        task = getattr(tasks, name)
        sent = [task.apply_async(args) for args in each or [()]]
        answers = [result.get(timeout=PATIENCE, propagate=name != "ordinary") for result in sent]
        for result in sent:
            result.forget()
        return answers[0]

    app.set_default()
    queue = app.amqp.queues[app.conf.task_default_queue]
    with app.connection_for_write() as broker:
        # The connection that publishes believes that the last worker's queue is still there.
        queue.bind(broker.default_channel).declare()
    command = "celery -A benchmarks.app worker --concurrency 1 --without-gossip --without-mingle"
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command.split(), "--loglevel", "WARNING"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield ask
    except Exception:
        print((folder / "log").read_text(), file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(PATIENCE)
        with app.connection_for_write() as broker:
            queue.bind(broker.default_channel).delete()
