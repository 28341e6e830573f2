"""Some forty kinds of task at once, and faults: no page may lie, and no task be harmed.

Seeded: a failure names its seed. `make chaos SEEDS="1 2 3" SECONDS=120` runs longer, with all
faults.
"""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, current_app
from django.db import connection

from tests.workers.chaos_faults import Faults
from tests.workers.chaos_judge import Judge, complaints
from tests.workers.chaos_kinds import KINDS, Kind
from tests.workers.chaos_oracle import VARIABLE, Oracle
from tests.workers.chaos_pages import Watched
from tests.workers.chaos_truth import STALLED_AFTER
from tests.workers.conftest import Page, StartWorker, Worker
from tests.workers.proxy import Proxy

pytestmark = pytest.mark.skipif(
    "PROGRESS_CHAOS_SEEDS" not in os.environ, reason="takes most of a minute: make chaos runs it"
)
SEEDS = [int(seed) for seed in os.environ.get("PROGRESS_CHAOS_SEEDS", "1").split()]
SECONDS = float(os.environ.get("PROGRESS_CHAOS_SECONDS", "0"))
MOST = 8 + int(SECONDS)
"""How many faults happen at most."""
PATIENCE = 60.0
"""Within how many seconds the tasks of one round are over, on a machine that is busy."""
PAUSE = 0.1


@pytest.fixture
def proxy() -> Iterator[Proxy | None]:
    """A way to the database that the worker goes; none to SQLite."""
    if not connection.settings_dict["PORT"]:
        yield None
        return
    with closing(Proxy()) as proxy:
        yield proxy


@pytest.fixture
def oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Oracle:
    path = tmp_path / "oracle"
    monkeypatch.setenv(VARIABLE, str(path))
    return Oracle(path)


@pytest.fixture
def results(tmp_path: Path) -> str:
    (tmp_path / "results").mkdir()
    return os.environ.get("REDIS_URL") or f"file://{tmp_path / 'results'}"


@pytest.fixture
def worker(
    start_worker: StartWorker,
    oracle: Oracle,
    proxy: Proxy | None,
    results: str,
    settings: Any,
) -> Worker:
    settings.PROGRESS_WIDGET_STALLED_AFTER = STALLED_AFTER
    env = {"PROGRESS_TEST_RESULTS": results}
    if proxy:
        env["DATABASE_URL"] = proxy.url
    return start_worker(app="chaos_app", broker=best_broker(), env=env)


def best_broker() -> str:
    for name, variable in (("rabbitmq", "RABBITMQ_URL"), ("redis", "REDIS_URL")):
        if os.environ.get(variable):
            return name
    return "sqlite"


@pytest.fixture
def publisher(worker: Worker, results: str) -> Iterator[Celery]:
    """The Celery app of the web process: it publishes, and asks the result backend."""
    before = current_app._get_current_object()
    app = Celery("web", broker=worker.app.conf.broker_url, backend=results, set_as_current=True)
    app.conf.task_default_queue = worker.queue
    yield app
    before.set_current()
    if results.startswith("redis:"):
        hang_up(app.backend)
    app.close()


def hang_up(backend: Any) -> None:
    """Close the connections of a result backend, as no app.close() does.

    Celery holds the results of a chord's parts until somebody waits for them. When they go, they
    unsubscribe, over a new connection if need be.
    """
    backend._pending_results.concrete.clear()
    gc.collect()
    backend.client.connection_pool.disconnect()


class Field:
    """Where the tasks of one seed run and the pages watch."""

    def __init__(self, seed: int, worker: Worker, app: Celery, judge: Judge) -> None:
        self.seed, self.random = seed, Random(seed)
        self.worker, self.app, self.judge = worker, app, judge
        self.watched: list[Watched] = []

    def play(self) -> None:
        """Publish each kind once, in any order, and watch until nothing is left to be told."""
        kinds, mine = self.shuffled(), []
        self.judge.faults.calm.clear()
        deadline = time.time() + PATIENCE
        while time.time() < deadline and not self.worker.has_died:
            self.judge.oracle.read()
            if kinds:
                mine += self.publish(kinds.pop())
            left = [bar for bar in mine if not self.judge.is_over(bar)]
            for bar in left:
                self.look(bar)
            if not kinds and all(map(self.judge.is_known, mine)):
                self.judge.faults.calm.set()
                if not left:
                    return
            time.sleep(PAUSE / 5)

    def verdicts(self) -> list[tuple[Watched, list[str]]]:
        """Return the bars with which something is wrong, and what it is."""
        judged = [(bar, list(self.judge.verdicts(bar))) for bar in self.watched]
        return [(bar, verdicts) for bar, verdicts in judged if verdicts]

    def shuffled(self) -> list[Kind]:
        return self.random.sample(KINDS, len(KINDS))

    def publish(self, kind: Kind) -> list[Watched]:
        task_id = str(uuid4())  # not of the seed: result backends outlive a run
        bars = [
            Watched(
                kind,
                f"{task_id}{suffix}",
                Page(f"{task_id}{suffix}", self.worker),
                suffix in kind.shared,
                tuple(f"{task_id}{part}" for part in kind.parts or (suffix.replace("-other", ""),)),
            )
            for suffix in kind.bars
        ]
        if kind.is_revoked == "before":
            self.worker.revoke(task_id)
            bars[0].revoked_at = time.time()
        kind.send(self.app, task_id)
        self.watched += bars
        return bars

    def look(self, bar: Watched) -> None:
        """Poll, if it is time to, and revoke what is to be revoked while it runs."""
        if time.time() - bar.polled_at >= PAUSE:
            bar.look()
        is_waited_for = bar.kind.is_revoked == "running" and bar.revoked_at is None
        if is_waited_for and self.judge.oracle.events(bar.bar_id, "reached"):
            bar.revoked_at = time.time()
            self.app.control.revoke(bar.bar_id, terminate=True)


Play = Callable[[int, tuple[str, ...]], list[str]]


@pytest.fixture
def play(
    worker: Worker,
    publisher: Celery,
    oracle: Oracle,
    proxy: Proxy | None,
    record_property: Callable[[str, object], None],
) -> Play:
    """Run the tasks of a seed amid faults, and return all that was a lie or did harm."""

    def play(seed: int, names: tuple[str, ...]) -> list[str]:
        faults = Faults(Random(seed), names, MOST, Oracle(oracle.path), proxy)
        field = Field(seed, worker, publisher, Judge(oracle, faults))
        logged_before = len(worker.output())
        until = time.time() + SECONDS
        with faults:
            field.play()
            while time.time() < until and not worker.has_died:
                field.play()
        oracle.read()
        log = worker.output()[logged_before:]
        logged = complaints(log, is_quiet=faults.is_harmless)
        found = field.verdicts()
        record_property("chaos", figures(field, faults, len(found) + len(logged)))
        has_died = ["the worker has died"] if worker.has_died else []
        return [*has_died, *logged, *(report(field, found) if found else ())]

    return play


def report(field: Field, found: list[tuple[Watched, list[str]]]) -> list[str]:
    """Return what is wrong with some bars: in short, then with all evidence."""
    sums = Counter(f"{bar.kind.name}: {', '.join(verdicts)}" for bar, verdicts in found)
    return [
        f"seed {field.seed}: {len(found)} bars of {len(field.watched)} are wrong, amid "
        f"{len(field.judge.faults.happened)} faults; the worker's log: {field.worker.log}",
        *(f"{count} x {name}" for name, count in sums.most_common()),
        *(
            f"seed {field.seed}, {bar.kind.name}, {bar.bar_id}: {', '.join(verdicts)}\n"
            f"{field.judge.evidence(bar)}"
            for bar, verdicts in found
        ),
    ]


def figures(field: Field, faults: Faults, lies: int) -> dict[str, float]:
    """Return what a run has been, in numbers."""
    delays = [field.judge.delay(bar) for bar in field.watched if bar.is_finished]
    return {
        "bars": len(field.watched),
        "polls": sum(bar.polls for bar in field.watched),
        "lies": lies,
        "slowest": max(delays, default=0.0),
        **Counter(fault.name for fault in faults.happened),
    }


def faults_here(*wanted: str) -> tuple[str, ...]:
    """Return those of the faults that can happen to this database."""
    possible = {
        "sqlite": ("kill",),
        "postgresql": wanted,
        "mysql": tuple(name for name in wanted if name != "read_only"),
    }
    return possible[connection.vendor]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_page_lies_and_no_task_is_harmed(play: Play, seed: int) -> None:
    more = ("hang", "read_only") if SECONDS else ()

    wrong = play(seed, ()) + play(seed, faults_here("kill", "kill", "cut", *more))

    assert not wrong, "\n".join(wrong)
