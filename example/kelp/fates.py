"""The fates of a task that the page "Fates" lets a visitor try."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from celery import Task

from kelp import tasks
from progress_widget.groups import start_group
from progress_widget.launch import start_task
from progress_widget.models import TaskProgress

RACKS = 40


@dataclass(frozen=True)
class Fate:
    slug: str
    title: str
    text: str
    task: Task

    def start(self, owner: Any) -> TaskProgress:
        return start_task(self.task, owner=owner, label=self.title)

    @property
    def code(self) -> str:
        """The source of the task, for those who want to write a similar one."""
        return inspect.getsource(self.task.run)


@dataclass(frozen=True)
class GroupFate(Fate):
    def start(self, owner: Any) -> TaskProgress:
        racks = [self.task.s(number) for number in range(RACKS)]
        return start_group(racks, owner=owner, label=self.title)

    @property
    def code(self) -> str:
        return f"{super().code}\n\n{inspect.getsource(GroupFate.start)}"


FATES = (
    Fate(
        "fail",
        "It gives up, and says why",
        "The task calls bar.fail() with a sentence for the people who watch.",
        tasks.fail_with_message,
    ),
    Fate(
        "raise",
        "It raises an exception",
        "The bar ends as failed. What the exception says may hold secrets, so no page shows it.",
        tasks.raise_exception,
    ),
    Fate(
        "retry",
        "It is retried",
        "The first attempt stops half-way. Four seconds later, a second one starts over and "
        "succeeds.",
        tasks.retry_once,
    ),
    Fate(
        "cancel",
        "It is cancelled",
        "The task takes a minute unless you cancel it: before each step, it looks whether somebody "
        "wants it to stop.",
        tasks.take_a_minute,
    ),
    Fate(
        "kill",
        "Its process is killed",
        "Running out of memory looks like this: the process is gone in the middle of its work. "
        "Without a broker server, Celery takes ten to twenty seconds to notice.",
        tasks.be_killed,
    ),
    Fate(
        "transaction",
        "It works in a transaction",
        "On SQLite, which this example uses by default, nobody else sees the progress before the "
        "transaction ends, and other writers wait for those six seconds. On PostgreSQL and MySQL, "
        "the bar moves.",
        tasks.work_in_transaction,
    ),
    GroupFate(
        "group",
        "Forty tasks fill one bar",
        "The tasks know nothing of the bar: each is counted when it ends. Some of them fail, which "
        "the bar says too.",
        tasks.dry_rack,
    ),
    Fate(
        "unknown",
        "Nobody knows how much there is",
        "Without a total, the bar moves but shows no percentage.",
        tasks.count_the_unknown,
    ),
)
BY_SLUG = {fate.slug: fate for fate in FATES}
