"""Tasks that are started together with their rows, on real workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Signature
from django.db import transaction
from django.utils import timezone

from progress_widget.launch import start_task
from progress_widget.models import State, TaskProgress
from progress_widget.queues.celery import HEADER
from progress_widget.texts import ERROR, EXPIRED, REVOKED, UNREGISTERED
from tests.workers.conftest import Page, SeenFunction, StartWorker, Worker, row, wait_until
from tests.workers.test_fates import POOLS, together

LABEL = "Kelp harvest"
Launch = Callable[..., Page]


@pytest.fixture
def launch(worker: Worker) -> Launch:
    """Start a task of tests.workers.tasks on the shared worker, and open its page."""

    def launch(name: str, *args: object, task_id: str = "", **options: Any) -> Page:
        work = work_of(worker, name, *args, **options)
        return Page(start_task(work, label=LABEL, task_id=task_id).task_id, worker)

    return launch


def work_of(worker: Worker, name: str, *args: object, **options: Any) -> Signature:
    name = f"tests.workers.tasks.{name}"
    return worker.app.signature(name, args, queue=worker.queue, **options)


ENDS = {
    "no bar": ("ordinary", (), "succeeded", ""),
    "no bar, exception": ("ordinary", (True,), "failed", ERROR),
    "arguments that it does not take": ("without_arguments", (1, 2, 3), "failed", ERROR),
    "own bar": ("succeed", (), "succeeded", ""),
    "own bar, exception": ("raise_exception", (), "failed", ERROR),
    "fail()": ("say_why", (), "failed", "The kelp is wet."),
}


@pytest.mark.parametrize("fate", ENDS)
def test_row_ends_as_its_task_does(launch: Launch, fate: str, seen: SeenFunction) -> None:
    name, args, state, message = ENDS[fate]

    page = launch(name, *args).wait_for(state)

    seen(f"start_task(): {fate}", page)
    assert message in page.text
    assert LABEL in page.text
    assert "hunter2" not in page.text
    assert row(page.task_id).attempt == 1


@pytest.fixture(scope="module")
def pooled(request: pytest.FixtureRequest, start_shared_worker: StartWorker) -> Iterator[Worker]:
    worker = start_shared_worker(pool=request.param, concurrency=4)
    yield worker
    worker.let_go()


@pytest.mark.parametrize(
    ("pooled", "fate"),
    [together(pool, fate) for pool in POOLS for fate in ENDS],
    indirect=["pooled"],
)
def test_row_ends_as_its_task_does_in_other_pools(pooled: Worker, fate: str) -> None:
    name, args, state, message = ENDS[fate]

    page = Page(start_task(work_of(pooled, name, *args)).task_id, pooled).wait_for(state)

    assert message in page.text
    assert row(page.task_id).attempt == 1


def test_task_without_a_bar_is_running_while_it_runs(launch: Launch, gate: Path) -> None:
    page = launch("wait", str(gate)).wait_for("running")
    gate.touch()

    page.wait_for("succeeded")

    assert row(page.task_id).attempt == 1


def test_task_without_a_bar_gives_signs_of_life(
    launch: Launch, start_worker: Any, gate: Path, settings: Any, needs_thread: None
) -> None:
    settings.PROGRESS_WIDGET_STALLED_AFTER = 3
    own = start_worker(concurrency=1)
    task_id = start_task(work_of(own, "wait", str(gate))).task_id
    begun = wait_until(lambda: row(task_id).updated_at if row(task_id).started_at else None, "runs")

    wait_until(lambda: row(task_id).updated_at > begun, "there is a heartbeat", own)

    gate.touch()
    Page(task_id, own).wait_for("succeeded")


def test_bar_that_is_made_late_counts_no_attempt_of_its_own(launch: Launch, gate: Path) -> None:
    page = launch("make_bar_late", str(gate)).wait_for("running")
    gate.touch()

    page.wait_for("succeeded")

    found = row(page.task_id)
    assert (found.attempt, found.total, found.label) == (1, 4, LABEL)


def test_task_finds_the_bar_that_was_started_for_it(worker: Worker, gate: Path) -> None:
    started = start_task(work_of(worker, "find_own_bar", str(gate)), total=4)
    page = Page(started.task_id, worker).wait_for_percent("25.0")
    gate.touch()

    page.wait_for("succeeded")

    assert (row(page.task_id).attempt, row(page.task_id).total) == (1, 4)


def test_subtask_may_report_before_its_parent_is_known_to_run(worker: Worker, gate: Path) -> None:
    work = work_of(worker, "let_subtask_advance", worker.queue, str(gate))
    page = Page(start_task(work, total=4).task_id, worker)

    page.wait_for_percent("75.0")
    wait_until(lambda: row(page.task_id).attempt == 1, "the run is counted", worker)

    assert row(page.task_id).progress == 3
    gate.touch()
    page.wait_for("succeeded")


def test_retry_of_a_task_without_a_bar_is_its_second_attempt(launch: Launch) -> None:
    page = launch("retry_without_bar").wait_for("succeeded")

    assert row(page.task_id).attempt in (1, 2)  # the first run may be over before it is noted


def test_killed_task_has_failed_though_it_made_no_bar(worker: Worker, gate: Path) -> None:
    page = Page(start_task(work_of(worker, "wait", str(gate))).task_id, worker).wait_for("running")

    worker.app.control.revoke(page.task_id, terminate=True, signal="SIGKILL")

    page.wait_for("cancelled")


def test_revoked_before_its_start(launch: Launch, worker: Worker, seen: SeenFunction) -> None:
    task_id = str(uuid4())
    worker.revoke(task_id)

    page = launch("ordinary", task_id=task_id).wait_for("cancelled")

    seen("start_task(): revoke before start", page)
    assert REVOKED in page.text


def test_expired_before_its_start(launch: Launch, seen: SeenFunction) -> None:
    page = launch("ordinary", expires=timezone.now() - timedelta(hours=1)).wait_for("cancelled")

    seen("start_task(): expired", page)
    assert EXPIRED in page.text


def test_unknown_to_the_worker(launch: Launch, seen: SeenFunction) -> None:
    page = launch("nobody_knows").wait_for("failed")

    seen("start_task(): unregistered task", page)
    assert UNREGISTERED in page.text


def test_transaction_that_is_rolled_back_runs_nothing(worker: Worker, tmp_path: Path) -> None:
    with transaction.atomic():
        started = start_task(work_of(worker, "requeue", str(tmp_path / "gate")))
        transaction.set_rollback(True)

    Page(start_task(work_of(worker, "ordinary")).task_id, worker).wait_for("succeeded")

    assert not TaskProgress.objects.filter(task_id=started.task_id).exists()
    assert started.task_id not in worker.output()


def test_worker_that_is_earlier_than_the_row_does_no_harm(worker: Worker, gate: Path) -> None:
    task_id = worker.send("wait", str(gate), headers={HEADER: True})
    wait_until(lambda: task_id in worker.output(), "the task has been taken", worker)

    with transaction.atomic():
        TaskProgress.objects.create(task_id=task_id, state=State.WAITING)
    gate.touch()

    Page(task_id, worker).wait_for("succeeded")


def test_row_that_is_gone_is_not_missed(worker: Worker) -> None:
    task_id = worker.send("ordinary", headers={HEADER: True})

    wait_until(lambda: f"{task_id}] succeeded" in worker.output(), "the task is over", worker)

    assert not TaskProgress.objects.filter(task_id=task_id).exists()
