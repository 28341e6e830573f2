"""The oracle: tasks write down by themselves what really happens to them, apart from any bar.

Each line of its file is one event, appended by one write, so that processes that are killed can
neither lose nor tear what the others have written.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

VARIABLE = "PROGRESS_TEST_ORACLE"
RETURNED = "returned"


def note(of: str, event: str, **more: Any) -> None:
    """Write down what happens just now to a task or to a bar, by their ids."""
    line = json.dumps({"of": of, "at": time.time(), "event": event, "pid": os.getpid(), **more})
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\n".encode())
    os.close(file)


@contextmanager
def witnessed(task_id: str) -> Iterator[None]:
    """Note that a run starts, and how it ends; one that is killed does not end."""
    run, how = uuid4().hex, RETURNED
    note(task_id, "started", run=run)
    try:
        yield
    except BaseException as error:
        how = type(error).__name__
        raise
    finally:
        note(task_id, "ended", run=run, how=how)


def is_first_run(task_id: str) -> bool:
    """Tell a run whether it is its task's first; not every broker says so."""
    return len(Oracle(Path(os.environ[VARIABLE])).read().runs(task_id)) == 1


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Run:
    """One run of a task, as the task has noted it.

    Attributes:
        ended_at: When its body was over; None while it goes on, and if it was killed.
        how: "returned", or the name of the exception that it left by.
        let_go_at: When all that Celery calls after a task was over too.
        killed_at: When the test killed its process.
    """

    pid: int
    started_at: float
    ended_at: float | None = None
    how: str = ""
    let_go_at: float | None = None
    killed_at: float | None = None


@dataclass
class Oracle:
    """What has been noted so far."""

    path: Path
    offset: int = 0
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def read(self) -> Oracle:
        """Read what has been written since the last time."""
        if self.path.exists():
            with self.path.open() as file:
                file.seek(self.offset)
                while (line := file.readline()).endswith("\n"):
                    noted = json.loads(line)
                    self.lines[noted["of"]].append(noted)
                    self.offset = file.tell()
        return self

    def events(self, of: str, *names: str) -> list[dict[str, Any]]:
        return [line for line in self.lines.get(of, ()) if line["event"] in names]

    def runs(self, task_id: str) -> list[Run]:
        """Return the runs of a task, in the order of their starts."""
        runs = {
            line["run"]: Run(line["pid"], line["at"]) for line in self.events(task_id, "started")
        }
        for line in self.events(task_id, "ended"):
            run = runs[line["run"]]
            run.ended_at, run.how = line["at"], line["how"]
        for line in self.events(task_id, "let go"):
            for run in runs.values():
                if run.pid == line["pid"] and run.let_go_at is None:
                    run.let_go_at = line["at"]
                    break
        for line in self.events("kills", "kill"):
            for run in runs.values():
                is_alive = run.started_at <= line["at"] <= (run.let_go_at or line["at"])
                if run.pid == line["killed"] and is_alive:
                    run.killed_at = line["at"]
        return sorted(runs.values(), key=lambda run: run.started_at)

    def last_start_in(self, pid: int) -> float:
        """Return when the last run in a process began: one that dies does so while it works."""
        starts = [line for of in list(self.lines) for line in self.events(of, "started")]
        return max(line["at"] for line in starts if line["pid"] == pid)

    def running(self) -> list[Run]:
        """Return the runs whose bodies go on."""
        runs = [run for task_id in list(self.lines) for run in self.runs(task_id)]
        return [run for run in runs if run.ended_at is None and run.killed_at is None]
