"""Celery's answers to the doctor: who would run a task, and through which broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from celery import current_app, shared_task

ANSWER = 2.0
"""Seconds for which an answer of a worker is waited for."""


class Worker(NamedTuple):
    """What a worker says of itself."""

    queues: frozenset[str]
    tasks: frozenset[str]

    runs: Mapping[str, int]
    """How many tasks of a name it has begun since its start."""

    def takes_from(self, queue: str) -> bool:
        return not queue or queue in self.queues


@cache  # apps get ready again where INSTALLED_APPS is overridden
def register(name: str, function: Callable[[str, str], None]) -> None:
    """Make a function a task that every worker with the app knows, autodiscovery or not.

    Args:
        function: Called with the task's id and the worker's name.
    """

    def run(task: Any) -> None:
        function(task.request.id, str(task.request.hostname))

    shared_task(run, bind=True, name=name, ignore_result=True)


def is_configured() -> bool:
    """Whether the project's app is known here, and not just the one that Celery makes up."""
    return bool(current_app.main != "default")


def broker() -> str:
    """Return the broker's URL, without its password."""
    return str(current_app.connection_for_write().as_uri())


def connect() -> None:
    """Connect to the broker once, or raise whatever its client does."""
    with current_app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)


def queue_of(name: str, queue: str = "") -> str:
    """Return the queue that a task is routed to; "" if it goes to an exchange instead.

    Args:
        queue: The one that is asked for; "" leaves it to the routes.
    """
    options = {"queue": queue} if queue else {}
    route = current_app.amqp.router.route(options, name, task_type=current_app.tasks[name])
    return str(getattr(route.get("queue"), "name", ""))


def send(name: str, task_id: str, queue: str = "") -> None:
    """Send a registered task, at once or not at all."""
    options = {"queue": queue} if queue else {}
    with current_app.connection_for_write() as connection:
        current_app.tasks[name].apply_async(
            task_id=task_id, connection=connection, retry=False, **options
        )


def workers() -> dict[str, Worker]:
    """Ask all workers what they do; those without remote control, or too busy, are not in it."""
    control = current_app.control
    with current_app.connection_for_write() as connection:
        runs = control.inspect(timeout=ANSWER, connection=connection).stats() or {}
        if not runs:
            return {}
        # Those that have answered once are asked by name, so that the last answer ends the waiting.
        known = control.inspect(list(runs), timeout=ANSWER, connection=connection)
        queues = known.active_queues() or {}
        tasks = known.registered() or {}
    return {
        name: Worker(
            queues=frozenset(queue["name"] for queue in queues.get(name, ())),
            # A task comes with what is special about it: "kelp.tasks.dry [rate_limit=10/m]".
            tasks=frozenset(task.partition(" ")[0] for task in tasks.get(name, ())),
            runs=runs[name]["total"],
        )
        for name in runs
    }
