"""The fates of a task that the page "Fates" lets a visitor try."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kelp import tasks


@dataclass(frozen=True)
class Fate:
    slug: str
    title: str
    text: str
    task: Any
    can_cancel: bool = False

    @property
    def code(self) -> str:
        """The source of the task, for those who want to write a similar one."""
        parts: tuple[Callable[..., Any], ...] = (getattr(self.task, "run", self.task),)
        if self.task is tasks.dry_together:
            parts = (tasks.dry_together, tasks.dry_share.run)
        return "\n\n".join(inspect.getsource(part).rstrip() for part in parts)


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
        "The task takes a minute unless you cancel it.",
        tasks.take_a_minute,
        can_cancel=True,
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
    Fate(
        "group",
        "Six tasks fill one bar",
        "The view starts the bar under an id of its own; each task of a group adds to it.",
        tasks.dry_together,
    ),
    Fate(
        "unknown",
        "Nobody knows how much there is",
        "Without a total, the bar moves but shows no percentage.",
        tasks.count_the_unknown,
    ),
)
BY_SLUG = {fate.slug: fate for fate in FATES}
