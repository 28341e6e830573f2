"""Real workers: processes of their own, on the tests' database and an available broker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bs4 import BeautifulSoup, Tag
from celery import Celery
from django.conf import settings
from django.db import connection
from django.test import Client

from example import sqlite_broker
from progress_widget.models import TaskProgress, has_heartbeat
from progress_widget.reading import rendering
from tests.workers import stacks

# Long enough for a busy machine; a worker that has died is noticed much sooner.
PATIENCE = 60.0
ROOT = Path(__file__).parents[2]
BROKERS = {"rabbitmq": "RABBITMQ_URL", "redis": "REDIS_URL", "sqlite": ""}


def wait_until(
    condition: Callable[[], object],
    what: Callable[[], str] | str,
    worker: Worker | None = None,
    patience: float = PATIENCE,
) -> object:
    """Wait until the condition holds, and return its value; fail once the worker has died."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        # Asked before the condition, so that what the worker did last is seen.
        has_died = worker is not None and worker.has_died
        found = condition()
        if found:
            return found
        if has_died:
            raise AssertionError(f"the worker has died:\n{worker.output()}")
        time.sleep(0.05)
    wanted = what if isinstance(what, str) else what()
    known = "" if worker is None else f"\n{worker.output_with_stacks()}"
    raise AssertionError(f"waited in vain, {patience} s, until {wanted}{known}")


@dataclass
class Page:
    """A page that shows one bar: it does what htmx does, with Django's test client.

    Attributes:
        worker: Who works on the task. A page does not wait for one that has died.
    """

    task_id: str
    worker: Worker | None = None
    html: BeautifulSoup = field(init=False)
    states: list[str] = field(default_factory=list)
    percents: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.opened = time.monotonic()
        self._show(str(rendering.progressbar(self.task_id, interval=0.1)))

    @property
    def bar(self) -> Tag:
        found = self.html.select_one(".progressbar")
        assert found is not None
        return found

    @property
    def state(self) -> str:
        return str(self.bar["data-state"])

    @property
    def text(self) -> str:
        return self.bar.get_text(" ", strip=True)

    def poll(self) -> Page:
        """Poll the partial view, if the bar still polls."""
        url = self.bar.get("hx-get")
        if url:
            response = Client().get(unescape(str(url)), headers={"HX-Request": "true"})
            assert response.status_code in (200, 204), response
            if response.status_code == 200:
                self._show(response.content.decode())
        return self

    def wait_for(self, state: str) -> Page:
        """Poll until the bar shows this state."""
        wait_until(
            lambda: self.poll().state == state,
            lambda: f"the bar is {state}: {self.states} {self.text}",
            self.worker,
        )
        self.seconds = time.monotonic() - self.opened
        return self

    def wait_for_percent(self, percent: str) -> Page:
        wait_until(
            lambda: self.poll().bar.get("data-percent") == percent,
            lambda: f"it shows {percent} %: {self.text}",
            self.worker,
        )
        return self

    def wait_for_text(self, text: str) -> Page:
        wait_until(
            lambda: text in self.poll().text, lambda: f"it says {text!r}: {self.text}", self.worker
        )
        return self

    def _show(self, html: str) -> None:
        self.html = BeautifulSoup(html, "html.parser")
        if not self.states or self.states[-1] != self.state:
            self.states.append(self.state)
        self.percents.append(str(self.bar.get("data-percent", "")))


@dataclass
class Worker:
    """One worker process on a queue of its own."""

    name: str
    queue: str
    app: Celery
    process: subprocess.Popen[str]
    log: Path
    folder: Path
    is_leaving: bool = False

    def send(self, name: str, *args: object, task_id: str = "", **options: object) -> str:
        """Publish a task of tests.workers.tasks and return its id."""
        task_id = task_id or str(uuid4())
        self.app.send_task(
            f"tests.workers.tasks.{name}", args, task_id=task_id, queue=self.queue, **options
        )
        return task_id

    def page(self, name: str, *args: object, **options: object) -> Page:
        return Page(self.send(name, *args, **options), self)

    def revoke(self, task_id: str) -> None:
        """Revoke a task that has not started yet; this worker knows when the call is back."""
        answers = self.app.control.broadcast(
            "revoke",
            arguments={"task_id": task_id},
            destination=[self.name],
            reply=True,
            timeout=PATIENCE,
            limit=1,
        )
        assert answers, self.output()

    def leave(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Tell the process to end; from now on, its end is no error."""
        self.is_leaving = True
        if self.process.poll() is None:
            self.process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Tell the process to end, and wait until it has."""
        self.leave(how)
        self.process.wait(PATIENCE)

    def let_go(self) -> None:
        """Tell the process to end in the quickest way, where no test looks at how it ends.

        A worker needs some seconds to end by itself, but a server would keep the queues of one that
        was killed, and coverage would lose what it has counted.
        """
        is_measured = "COVERAGE_PROCESS_CONFIG" in os.environ
        is_on_server = not str(self.app.conf.broker_url).startswith("sqlite")
        self.leave(signal.SIGTERM if is_measured or is_on_server else signal.SIGKILL)

    @property
    def has_died(self) -> bool:
        """Whether the process has ended although it was not told to."""
        return self.process.poll() is not None and not self.is_leaving

    def output(self) -> str:
        return self.log.read_text()

    def output_with_stacks(self) -> str:
        """Return the log, at whose end each process says where it stands, even if it hangs."""
        stacks.ask(self.process.pid)
        return self.output()


def broker_or_skip(name: str, folder: Path) -> str:
    """Return the URL of a server that is named, or of the broker that needs no server."""
    variable = BROKERS[name]
    url = os.environ.get(variable, "") if variable else sqlite_broker.url(folder)
    if not url:
        reason = f"{variable} names no server"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return url


def best_broker() -> str:
    return "rabbitmq" if os.environ.get("RABBITMQ_URL") else "sqlite"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Commit in the tests of this folder, since their workers use the same database."""
    ours = {item for item in items if Path(__file__).parent in item.path.parents}
    for item in ours:
        item.add_marker(pytest.mark.django_db(transaction=True))
    # One after another, so that the workers that they share can end with the last of them.
    items.sort(key=lambda item: item in ours)


StartWorker = Callable[..., Worker]


@pytest.fixture(scope="package")
def start_shared_worker(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartWorker]:
    """Return a function that starts a worker for several tests, and waits until it is ready."""
    workers: list[Worker] = []

    def start(
        pool: str = "prefork",
        broker: str = "",
        concurrency: int = 2,
        like: Worker | None = None,
        env: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
        app: str = "app",
    ) -> Worker:
        folder = like.folder if like else tmp_path_factory.mktemp("worker")
        queue = like.queue if like else f"progress-{uuid4()}"
        url = broker_or_skip(broker or best_broker(), folder)
        variables = {
            "PROGRESS_TEST_BROKER": url,
            "PROGRESS_TEST_QUEUE": queue,
            "PROGRESS_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "PROGRESS_TEST_STALLED_AFTER": str(settings.PROGRESS_WIDGET_STALLED_AFTER),
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }
        name = f"{uuid4()}@tests"
        log = folder / f"{name}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", f"tests.workers.{app}", "worker"),
                    *("-P", pool, "-c", str(concurrency), "-Q", queue, "-l", "INFO"),
                    *("-n", name, "--without-gossip", "--without-mingle", "--without-heartbeat"),
                    *options,
                ],
                env={**os.environ, **variables},
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )
        worker = Worker(name, queue, client(url), process, log, folder)
        workers.append(worker)
        wait_until(lambda: " ready." in worker.output(), "the worker is ready", worker)
        return worker

    yield start
    for worker in workers:
        worker.let_go()
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(PATIENCE)
        worker.process.kill()


@pytest.fixture
def start_worker(start_shared_worker: StartWorker) -> Iterator[StartWorker]:
    """Return a function that starts a worker for one test; each that is there takes its time."""
    workers: list[Worker] = []

    def start(**how: Any) -> Worker:
        workers.append(start_shared_worker(**how))
        return workers[-1]

    yield start
    for worker in workers:
        worker.let_go()


def client(url: str) -> Celery:
    """Return an app that publishes to the workers and knows none of their tasks."""
    return Celery("client", broker=url, set_as_current=False)


@pytest.fixture
def own(start_worker: StartWorker) -> Worker:
    """A worker for one test, whose children may be killed and replaced without harm to others."""
    return start_worker()


@pytest.fixture(scope="package")
def worker(start_shared_worker: StartWorker) -> Worker:
    """A prefork worker that tests share."""
    return start_shared_worker()


SeenFunction = Callable[[str, Page], None]


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> SeenFunction:
    """Record what a page showed at the end of a fate, for the table after the run."""
    return lambda fate, page: record_property("fate", [fate, page.state, page.seconds])


@pytest.fixture
def needs_thread() -> None:
    if not has_heartbeat():
        pytest.skip("a promise of background writes, which are off or not available on SQLite")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that, once created, lets a task go on."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def row(task_id: str) -> TaskProgress:
    return TaskProgress.objects.get(task_id=task_id)
