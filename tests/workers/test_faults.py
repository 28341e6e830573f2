"""What can go wrong around a task, and what the page shows then."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from celery import Celery, current_app
from django.db import connection

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from progress_widget.texts import TIMED_OUT
from tests.workers.conftest import Page, SeenFunction, StartWorker, Worker, row, wait_until
from tests.workers.proxy import Proxy

Settings = Any  # pytest-django's settings fixture


@pytest.fixture
def needs_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("counted in PostgreSQL's own statistics")


@pytest.fixture
def needs_no_pool() -> None:
    if "PROGRESS_TEST_POOL" in os.environ:
        pytest.skip("the pool of a worker keeps the connections of its tasks")


@pytest.mark.usefixtures("needs_thread")
def test_page_sees_progress_inside_a_transaction(
    worker: Worker, gate: Path, seen: SeenFunction
) -> None:
    page = worker.page("work_in_transaction", str(gate))

    page.wait_for_percent("75.0")
    gate.touch()
    page.wait_for("succeeded")

    seen("inside atomic()", page)


@pytest.mark.usefixtures("needs_thread")
def test_hard_limit_inside_a_transaction_kills_in_time(
    start_worker: StartWorker, gate: Path, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=1)
    page = worker.page("exceed_hard_limit_in_transaction", str(gate))
    after = worker.page("succeed")

    page.wait_for("failed")
    after.wait_for("succeeded")

    assert not gate.exists()
    assert TIMED_OUT in page.text
    seen("hard time limit inside atomic()", page)


@pytest.mark.usefixtures("needs_thread")
def test_last_word_before_a_long_silence_is_shown(worker: Worker, gate: Path) -> None:
    page = worker.page("speak_then_be_silent", str(gate))

    page.wait_for_percent("99.9")

    assert page.state == "running"


@pytest.mark.usefixtures("needs_thread")
def test_silent_task_keeps_its_heart_beating(
    start_worker: StartWorker, gate: Path, settings: Settings
) -> None:
    settings.PROGRESS_WIDGET_STALLED_AFTER = 1.5
    worker = start_worker(concurrency=1)
    page = worker.page("run_until", str(gate)).wait_for_percent("25.0")
    first = row(page.task_id).updated_at

    wait_until(
        lambda: (row(page.task_id).updated_at - first).total_seconds() > 3,
        "the heart has beaten for twice as long as a stalled task has",
        worker,
    )

    page.poll()
    assert page.states[-1] == "running"
    assert "stalled" not in page.states


def test_deleted_row_comes_back(worker: Worker, gate: Path, seen: SeenFunction) -> None:
    page = worker.page("delete_own_row", str(gate)).wait_for_percent("75.0")

    gate.touch()
    page.wait_for("succeeded")

    seen("row deleted in the middle", page)


def test_frozen_old_run_overwrites_nothing(start_worker: StartWorker, tmp_path: Path) -> None:
    old, new = start_worker(concurrency=1, pool="solo"), start_worker(concurrency=1, pool="solo")
    old_gate, new_gate = tmp_path / "old", tmp_path / "new"
    page = old.page("run_until", str(old_gate)).wait_for_percent("25.0")

    old.process.send_signal(signal.SIGSTOP)
    new.send("run_until", str(new_gate), task_id=page.task_id)
    page.worker = new
    page.wait_for_text("Attempt 2").wait_for_percent("25.0")
    old_gate.touch()
    old.process.send_signal(signal.SIGCONT)
    wait_until(lambda: "succeeded in" in old.output(), "the old run has ended", old)

    assert row(page.task_id).state == State.RUNNING
    assert row(page.task_id).progress == 1
    new_gate.touch()
    page.wait_for("succeeded")


def test_many_processes_lose_no_advance(start_worker: StartWorker, seen: SeenFunction) -> None:
    worker = start_worker(concurrency=8)
    bar = ProgressBar(str(uuid4()), total=4_000)
    page = Page(bar.task_id, worker)

    for _ in range(8):
        worker.send("advance", bar.task_id, 500)
    page.wait_for("succeeded")

    seen("8 processes x 500 advances", page)
    assert row(bar.task_id).progress == 4_000
    assert page.bar.get("hx-get") is None


def test_group_never_passes_the_total(worker: Worker) -> None:
    bar = ProgressBar(str(uuid4()), total=50)
    page = Page(bar.task_id, worker)

    for _ in range(60):
        worker.send("advance", bar.task_id)
    page.wait_for("succeeded")
    worker.page("succeed").wait_for("succeeded")

    assert row(bar.task_id).progress == 50


def test_recycled_children_lose_nothing(start_worker: StartWorker) -> None:
    worker = start_worker(options=("--max-tasks-per-child", "1"))

    pages = [worker.page("track") for _ in range(8)]

    for page in pages:
        assert page.wait_for("succeeded").bar["data-percent"] == "100.0"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    if not connection.settings_dict["PORT"]:
        pytest.skip("SQLite has no connection that could be cut")
    with contextlib.closing(Proxy()) as proxy:
        yield proxy


@pytest.mark.usefixtures("needs_thread")
def test_outage_of_the_database_is_survived(
    start_worker: StartWorker, gate: Path, proxy: Proxy, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=1, env={"DATABASE_URL": proxy.url})
    page = worker.page("outlive_an_outage", str(gate)).wait_for("running")
    wait_until(lambda: row(page.task_id).progress, "something is reported", worker)

    proxy.cut()
    wait_until(lambda: "could not be written" in worker.output(), "the outage is felt", worker)
    silent_at = row(page.task_id).progress
    wait_for_seconds(5)
    proxy.mend()

    wait_until(lambda: row(page.task_id).progress > silent_at, "news come again", worker)
    gate.touch()
    page.wait_for("succeeded")
    seen("database away for 5 s", page)
    assert worker.output().count("could not be written") == 1


@pytest.mark.usefixtures("needs_thread")
def test_task_that_is_revoked_during_an_outage_is_cancelled(
    start_worker: StartWorker, gate: Path, proxy: Proxy, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=1, env={"DATABASE_URL": proxy.url})
    page = worker.page("run_until", str(gate)).wait_for_percent("25.0")

    proxy.cut()
    worker.app.control.revoke(page.task_id, terminate=True)
    wait_until(
        lambda: re.search(r"MainProcess\] The progress .* could not be written", worker.output()),
        "the main process has failed to say so",
        worker,
    )
    # A little before the child may speak, which has not failed yet. The main process has, and is
    # in one of its pauses.
    wait_for_seconds(1.7)
    proxy.mend()
    wait_until(lambda: row(page.task_id).is_ended, "the row says how it ended", worker)
    page.wait_for("cancelled")

    seen("revoke(terminate), database away for 2 s", page)


@pytest.mark.usefixtures("needs_thread")
def test_hanging_database_holds_no_task_for_long(
    start_worker: StartWorker, gate: Path, proxy: Proxy, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=1, env={"DATABASE_URL": proxy.url})
    page = worker.page("work_without_queries", str(gate)).wait_for_percent("25.0")

    proxy.hang()
    gate.touch()
    others = [worker.page("succeed") for _ in range(6)]
    # Each would wait for the thread, one after the other.
    wait_until(lambda: worker.output().count("succeeded in") == 7, "all have ended", patience=20)
    proxy.flow()

    page.wait_for("succeeded")
    for other in others:
        other.wait_for("succeeded")
    seen("database hangs", page)


@pytest.mark.usefixtures("needs_postgresql", "needs_thread")
def test_end_outlives_a_database_that_is_read_only(
    start_worker: StartWorker, gate: Path, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=1)
    page = worker.page("work_without_queries", str(gate)).wait_for_percent("25.0")

    with read_only():
        gate.touch()
        wait_until(lambda: "could not be written" in worker.output(), "the failover is felt")
        wait_until(lambda: "succeeded in" in worker.output(), "the task has ended")
    page.wait_for("succeeded")

    seen("database read-only, as in a failover", page)


@contextlib.contextmanager
def read_only() -> Iterator[None]:
    """Make the database read-only for all but this connection, as after a failover."""
    others = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where datname = %s and pid <> %s"
    )
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    pid = connection.connection.info.backend_pid

    def set_for_all_others(what: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"alter database {name} {what}")
        ask(others, pid)

    with statistics() as ask:
        set_for_all_others("set default_transaction_read_only = on")
        try:
            yield
        finally:
            set_for_all_others("reset default_transaction_read_only")


def wait_for_seconds(seconds: float) -> None:
    """The length of an outage is what is tested: there is no event to wait for."""
    threading.Event().wait(seconds)


@pytest.mark.usefixtures("needs_postgresql", "needs_thread", "needs_no_pool")
def test_worker_at_rest_holds_no_connection(start_worker: StartWorker) -> None:
    worker = start_worker(concurrency=2, env={"PROGRESS_TEST_LINGER": "0.5"})
    pages = [worker.page("track") for _ in range(4)]
    for page in pages:
        page.wait_for("succeeded")

    with statistics() as ask:
        wait_until(
            lambda: (
                ask(
                    "select count(*) from pg_stat_activity where datname = %s and pid <> %s",
                    connection.connection.info.backend_pid,
                )
                == 0
            ),
            "only the test itself is connected",
        )


@pytest.mark.usefixtures("needs_postgresql")
def test_pool_of_the_main_process_reaches_no_child(start_worker: StartWorker) -> None:
    worker = start_worker(
        concurrency=2,
        env={"PROGRESS_TEST_POOL": "1"},
        options=("--max-tasks-per-child", "1"),
    )
    for _ in range(4):  # of these the main process writes the end
        waiting = TaskProgress.objects.create(task_id=str(uuid4()), state=State.WAITING)
        worker.send("nobody_knows", task_id=waiting.task_id)
        Page(waiting.task_id, worker).wait_for("failed")

    for _ in range(20):
        worker.send("count_rows")
    wait_until(
        lambda: len(re.findall("count_rows.*(succeeded in|raised unex)", worker.output())) == 20,
        "each task has ended",
        worker,
    )

    assert worker.output().count("raised unex") == 0
    assert "INTRANS" not in worker.output()


@pytest.mark.usefixtures("needs_postgresql", "needs_no_pool")
def test_ordinary_tasks_cost_no_query_and_no_connection(start_worker: StartWorker) -> None:
    worker = start_worker(concurrency=2)
    worker.page("succeed").wait_for("succeeded")
    connection.close()

    with statistics() as ask:
        idle = "select count(*) from pg_stat_activity where datname = %s"
        counted = "select sessions || ' ' || xact_commit from pg_stat_database where datname = %s"
        wait_until(lambda: ask(idle) == 0, "nobody is connected")
        wait_until(lambda: ask(counted), "statistics are there")
        before = ask(counted)
        for number in range(100):
            worker.send("ordinary", number % 2 == 0)
        wait_until(
            lambda: len(re.findall("ordinary.*(succeeded in|raised unex)", worker.output())) == 100,
            "each task is received and has ended",
            worker,
        )
        after = ask(counted)
        worker.send("succeed")
        wait_until(lambda: ask(counted) != after, "a task with a bar does count", worker)

    assert after == before


class statistics:  # noqa: N801  # reads as a word at its use
    """A connection to another database on the same server, to query about the tests' own."""

    def __enter__(self) -> Any:
        given = connection.settings_dict
        self.connection = psycopg.connect(
            dbname="postgres",
            host=given["HOST"],
            port=given["PORT"],
            user=given["USER"],
            password=given["PASSWORD"] or None,
            autocommit=True,
        )
        return lambda sql, *more: self.connection.execute(sql, (given["NAME"], *more)).fetchone()[0]

    def __exit__(self, *exc: object) -> None:
        self.connection.close()


@pytest.fixture
def result_backend(tmp_path: Path) -> Iterator[str]:
    """The web process knows a result backend, as its own Celery app says."""
    url = f"file://{tmp_path}"
    before = current_app._get_current_object()
    Celery("web", backend=url, set_as_current=True)
    yield url
    before.set_current()


def test_task_without_a_row_is_known_to_the_backend(
    start_worker: StartWorker, result_backend: str, settings: Settings, seen: SeenFunction
) -> None:
    settings.PROGRESS_WIDGET_STALLED_AFTER = 1
    worker = start_worker(concurrency=1, env={"PROGRESS_TEST_RESULTS": result_backend})
    task_id = str(uuid4())
    page = Page(task_id, worker)
    worker.revoke(task_id)

    worker.send("succeed", task_id=task_id)
    page.wait_for("cancelled")

    seen("revoked, no row, result backend", page)
    assert not TaskProgress.objects.filter(task_id=task_id).exists()


def test_task_without_a_row_or_backend_waits_and_says_so(settings: Settings) -> None:
    settings.PROGRESS_WIDGET_STALLED_AFTER = 1
    page = Page(str(uuid4()))

    page.wait_for_text("Waiting since")

    assert page.state == "waiting"
    assert page.bar.get("hx-get")


def test_dead_worker_is_not_waited_for(start_worker: StartWorker, gate: Path) -> None:
    worker = start_worker(concurrency=1)
    page = worker.page("run_until", str(gate)).wait_for("running")

    worker.process.kill()

    with pytest.raises(AssertionError, match=r"(?s)the worker has died:.* ready\."):
        page.wait_for("succeeded")
