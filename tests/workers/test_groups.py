"""Groups that have one bar, on real workers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, Signature, chord
from django.utils import timezone

from progress_widget.groups import members_of, start_group
from progress_widget.texts import PARTLY
from tests.workers.conftest import (
    Page,
    SeenFunction,
    StartWorker,
    Worker,
    broker_or_skip,
    row,
    wait_until,
)
from tests.workers.test_faults import proxy, wait_for_seconds
from tests.workers.test_launch import work_of

__all__ = ["proxy"]  # a fixture

Settings = Any  # pytest-django's settings fixture
Harvest = Callable[..., Page]


@pytest.fixture
def harvest(worker: Worker) -> Harvest:
    """Start a group on the shared worker: of names of tasks, or of them with arguments."""

    def harvest(*tasks: str | tuple[object, ...], worker: Worker = worker) -> Page:
        return page_of(worker, [works(worker, one) for one in tasks])

    return harvest


def works(worker: Worker, task: str | tuple[object, ...]) -> Signature:
    name, *args = (task,) if isinstance(task, str) else task
    return work_of(worker, str(name), *args)


def page_of(worker: Worker, tasks: object) -> Page:
    return Page(start_group(tasks, label="Kelp harvest").task_id, worker)


def counted(page: Page) -> tuple[int, int]:
    found = row(page.task_id)
    return found.progress, found.failed


FAILS = ("ordinary", True)


def test_group_succeeds_when_all_have(harvest: Harvest, seen: SeenFunction) -> None:
    page = harvest("ordinary", "ordinary", "retry_without_bar").wait_for("succeeded")

    seen("start_group(): all succeed", page)
    assert counted(page) == (3, 0)
    assert members_of(page.task_id) == []


def test_group_of_which_some_fail_fails_when_all_have_ended(
    harvest: Harvest, gate: Path, seen: SeenFunction
) -> None:
    page = harvest(FAILS, "ordinary", ("wait", str(gate)))
    page.wait_for_text("2 of 3, 1 failed")
    state = page.state
    gate.touch()

    page.wait_for("failed")

    seen("start_group(): one fails", page)
    assert (state, counted(page)) == ("running", (3, 1))
    assert PARTLY in page.text
    assert "hunter2" not in page.text


def test_group_runs_from_the_start_of_its_first_task_on(harvest: Harvest, gate: Path) -> None:
    page = harvest(("wait", str(gate))).wait_for("running")

    assert (counted(page), row(page.task_id).attempt) == ((0, 0), 0)
    gate.touch()
    page.wait_for("succeeded")


ENDS_FROM_OUTSIDE = {
    "one is killed": "die",
    "one is over its hard limit": "exceed_hard_limit_without_bar",
    "one is unknown": "nobody_knows",
    "one exits": "exit_without_bar",
}


@pytest.mark.parametrize("fate", ENDS_FROM_OUTSIDE)
def test_task_that_can_not_say_so_is_counted(
    harvest: Harvest, own: Worker, fate: str, seen: SeenFunction
) -> None:
    page = harvest("ordinary", ENDS_FROM_OUTSIDE[fate], "ordinary", worker=own).wait_for("failed")

    seen(f"start_group(): {fate}", page)
    assert counted(page) == (3, 1)


def test_revoked_and_expired_tasks_are_counted(worker: Worker, seen: SeenFunction) -> None:
    revoked = str(uuid4())
    worker.revoke(revoked)

    page = page_of(
        worker,
        [
            work_of(worker, "ordinary").set(task_id=revoked),
            work_of(worker, "ordinary").set(expires=timezone.now() - timedelta(hours=1)),
            work_of(worker, "ordinary"),
        ],
    ).wait_for("failed")

    seen("start_group(): two are revoked or expire", page)
    assert counted(page) == (3, 2)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_task_that_is_revoked_while_it_runs_counts_once(
    own: Worker, harvest: Harvest, gate: Path, how: str
) -> None:
    page = harvest(("wait", str(gate)), "ordinary", worker=own).wait_for_text("1 of 2")
    page.wait_for("running")

    for task_id in members_of(page.task_id):
        own.app.control.revoke(task_id, terminate=True, signal=how)

    page.wait_for("failed")
    assert counted(page) == (2, 1)


def test_task_that_is_delivered_again_counts_once(harvest: Harvest, tmp_path: Path) -> None:
    page = harvest(("requeue", str(tmp_path / "once")), "ordinary").wait_for("succeeded")

    assert counted(page) == (2, 0)


def test_task_may_have_a_bar_of_its_own(worker: Worker) -> None:
    own = str(uuid4())
    page = page_of(worker, [work_of(worker, "track").set(task_id=own), work_of(worker, "ordinary")])

    page.wait_for("succeeded")

    Page(own, worker).wait_for("succeeded")
    assert row(own).total == 10


def test_many_quick_tasks_are_all_counted_and_the_bar_never_goes_back(
    start_worker: StartWorker, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=4)
    tasks = [work_of(worker, "ordinary", number % 10 == 0) for number in range(200)]

    page = page_of(worker, tasks).wait_for("failed")

    seen("start_group(): 200 tasks, 20 fail", page)
    assert counted(page) == (200, 20)
    shown = [float(percent) for percent in page.percents if percent]
    assert shown == sorted(shown)


@pytest.mark.parametrize("pool", ["threads", "gevent", "solo"])
def test_tasks_are_counted_in_every_pool(
    start_worker: StartWorker, harvest: Harvest, pool: str
) -> None:
    own = start_worker(pool=pool)

    page = harvest("ordinary", FAILS, "retry_without_bar", "nobody_knows", worker=own)

    page.wait_for("failed")
    assert counted(page) == (4, 2)


@pytest.mark.usefixtures("needs_thread")
def test_ends_during_an_outage_are_counted_after_it(
    start_worker: StartWorker, harvest: Harvest, gate: Path, proxy: Any, seen: SeenFunction
) -> None:
    worker = start_worker(concurrency=2, env={"DATABASE_URL": proxy.url})
    waiting = ("wait", str(gate))
    page = harvest("ordinary", waiting, waiting, FAILS, worker=worker).wait_for_text("1 of 4")

    proxy.cut()
    gate.touch()
    wait_until(
        lambda: worker.output().count("succeeded in") == 3 and "raised unex" in worker.output(),
        "all have ended",
        worker,
    )
    wait_for_seconds(1)
    proxy.mend()

    page.wait_for("failed")
    assert counted(page) == (4, 1)
    seen("start_group(): database away for 1 s", page)


def test_group_of_a_worker_that_is_gone_falls_silent(
    start_worker: StartWorker, harvest: Harvest, gate: Path, settings: Settings, seen: SeenFunction
) -> None:
    settings.PROGRESS_WIDGET_SILENT_AFTER = 1
    worker = start_worker(concurrency=1)
    page = harvest("ordinary", ("wait", str(gate)), worker=worker).wait_for_text("1 of 2")

    worker.stop(signal.SIGKILL)

    page.wait_for("stalled")
    seen("start_group(): kill -9 of the whole worker", page)


# Chords.


@pytest.fixture(params=["file", "redis"])
def chords(start_worker: StartWorker, tmp_path: Path, request: pytest.FixtureRequest) -> Worker:
    """A worker, and an app to publish, with a result backend: chords need one."""
    backend = f"file://{tmp_path}"
    if request.param == "redis":  # which counts the tasks of a chord itself
        backend = broker_or_skip("redis", tmp_path)
    worker = start_worker(env={"PROGRESS_TEST_RESULTS": backend})
    url = worker.app.conf.broker_url
    worker.app = Celery("client", broker=url, backend=backend, set_as_current=False)
    return worker


@pytest.mark.parametrize("tasks", [1, 3])
def test_chord_counts_its_body(chords: Worker, tasks: int, seen: SeenFunction) -> None:
    header = [work_of(chords, "ordinary") for _ in range(tasks)]

    page = page_of(chords, chord(header, work_of(chords, "collect"))).wait_for("succeeded")

    assert counted(page) == (tasks + 1, 0)
    if "redis" not in str(chords.app.conf.result_backend):
        seen(f"start_group(): chord of {tasks} and its last", page)


def test_chord_whose_header_fails_is_over_without_its_body(
    chords: Worker, gate: Path, seen: SeenFunction
) -> None:
    header = [work_of(chords, *FAILS), work_of(chords, "wait", str(gate))]
    page = page_of(chords, chord(header, work_of(chords, "collect")))
    page.wait_for_text("1 of 3, 1 failed")
    state = page.state
    gate.touch()

    page.wait_for("failed")

    assert (state, counted(page)) == ("running", (3, 2))
    if "redis" not in str(chords.app.conf.result_backend):
        seen("start_group(): chord whose header fails", page)


# Announced.


def test_end_of_a_group_is_told_once(start_worker: StartWorker, tmp_path: Path) -> None:
    file = tmp_path / "told"
    file.touch()
    worker = start_worker(app="told_app", env={"PROGRESS_TEST_TOLD": str(file)})
    tasks = [work_of(worker, name) for name in ("ordinary", "die", "ordinary")]

    page = page_of(worker, tasks).wait_for("failed")
    worker.stop()

    assert file.read_text() == f"{page.task_id} failed\n"
