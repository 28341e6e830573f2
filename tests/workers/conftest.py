"""Real workers: processes of their own, on the database of the tests and a broker that is there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
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

PATIENCE = 30.0
ROOT = Path(__file__).parents[2]
BROKERS = {"rabbitmq": "RABBITMQ_URL", "redis": "REDIS_URL", "sqlite": ""}


def wait_until(
    condition: Callable[[], object], what: Callable[[], str] | str, patience: float = PATIENCE
) -> object:
    """Wait until the condition holds, and give what it gave."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    wanted = what if isinstance(what, str) else what()
    raise AssertionError(f"waited in vain, {patience} s, until {wanted}")


@dataclass
class Page:
    """A page that shows one bar: it does what htmx does, with Django's test client."""

    task_id: str
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
        """Ask the partial view, if the bar still asks."""
        url = self.bar.get("hx-get")
        if url:
            response = Client().get(unescape(str(url)), headers={"HX-Request": "true"})
            assert response.status_code in (200, 204), response
            if response.status_code == 200:
                self._show(response.content.decode())
        return self

    def wait_for(self, state: str, patience: float = PATIENCE) -> Page:
        """Poll until the bar shows this state."""
        wait_until(
            lambda: self.poll().state == state,
            lambda: f"the bar is {state}: {self.states} {self.text}",
            patience,
        )
        self.seconds = time.monotonic() - self.opened
        return self

    def wait_for_percent(self, percent: str) -> Page:
        wait_until(
            lambda: self.poll().bar.get("data-percent") == percent,
            lambda: f"it shows {percent} %: {self.text}",
        )
        return self

    def wait_for_text(self, text: str, patience: float = PATIENCE) -> Page:
        wait_until(
            lambda: text in self.poll().text, lambda: f"it says {text!r}: {self.text}", patience
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

    queue: str
    app: Celery
    process: subprocess.Popen[str]
    log: Path
    folder: Path
    pool: str = "prefork"

    def send(self, name: str, *args: object, task_id: str = "", **options: object) -> str:
        """Publish a task of tests.workers.tasks and give its id."""
        task_id = task_id or str(uuid4())
        self.app.send_task(
            f"tests.workers.tasks.{name}", args, task_id=task_id, queue=self.queue, **options
        )
        return task_id

    def page(self, name: str, *args: object, **options: object) -> Page:
        return Page(self.send(name, *args, **options))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)

    def output(self) -> str:
        return self.log.read_text()


def broker_or_skip(name: str, folder: Path) -> str:
    """Return the URL of a server that is named, or of the broker that needs none."""
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
    """Let the tests of this folder commit: their workers look at the same database."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.django_db(transaction=True))


StartWorker = Callable[..., Worker]


@pytest.fixture(scope="session")
def start_worker(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartWorker]:
    """Give a function that starts a worker and waits until it answers."""
    workers: list[Worker] = []

    def start(
        pool: str = "prefork",
        broker: str = "",
        concurrency: int = 2,
        like: Worker | None = None,
        env: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
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
        log = folder / f"{uuid4()}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", "tests.workers.app", "worker"),
                    *("-P", pool, "-c", str(concurrency), "-Q", queue, "-l", "INFO"),
                    *("-n", f"{uuid4()}@%h", "--without-gossip", "--without-mingle", *options),
                ],
                env={**os.environ, **variables},
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )
        worker = Worker(queue, client(url), process, log, folder)
        workers.append(worker)

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            return bool(re.search(r" ready\.", log.read_text()))

        wait_until(ready, "the worker is ready")
        return worker

    yield start
    for worker in workers:
        worker.process.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.process.wait(PATIENCE)


def client(url: str) -> Celery:
    """Return an app that publishes to the workers and knows none of their tasks."""
    return Celery("client", broker=url, set_as_current=False)


@pytest.fixture(scope="session")
def worker(start_worker: StartWorker) -> Worker:
    """A prefork worker that tests share."""
    return start_worker()


ABOUT_FATES = """\
# Fates

Written by `make fates`: what the partial view answered in the end, for each fate that a task met
on a real worker, and the seconds from opening the page. The pool is prefork where no other is
named. Where STALLED_AFTER decides, the test had set it to 2 or 3 seconds. What never started had a
row made for it beforehand (revoke before start, expired, unregistered task); without one the page
says that the task waits, unless a result backend knows better. What needs which server:

- RabbitMQ: delivery again after the loss of the whole worker. The SQLite broker removes a
  message when it is received; Redis delivers again only after minutes.
- PostgreSQL or MariaDB: what the background writer promises (see design.md).
- None: the rest.
"""
SEEN: dict[str, tuple[str, float]] = {}
SeenFunction = Callable[[str, "Page"], None]


@pytest.fixture
def seen() -> SeenFunction:
    """Note what a page showed in the end of a fate, for the table after the run."""

    def note(fate: str, page: Page) -> None:
        SEEN[fate] = (page.state, page.seconds)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not SEEN:
        return
    table = ["| fate | the page says | after |", "|---|---|---|"]
    for fate, (state, seconds) in sorted(SEEN.items()):
        table.append(f"| {fate} | {state} | {seconds:.1f} s |")
    terminalreporter.section("what a page shows of each fate")
    terminalreporter.write_line("\n".join(table))
    if path := os.environ.get("PROGRESS_FATES_FILE"):
        Path(path).write_text("\n".join((ABOUT_FATES, *table, "")))


@pytest.fixture
def needs_thread() -> None:
    if not has_heartbeat():
        pytest.skip("a promise of background writes, which are off or not to be had on SQLite")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file whose making lets a task go on."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def row(task_id: str) -> TaskProgress:
    return TaskProgress.objects.get(task_id=task_id)
