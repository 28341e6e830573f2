"""People cancel tasks that real workers have, or are yet to have."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from celery import Celery
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from progress_widget.groups import members_of, start_group
from progress_widget.launch import start_task
from progress_widget.models import State, TaskProgress
from progress_widget.queues import celery
from progress_widget.reading import rendering
from progress_widget.texts import REVOKED
from tests.workers.conftest import Page, SeenFunction, StartWorker, Worker, row, wait_until
from tests.workers.test_fates import POOLS, together
from tests.workers.test_launch import work_of

STOPPING = ("track_until_cancelled", "ask_until_cancelled")
Settings = Any  # pytest-django's settings fixture


@pytest.fixture
def otter() -> User:
    return User.objects.create_user("otter")


@pytest.fixture
def press(otter: User, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Press "Yes, cancel it" on a page of the owner's; it may be sent by somebody else."""

    def press(page: Page, *, by: User | None = None, app: Celery | None = None) -> Any:
        assert page.worker is not None
        monkeypatch.setattr(celery, "current_app", app or page.worker.app)
        request = RequestFactory().get("/")
        request.user = otter
        found = row(page.task_id)
        found.state = State.RUNNING  # so that there is a form, whatever has become of it
        html = rendering.progressbar(found, request=request, cancel=True)
        form = BeautifulSoup(html, "html.parser").form
        client = Client()
        client.force_login(by or otter)
        return client.post(form["action"])

    return press


@pytest.fixture
def launch(otter: User) -> Callable[..., Page]:
    """Start a task of tests.workers.tasks for its owner, and open a page."""

    def launch(worker: Worker, name: str, *args: object) -> Page:
        return Page(start_task(work_of(worker, name, *args), owner=otter).task_id, worker)

    return launch


Launch = Callable[..., Page]
Press = Callable[..., Any]


def is_revoked(page: Page) -> bool:
    """Whether the worker has heard that the task is not to be started."""
    assert page.worker is not None
    answers = page.worker.app.control.inspect(destination=[page.worker.name]).revoked()
    return any(page.task_id in revoked for revoked in (answers or {}).values())


@pytest.mark.parametrize("task", STOPPING)
def test_task_stops_when_it_learns_that_it_is_cancelled(
    worker: Worker, launch: Launch, press: Press, task: str, seen: SeenFunction
) -> None:
    page = launch(worker, task).wait_for("running")

    assert press(page).status_code == 200
    state = page.poll().state
    page.wait_for("cancelled")

    seen(f"cancelled: {task}", page)
    assert state in ("cancelling", "cancelled")
    assert REVOKED in page.text
    assert row(page.task_id).cancel_asked_at is None


@pytest.fixture(scope="module")
def pooled(request: pytest.FixtureRequest, start_shared_worker: StartWorker) -> Iterator[Worker]:
    """A worker whose pool can break off no task, or one on Redis."""
    place = request.param
    how = {"pool": place, "concurrency": 4} if place in POOLS else {"broker": "redis"}
    worker = start_shared_worker(**how)
    yield worker
    worker.let_go()


@pytest.mark.parametrize(
    ("pooled", "task"),
    [together(place, task) for place in (*POOLS, "on Redis") for task in STOPPING],
    indirect=["pooled"],
)
def test_task_stops_elsewhere(
    pooled: Worker,
    launch: Launch,
    press: Press,
    task: str,
    seen: SeenFunction,
    request: pytest.FixtureRequest,
) -> None:
    page = launch(pooled, task).wait_for("running")

    press(page)
    page.wait_for("cancelled")

    seen(f"{request.node.callspec.params['pooled']}: cancelled: {task}", page)
    assert REVOKED in page.text


def test_group_is_cancelled_with_its_tasks(
    worker: Worker, otter: User, press: Press, seen: SeenFunction
) -> None:
    tasks = [work_of(worker, "track_until_cancelled") for _ in range(20)]
    page = Page(start_group(tasks, owner=otter).task_id, worker).wait_for("running")
    in_hand = TaskProgress.objects.filter(task_id__in=members_of(page.task_id))
    wait_until(lambda: in_hand.count() == 2, "both that run have bars", worker)

    press(page)
    page.wait_for("cancelled")

    seen("start_group(): cancelled", page)
    found = row(page.task_id)
    assert (found.progress, found.failed) == (20, 20)
    assert {one.state for one in in_hand} == {State.CANCELLED}


def test_next_attempt_learns_it_too(worker: Worker, launch: Launch, press: Press) -> None:
    page = launch(worker, "retry_until_cancelled").wait_for("running")
    wait_until(lambda: row(page.task_id).attempt == 2, "it is run again", worker)

    press(page)

    page.wait_for("cancelled")


def test_task_that_does_not_ask_goes_on_to_its_end(
    worker: Worker, launch: Launch, press: Press, gate: Path, seen: SeenFunction
) -> None:
    page = launch(worker, "run_until", str(gate)).wait_for_percent("25.0")

    press(page)
    page.wait_for("cancelling")
    gate.touch()
    page.wait_for("succeeded")

    seen("cancelled, and does not ask", page)
    assert page.states[-2:] == ["cancelling", "succeeded"]


@pytest.mark.parametrize("task", ["run_until", "wait"])
def test_task_that_does_not_ask_is_broken_off_if_the_project_wants_that(
    own: Worker,
    launch: Launch,
    press: Press,
    gate: Path,
    settings: Settings,
    task: str,
    seen: SeenFunction,
) -> None:
    settings.PROGRESS_WIDGET_CANCEL_TERMINATES = True
    page = launch(own, task, str(gate)).wait_for("running")

    press(page)
    page.wait_for("cancelled")

    seen(f"cancelled by CANCEL_TERMINATES: {task}", page)
    assert REVOKED in page.text


def test_task_that_waits_is_never_started(
    start_worker: StartWorker, launch: Launch, press: Press, tmp_path: Path, seen: SeenFunction
) -> None:
    own = start_worker(concurrency=1)
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    first = launch(own, "wait", str(gate)).wait_for("running")
    launch(own, "wait", str(gate))  # which the worker fetches meanwhile: see below
    page = launch(own, "touch", str(trace))

    press(page)
    page.wait_for("cancelling")
    wait_until(lambda: is_revoked(page), "the worker knows", own)
    gate.touch()
    page.wait_for("cancelled")

    seen("cancelled before its start", page)
    first.wait_for("succeeded")
    assert not trace.exists()
    assert "aria-valuenow" not in str(page.html)


def test_task_that_is_fetched_ahead_is_cancelled(
    start_worker: StartWorker, launch: Launch, press: Press, gate: Path, seen: SeenFunction
) -> None:
    own = start_worker(concurrency=1)
    launch(own, "wait", str(gate)).wait_for("running")
    page = launch(own, "track_until_cancelled")
    wait_until(lambda: f"{page.task_id}] received" in own.output(), "it is fetched", own)

    press(page)
    wait_until(lambda: is_revoked(page), "the worker knows", own)
    gate.touch()
    page.wait_for("cancelled")

    seen("cancelled when it was fetched ahead", page)
    assert row(page.task_id).attempt == 0  # prefork drops it when its turn comes


def test_worker_that_comes_later_starts_the_task_which_stops_by_itself(
    start_worker: StartWorker, launch: Launch, press: Press, seen: SeenFunction
) -> None:
    gone = start_worker(concurrency=1)
    gone.stop()
    page = launch(gone, "track_until_cancelled")

    press(page)
    page.wait_for("cancelling")
    page.worker = start_worker(concurrency=1, like=gone)
    page.wait_for("cancelled")

    seen("cancelled before the worker was there", page)


def test_task_that_has_ended_stays_as_it_is(worker: Worker, launch: Launch, press: Press) -> None:
    page = launch(worker, "succeed").wait_for("succeeded")

    answer = press(page)

    assert b"Complete" in answer.content
    assert row(page.task_id).state == State.SUCCEEDED
    assert row(page.task_id).cancel_asked_at is None


def test_task_of_another_goes_on(worker: Worker, launch: Launch, press: Press, gate: Path) -> None:
    page = launch(worker, "run_until", str(gate)).wait_for_percent("25.0")

    answer = press(page, by=User.objects.create_user("seal"))

    assert answer.status_code == 403
    assert row(page.task_id).cancel_asked_at is None
    gate.touch()
    page.wait_for("succeeded")


def test_task_learns_it_from_its_row_when_the_broker_is_away(
    worker: Worker, launch: Launch, press: Press, caplog: Any, seen: SeenFunction
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"amqp://127.0.0.1:{free.getsockname()[1]}//"
    page = launch(worker, "track_until_cancelled").wait_for("running")

    press(page, app=Celery("lonely", broker=url, set_as_current=False))
    page.wait_for("cancelled")

    seen("cancelled while the broker is away", page)
    assert "could not be asked to cancel" in caplog.text
