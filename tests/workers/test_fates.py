"""What a page shows in the end for each fate that a task can meet, on real workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import celery
import pytest
from django.utils import timezone

from progress_widget.models import State, TaskProgress
from progress_widget.texts import EXPIRED, UNREGISTERED
from tests.workers import tasks
from tests.workers.conftest import Page, SeenFunction, StartWorker, Worker, row, wait_until

Settings = Any  # pytest-django's settings fixture

ENDS = {
    "success": ("succeed", "succeeded", "100.0"),
    "success with finalize": ("finalize", "succeeded", "100.0"),
    "success with track": ("track", "succeeded", "100.0"),
    "exception": ("raise_exception", "failed", "50.0"),
    "fail() with a message": ("say_why", "failed", "0.0"),
    "retry, then success": ("retry_then_succeed", "succeeded", "100.0"),
    "autoretry, then success": ("autoretry", "succeeded", "100.0"),
    "retry, then exception before the bar": ("retry_then_raise_at_once", "failed", "50.0"),
    "retry, then return without a bar": ("retry_then_return_at_once", "succeeded", "100.0"),
    "autoretry, then exception before the bar": ("autoretry_then_raise_at_once", "failed", "50.0"),
    "max retries": ("retry_for_ever", "failed", "50.0"),
    "kill -9 of the child": ("kill_own_process", "failed", "50.0"),
    "sys.exit": ("exit_process", "failed", "50.0"),
    "Reject": ("reject", "failed", "50.0"),
    "Reject with requeue": ("requeue", "succeeded", "100.0"),
    "soft time limit": ("exceed_soft_limit", "failed", "25.0"),
    "hard time limit": ("exceed_hard_limit", "failed", "25.0"),
}
WITH_GATE = {"requeue", "exceed_soft_limit", "exceed_hard_limit"}


def page_at_its_end(worker: Worker, fate: str, *args: str) -> Page:
    """Return a page that shows the end of a task that has met this fate."""
    task, state, percent = ENDS[fate]
    page = worker.page(task, *args)
    ends_as(page, state, percent)
    return page


def ends_as(page: Page, state: str, percent: str) -> None:
    page.wait_for(state)
    assert page.bar["data-percent"] == percent
    assert page.bar.get("hx-get") is None
    assert "hunter2" not in page.text


@pytest.mark.parametrize("fate", ENDS)
def test_page_ends_as_the_task_does(
    worker: Worker, fate: str, tmp_path: Path, seen: SeenFunction
) -> None:
    gates = [str(tmp_path / "gate")] if ENDS[fate][0] in WITH_GATE else []

    seen(fate, page_at_its_end(worker, fate, *gates))


def test_exception_after_finalize_has_the_last_word(worker: Worker, seen: SeenFunction) -> None:
    task_id = worker.send("finalize_then_raise")
    failed = TaskProgress.objects.filter(task_id=task_id, state=State.FAILED)

    # A page that polls between the two then stops: hence "call it last" in docs/usage.md.
    wait_until(failed.exists, "the exception is known", worker)

    page = Page(task_id, worker)
    ends_as(page, "failed", "100.0")
    seen("exception after finalize", page)


def test_page_ends_as_the_task_does_though_its_result_can_not_be_stored(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    worker = start_worker(concurrency=1, env={"PROGRESS_TEST_RESULTS": f"file://{folder}"})
    folder.rmdir()

    page = worker.page("raise_exception_late")

    ends_as(page, "failed", "50.0")


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="since Celery 5.7")
def test_task_that_is_retried_since_its_process_is_lost_has_not_failed(own: Worker) -> None:
    page = own.page("exit_process_the_first_time")

    page.wait_for("succeeded")

    assert "retrying" in page.states
    assert row(page.task_id).attempt == 2


@pytest.mark.parametrize("task", ["open_in_called_task", "open_in_thread"])
def test_bar_belongs_to_its_run_wherever_it_is_opened(
    worker: Worker, gate: Path, task: str, seen: SeenFunction
) -> None:
    page = worker.page(task, str(gate)).wait_for_percent("100.0")
    state = page.state
    gate.touch()

    page.wait_for("failed")

    seen(f"{task}, then exception", page)
    assert state == "running"
    assert row(page.task_id).attempt == 1


def test_retry_shows_its_attempt(worker: Worker) -> None:
    page = worker.page("retry_for_ever")

    page.wait_for("failed")

    assert row(page.task_id).attempt == 2


def test_failure_shows_what_the_author_said(worker: Worker) -> None:
    page = worker.page("say_why").wait_for("failed")

    assert "The kelp is wet." in page.text


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_revoked_while_running_is_cancelled(
    worker: Worker, gate: Path, how: str, seen: SeenFunction
) -> None:
    page = worker.page("run_until", str(gate)).wait_for_percent("25.0")

    worker.app.control.revoke(page.task_id, terminate=True, signal=how)
    page.wait_for("cancelled")

    seen(f"revoke(terminate) by {how}", page)
    assert page.bar["data-percent"] == "25.0"


def test_revoked_before_its_start_is_cancelled(worker: Worker, seen: SeenFunction) -> None:
    waiting = TaskProgress.objects.create(task_id=str(uuid4()), state=State.WAITING)
    page = Page(waiting.task_id, worker)

    worker.revoke(page.task_id)
    worker.send("succeed", task_id=page.task_id)
    page.wait_for("cancelled")

    seen("revoke before start", page)


def test_expired_task_is_cancelled(worker: Worker, seen: SeenFunction) -> None:
    waiting = TaskProgress.objects.create(task_id=str(uuid4()), state=State.WAITING)
    page = Page(waiting.task_id, worker)

    worker.send("succeed", task_id=page.task_id, expires=timezone.now() - timedelta(hours=1))
    page.wait_for("cancelled")

    seen("expired", page)
    assert EXPIRED in page.text


def test_unregistered_task_has_failed(worker: Worker, seen: SeenFunction) -> None:
    waiting = TaskProgress.objects.create(task_id=str(uuid4()), state=State.WAITING)
    page = Page(waiting.task_id, worker)

    worker.send("nobody_knows", task_id=page.task_id)
    page.wait_for("failed")

    seen("unregistered task", page)
    assert UNREGISTERED in page.text


def test_warm_shutdown_lets_the_task_end(
    start_worker: StartWorker, gate: Path, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=1)
    page = worker.page("run_until", str(gate)).wait_for("running")

    worker.leave()
    wait_until(lambda: "Warm shutdown" in worker.output(), "the worker shuts down")
    gate.touch()
    page.wait_for("succeeded")

    seen("warm shutdown", page)


def test_killed_worker_is_told_of_until_its_task_is_delivered_again(
    start_worker: StartWorker,
    gate: Path,
    settings: Settings,
    needs_thread: None,
    seen: SeenFunction,
) -> None:
    settings.PROGRESS_WIDGET_STALLED_AFTER = 3
    worker = start_worker(concurrency=1, broker="rabbitmq")
    page = worker.page("run_until_late", str(gate)).wait_for("running")

    worker.stop(signal.SIGKILL)
    page.wait_for("stalled")

    seen("kill -9 of the whole worker", page)
    assert "No news since" in page.text

    page.worker = start_worker(concurrency=1, broker="rabbitmq", like=worker)
    page.wait_for("running")
    assert "Attempt 2" in page.text
    gate.touch()
    page.wait_for("succeeded")
    seen("... delivered again (acks_late)", page)


@pytest.mark.usefixtures("needs_thread")
def test_ignored_task_stalls(
    start_worker: StartWorker, settings: Settings, seen: SeenFunction
) -> None:
    settings.PROGRESS_WIDGET_STALLED_AFTER = 2
    worker = start_worker(concurrency=1)

    page = worker.page("ignore").wait_for("stalled")

    seen("Ignore", page)
    assert row(page.task_id).state == State.RUNNING


def test_eager_task_ends(seen: SeenFunction) -> None:
    task_id = str(uuid4())

    tasks.succeed.apply(task_id=task_id)

    page = Page(task_id).wait_for("succeeded")
    seen("eager", page)


def test_task_called_as_a_function_writes_nothing() -> None:
    tasks.succeed()

    assert not TaskProgress.objects.exists()


def test_other_bars_of_a_task_are_flushed_and_go_on(worker: Worker) -> None:
    page = worker.page("several_bars").wait_for("succeeded")

    own, other = row(page.task_id), row(f"{page.task_id}-other")
    assert (own.attempt, own.progress, own.total) == (1, 8, 8)
    assert (other.state, other.progress, other.attempt) == (State.RUNNING, 3, 0)


POOLS = ("threads", "solo", "gevent")
ELSEWHERE = {
    "on Redis": ("success", "exception", "retry, then success", "kill -9 of the child", "sys.exit"),
    **dict.fromkeys(
        POOLS, ("success", "success with track", "exception", "retry, then success", "Reject")
    ),
}


def together(place: str, *more: str) -> Any:
    """Return a parameter whose tests share a worker, so that one process must run them all."""
    return pytest.param(place, *more, marks=pytest.mark.xdist_group(place))


@pytest.fixture(scope="module")
def elsewhere(
    request: pytest.FixtureRequest, start_shared_worker: StartWorker
) -> Iterator[tuple[str, Worker]]:
    """A worker on Redis, or one whose pool has no processes of its own, and which it is."""
    place = request.param
    how = {"pool": place, "concurrency": 4} if place in POOLS else {"broker": "redis"}
    worker = start_shared_worker(**how)
    yield place, worker
    worker.let_go()


@pytest.mark.parametrize(
    ("elsewhere", "fate"),
    [together(place, fate) for place, fates in ELSEWHERE.items() for fate in fates],
    indirect=["elsewhere"],
)
def test_page_ends_as_the_task_does_elsewhere(
    elsewhere: tuple[str, Worker], fate: str, seen: SeenFunction
) -> None:
    place, worker = elsewhere

    seen(f"{place}: {fate}", page_at_its_end(worker, fate))


@pytest.mark.parametrize("elsewhere", [together(pool) for pool in POOLS], indirect=True)
def test_ignored_task_goes_on_running_in_other_pools(elsewhere: tuple[str, Worker]) -> None:
    _, worker = elsewhere
    page = worker.page("ignore").wait_for_percent("50.0")
    worker.page("succeed").wait_for("succeeded")

    assert page.poll().state == "running"


@pytest.mark.parametrize("pool", POOLS)
def test_exit_in_other_pools_fails(
    start_worker: StartWorker, pool: str, seen: SeenFunction
) -> None:
    worker = start_worker(pool=pool, concurrency=1)

    seen(f"{pool}: sys.exit", page_at_its_end(worker, "sys.exit"))
