"""The steps of progress_doctor: what each looks at, and what it says of what it finds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import uuid4

from django.core.checks import CheckMessage
from django.db import DEFAULT_DB_ALIAS, Error, connections, router
from django.urls import resolve, reverse

from progress_widget import probe, queues
from progress_widget.checks import check_settings, check_urls
from progress_widget.clock import NOW
from progress_widget.models import TaskProgress
from progress_widget.queues import examining
from progress_widget.reading import rendering, tickets
from progress_widget.reading.polling import Wanted, look_up
from progress_widget.reading.tickets import Ticket
from progress_widget.states import State

PAUSE = 0.1
"""Seconds between two looks at the row."""

APART = 5.0
"""Seconds by which clocks may seem to differ, since each answer takes its time."""


class Problem(Exception):  # noqa: N818  # not an error of the doctor's
    """What is wrong, and what to do about it."""


class Examination:
    """The steps, each of which returns what it has found, or raises a Problem."""

    def __init__(self, queue: str, timeout: float) -> None:
        self.task_id = str(uuid4())
        self.queue = queue
        self.timeout = timeout
        self.workers: dict[str, examining.Worker] = {}

    def settings(self) -> str:
        _raise_for(check_settings(None))
        return "The system checks find nothing wrong."

    def database(self) -> str:
        alias = router.db_for_write(TaskProgress)
        connection = connections[alias]
        database = probe.database()
        try:
            connection.ensure_connection()
        except Error as error:
            raise Problem(
                f"The {database} can't be reached: {reason(error)} Start it, or correct DATABASES."
            ) from error
        option = "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"
        migrate = f"Run: python manage.py migrate{option}"
        if TaskProgress._meta.db_table not in connection.introspection.table_names():
            raise Problem(f"The {database} has no table for the rows. {migrate}")
        try:
            TaskProgress.objects.using(alias).create(
                task_id=self.task_id, state=State.WAITING, created_at=NOW, updated_at=NOW
            )
        except Error as error:
            raise Problem(
                f"The {database} does not take a row: {reason(error)} {migrate}"
            ) from error
        return f"The {database} has taken a row."

    def broker(self) -> str:
        if not examining.is_configured():
            raise Problem(
                "No Celery app is loaded here, so tasks would go to a broker on this machine that "
                'nobody has configured. Import yours in the __init__.py of your project, as "First '
                "steps with Django\" of Celery's documentation has it."
            )
        if queues.is_eager():
            raise Problem(
                "task_always_eager is set: tasks run in the process that starts them, without "
                "broker and worker, and a page is shown only when they are over. Remove the "
                "setting, except for tests."
            )
        broker = examining.broker()
        try:
            examining.connect()
        except Exception as error:  # whatever the broker's client raises
            raise Problem(
                f"{broker} does not answer: {reason(error)} Start the broker, or correct Celery's "
                "broker_url."
            ) from error
        return f"{broker} answers."

    def publish(self) -> str:
        queue = examining.queue_of(probe.NAME, self.queue)
        self.workers = examining.workers()
        takers = [name for name, worker in self.workers.items() if worker.takes_from(queue)]
        if self.workers and not takers:
            raise Problem(
                f'The task would go to the queue "{queue}", from which no worker takes: '
                f"{_queues(self.workers)}. Start a worker with -Q {queue}, or correct "
                "task_routes, task_default_queue or --queue."
            )
        strangers = [name for name in takers if probe.NAME not in self.workers[name].tasks]
        if strangers:
            raise Problem(
                f"{_list(strangers)}: the app is missing there. Add progress_widget to the "
                "INSTALLED_APPS of the worker, install this release where it runs, and restart it."
            )
        examining.send(probe.NAME, self.task_id, self.queue)
        known = _list(takers) or "none has answered"
        return f'The task is in the queue "{queue}". Workers that take from it: {known}.'

    def worker(self) -> str:
        start = time.monotonic()
        while time.monotonic() < start + self.timeout:
            row = self._row()
            if row.state == State.SUCCEEDED:
                name = _signature(row)[1]
                return f"{name} has reported after {time.monotonic() - start:.1f} s."
            time.sleep(PAUSE)
        if self._row().label:
            raise Problem(
                f"{_signature(self._row())[1]} has found the row, but its reports do not arrive. "
                'Read what its log says under "progress_widget": perhaps the database allows no '
                "further connection. PROGRESS_WIDGET_BACKGROUND_WRITES = False does without one."
            )
        raise Problem(self._why_silent())

    def clocks(self) -> str:
        row = self._row()
        here = time.time()
        there, worker = _signature(row)
        assert row.now is not None
        assert row.started_at is not None
        ahead = {
            worker: there - row.started_at.timestamp(),
            "this process": here - row.now.timestamp(),
        }
        wrong = [
            f"{name} is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the database"
            for name, seconds in ahead.items()
            if abs(seconds) > APART
        ]
        if wrong:
            raise Problem(
                f"They are apart: {', '.join(wrong)}. Let all machines set their clocks by NTP; if "
                "the difference is whole hours, compare TIME_ZONE and USE_TZ. Bars go by the "
                "database's clock, but Celery's countdown, eta and expires do not."
            )
        return f"{worker}, this process and the database agree on the time."

    def page(self) -> str:
        _raise_for(check_urls(None))
        ticket = Ticket(task_id=self.task_id)
        token = tickets.sign(ticket)
        path = reverse("progress_widget:poll", kwargs={"token": token})
        taker = resolve(path)
        if taker.app_names[-1:] != ["progress_widget"]:
            raise Problem(
                f"{path.replace(token, '...')} leads to {taker._func_path} instead. Move the path "
                'of "progress_widget.urls" to the top of your URLs.'
            )
        [fragment] = look_up([Wanted(ticket)])
        rendering.render(fragment, rendering.new_key(), token=token, on_page=True)
        return f'A bar polls {path.replace(token, "...")} and says "{fragment.text}" now.'

    def delete_row(self) -> None:
        alias = router.db_for_write(TaskProgress)
        TaskProgress.objects.using(alias).filter(task_id=self.task_id).delete()

    def _row(self) -> TaskProgress:
        return TaskProgress.objects.for_tasks([self.task_id])[self.task_id]

    def _why_silent(self) -> str:
        before, now = self.workers, examining.workers() or self.workers
        if not now:
            return (
                f"No worker has answered or run the task for {self.timeout:g} s. Start one: celery "
                "-A <your project> worker. If one is running, it is busy or uses another broker "
                f"than {examining.broker()}. (The task stays in the queue, and does nothing when "
                "it is run later.)"
            )
        ran = [name for name in now if _runs(now, name) > _runs(before, name)]
        if ran:
            return (
                f"{_list(ran)} has run the task, but the row is not in its database; here it is "
                f"in the {probe.database()}. Give both the same DATABASES: the log of the worker "
                "names the one that it has looked in, or the error that it met."
            )
        return (
            f"Nobody has begun the task for {self.timeout:g} s: all processes of the workers are "
            "busy, or the queue is long. Start more workers, or wait for longer with --timeout."
        )


def reason(error: Exception) -> str:
    """Return what an exception says, as a sentence; databases add the statement on more lines."""
    return f"{str(error).strip().partition(chr(10))[0].rstrip('.')}."


def _raise_for(messages: Iterable[CheckMessage]) -> None:
    found = [f"{message.msg} {message.hint}" for message in messages if not message.is_silenced()]
    if found:
        raise Problem(" ".join(found))


def _runs(workers: dict[str, examining.Worker], name: str) -> int:
    return workers[name].runs.get(probe.NAME, 0) if name in workers else 0


def _queues(workers: dict[str, examining.Worker]) -> str:
    return ", ".join(
        f"{name} takes from {', '.join(sorted(worker.queues))}" for name, worker in workers.items()
    )


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _signature(row: TaskProgress) -> tuple[float, str]:
    """Return when the worker has signed the row, by its own clock, and its name."""
    seconds, _, name = row.label.partition(" ")
    return float(seconds), name
