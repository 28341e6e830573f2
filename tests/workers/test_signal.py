"""The signal of a task's end, on real workers: once for each, whoever has written the end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from progress_widget.launch import start_task
from tests.workers.conftest import Page, StartWorker, Worker, wait_until
from tests.workers.test_fates import ENDS, WITH_GATE
from tests.workers.test_launch import work_of


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("told") / "told"
    path.touch()
    return path


@pytest.fixture(scope="module")
def worker(start_shared_worker: StartWorker, file: Path) -> Worker:
    """A worker whose project has receivers: one raises, one may be slow, and one notes."""
    return start_shared_worker(app="told_app", env={"PROGRESS_TEST_TOLD": str(file)})


@pytest.fixture
def told(worker: Worker, file: Path) -> Callable[[str], list[str]]:
    """Return what has been told of a task, once the ends of two later ones are known."""

    def told(task_id: str) -> list[str]:
        wait_until(lambda: task_id in file.read_text(), "it is told", worker)
        for _ in range(2):
            later = worker.page("succeed").wait_for("succeeded").task_id
            wait_until(lambda later=later: later in file.read_text(), "the later one is", worker)
        lines = [line.split() for line in file.read_text().splitlines()]
        return [state for found, state in lines if found == task_id]

    return told


@pytest.mark.parametrize("fate", ENDS)
def test_end_is_told_once(worker: Worker, told, fate: str, tmp_path: Path) -> None:
    task, state, _ = ENDS[fate]
    args = [str(tmp_path / "gate")] if task in WITH_GATE else []

    page = worker.page(task, *args).wait_for(state)

    assert told(page.task_id) == [state]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_cancellation_of_a_running_task_is_told_once(
    worker: Worker, told, gate: Path, how: str
) -> None:
    page = worker.page("run_until", str(gate)).wait_for_percent("25.0")

    worker.app.control.revoke(page.task_id, terminate=True, signal=how)

    assert told(page.wait_for("cancelled").task_id) == ["cancelled"]


def test_end_before_the_start_is_told_once(worker: Worker, told) -> None:
    revoked = str(uuid4())
    worker.revoke(revoked)
    late = {"expires": timezone.now() - timedelta(hours=1)}

    start_task(work_of(worker, "ordinary"), task_id=revoked)
    expired = start_task(work_of(worker, "ordinary", **late)).task_id
    unknown = start_task(work_of(worker, "nobody_knows")).task_id

    assert told(revoked) == told(expired) == ["cancelled"]
    assert told(unknown) == ["failed"]


@pytest.mark.usefixtures("needs_thread")
def test_slow_receiver_holds_up_no_other_bar(
    start_worker: StartWorker, tmp_path: Path, gate: Path
) -> None:
    file = tmp_path / "told"
    file.touch()
    worker = start_worker(app="told_app", concurrency=1, env={"PROGRESS_TEST_TOLD": str(file)})
    slow = start_task(work_of(worker, "succeed"), link=str(gate)).task_id
    Page(slow, worker).wait_for("succeeded")

    worker.page("track").wait_for("succeeded")

    assert file.read_text() == ""
    gate.touch()
    wait_until(lambda: file.read_text().count("succeeded") == 2, "both are told", worker)


@pytest.mark.parametrize("pool", ["threads", "gevent", "solo"])
def test_worker_that_ends_tells_what_is_left(
    start_worker: StartWorker, tmp_path: Path, pool: str
) -> None:
    file = tmp_path / "told"
    file.touch()
    worker = start_worker(app="told_app", pool=pool, env={"PROGRESS_TEST_TOLD": str(file)})
    pages = [worker.page("succeed").wait_for("succeeded") for _ in range(3)]

    worker.stop(signal.SIGTERM)

    assert sorted(file.read_text().split()[::2]) == sorted(page.task_id for page in pages)


def test_children_that_are_replaced_tell_what_is_left(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    file = tmp_path / "told"
    file.touch()
    worker = start_worker(
        app="told_app",
        env={"PROGRESS_TEST_TOLD": str(file)},
        options=("--max-tasks-per-child", "1"),
    )

    pages = [worker.page("succeed") for _ in range(6)]

    for page in pages:
        page.wait_for("succeeded")
        wait_until(lambda page=page: page.task_id in file.read_text(), "it is told", worker)
    assert len(file.read_text().splitlines()) == 6
