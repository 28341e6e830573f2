"""The doctor finds each fault that it is there for, on real workers where there is one."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, _state
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections
from django.http import HttpResponse
from django.urls import include, path

from progress_widget import probe
from progress_widget.doctor import examining, steps
from progress_widget.models import TaskProgress
from tests.workers.conftest import BROKERS, ROOT, StartWorker, Worker, client, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = ["settings", "database", "broker", "publish", "worker", "clocks", "page"]
# A project whose own pages hide the bars' URL.
urlpatterns = [
    path("<path:page>", HttpResponse),
    path("progress/", include("progress_widget.urls")),
]


class Answer(dict[str, str]):
    """What the doctor has said: a line for each step."""

    def __init__(self, lines: str) -> None:
        self.lines = lines
        super().__init__(re.findall(r"^(?:ok|PROBLEM|skipped) +(\w+): (.*)$", lines, re.M))
        self.verdicts = re.findall(r"^(ok|PROBLEM|skipped) +\w+:", lines, re.M)

    @property
    def ok(self) -> list[str]:
        return self._steps("ok")

    @property
    def problems(self) -> list[str]:
        return self._steps("PROBLEM")

    @property
    def skipped(self) -> list[str]:
        return self._steps("skipped")

    def _steps(self, verdict: str) -> list[str]:
        return [step for step, one in zip(self, self.verdicts, strict=True) if one == verdict]


Examine = Callable[..., Answer]


def rows() -> set[str]:
    try:
        return set(TaskProgress.objects.values_list("task_id", flat=True))
    except DatabaseError:  # there is no table, or no database
        return set()


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Run the command with this app as the project's; a problem ends it with an error."""

    def examine(app: Celery | None, **options: Any) -> Answer:
        before = rows()
        monkeypatch.setattr(_state, "default_app", app)
        out = io.StringIO()
        error: CommandError | None = None
        try:
            given = [f"--{name}={value}" for name, value in options.items()]
            call_command("progress_doctor", *given, stdout=out)
        except CommandError as raised:
            error = raised
        answer = Answer(out.getvalue())
        assert list(answer) == STEPS
        assert (error is not None) == bool(answer.problems)
        assert rows() == before
        return answer

    return examine


@pytest.fixture
def eager() -> Celery:
    """The app of a project that needs no broker."""
    app = Celery("eager", set_as_current=False)
    app.conf.task_always_eager = True
    return app


@pytest.fixture(scope="module")
def worker(start_shared_worker: StartWorker) -> Worker:
    """A worker that nobody else uses, so that nobody else answers."""
    return start_shared_worker(broker="sqlite", concurrency=1)


@pytest.mark.parametrize("broker", BROKERS)
def test_healthy_project_is_ok(start_worker: StartWorker, broker: str) -> None:
    worker = start_worker(broker=broker)
    code = (
        "import tests.workers.app\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', 'progress_doctor'])"
    )
    variables = {
        "PROGRESS_TEST_BROKER": str(worker.app.conf.broker_url),
        "PROGRESS_TEST_QUEUE": worker.queue,
        "PROGRESS_TEST_DATABASE": str(connection.settings_dict["NAME"]),
    }

    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )

    answer = Answer(ran.stdout)
    assert answer.ok == STEPS, ran
    assert worker.name in answer["worker"]
    assert '"Complete"' in answer["page"]
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not TaskProgress.objects.exists()


def test_no_worker(start_worker: StartWorker, examine: Examine) -> None:
    gone = start_worker(broker="sqlite")
    gone.stop(signal.SIGKILL)

    answer = examine(gone.app, queue=gone.queue, timeout=0.5)

    assert answer.problems == ["worker"]
    assert answer.skipped == ["clocks"]
    assert "Start one" in answer["worker"]
    assert "Waiting to start" in answer["page"]

    # Whoever finds the task later does not make the row again.
    late = start_worker(broker="sqlite", like=gone)
    wait_until(lambda: f"{probe.NAME}[" in late.output(), "the task is taken", late)
    wait_until(lambda: "succeeded in" in late.output(), "the task is over", late)
    assert not TaskProgress.objects.exists()


def test_wrong_queue(worker: Worker, examine: Examine) -> None:
    answer = examine(worker.app)

    assert answer.problems == ["publish"]
    assert answer.skipped == ["worker", "clocks"]
    assert 'the queue "celery"' in answer["publish"]
    assert f"{worker.name} takes from {worker.queue}" in answer["publish"]


def test_no_table(worker: Worker, examine: Examine, no_table: None) -> None:
    answer = examine(worker.app, queue=worker.queue)

    assert answer.problems == ["database"]
    assert answer.skipped == ["publish", "worker", "clocks", "page"]
    assert answer["database"].endswith("has no table for the rows. Run: python manage.py migrate")


@pytest.mark.parametrize("is_migrated", [True, False])
def test_worker_on_another_database(
    start_worker: StartWorker, examine: Examine, tmp_path: Path, is_migrated: bool
) -> None:
    env = {"DATABASE_URL": "", "PROGRESS_TEST_DATABASE": str(tmp_path / "other.sqlite3")}
    if is_migrated:
        command = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=ROOT, env=os.environ | env, check=True)
    worker = start_worker(broker="sqlite", env=env)

    answer = examine(worker.app, queue=worker.queue, timeout=3)

    assert answer.problems == ["worker"]
    assert f"{worker.name} has run the task" in answer["worker"]
    assert str(connection.settings_dict["NAME"]) in answer["worker"]
    assert ("other.sqlite3" if is_migrated else "no such table") in worker.output()


def test_clocks_apart(start_worker: StartWorker, examine: Examine) -> None:
    worker = start_worker(broker="sqlite", app="early_app")

    answer = examine(worker.app, queue=worker.queue)

    assert answer.problems == ["clocks"]
    assert re.search(rf"{worker.name} is 3\d\d\d s ahead of the database\.", answer["clocks"])


def test_clock_of_this_process_apart(
    worker: Worker, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    right_time = steps.time.time
    monkeypatch.setattr(steps.time, "time", lambda: right_time() - 60)

    answer = examine(worker.app, queue=worker.queue)

    assert answer.problems == ["clocks"]
    assert re.search(r"apart: this process is (59|60) s behind the database\.", answer["clocks"])


def test_app_missing_in_the_worker(start_worker: StartWorker, examine: Examine) -> None:
    worker = start_worker(broker="sqlite", app="bare_app")

    answer = examine(worker.app, queue=worker.queue)

    assert answer.problems == ["publish"]
    assert f"{worker.name}: the app is missing there." in answer["publish"]


def test_urls_missing(worker: Worker, examine: Examine, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.test_checks"

    answer = examine(worker.app, queue=worker.queue)

    assert answer.problems == ["page"]
    assert 'include("progress_widget.urls")' in answer["page"]


def test_urls_hidden_by_others(eager: Celery, examine: Examine, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__

    answer = examine(eager)

    assert "leads to django.http.response.HttpResponse instead" in answer["page"]


def test_worker_too_busy(worker: Worker, examine: Examine, gate: Path) -> None:
    page = worker.page("run_until", str(gate)).wait_for_percent("25.0")

    answer = examine(worker.app, queue=worker.queue, timeout=0.5)
    gate.touch()
    page.wait_for("succeeded")

    assert answer.problems == ["worker"]
    assert "are busy" in answer["worker"]


def test_reports_that_do_not_arrive() -> None:
    examination = steps.Examination("", timeout=0.1)
    TaskProgress.objects.create(task_id=examination.task_id, label="1792848000.5 kelp@shore")

    with pytest.raises(steps.Problem, match="kelp@shore has found the row, but its reports"):
        examination.worker()


def test_eager_mode(eager: Celery, examine: Examine) -> None:
    answer = examine(eager)

    assert answer.problems == ["broker"]
    assert answer.skipped == ["publish", "worker", "clocks"]
    assert "task_always_eager is set" in answer["broker"]


def test_no_app_of_celery(examine: Examine) -> None:
    answer = examine(None)

    assert answer.problems == ["broker"]
    assert "No Celery app is loaded here" in answer["broker"]


def test_dead_broker(examine: Examine) -> None:
    answer = examine(client("amqp://kelp:hunter2@127.0.0.1:1//"))

    assert answer.problems == ["broker"]
    assert "127.0.0.1:1// does not answer: [Errno 111]" in answer["broker"]
    assert "hunter2" not in answer.lines


def test_hanging_broker_is_given_up(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "EXTRA", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = examine(client(f"amqp://127.0.0.1:{server.getsockname()[1]}//"), timeout=0.5)

    assert answer.problems == ["broker"]
    assert "Nothing has come back for 1.5 s." in answer["broker"]


def test_unreachable_database(
    eager: Celery, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "NAME", "/no/such/database")

    answer = examine(eager)

    assert "database" in answer.problems
    assert '"/no/such/database"' in answer["database"]
    assert "can't be reached" in answer["database"]


def test_table_of_another_release(eager: Celery, examine: Examine, no_label: None) -> None:
    answer = examine(eager)

    assert "database" in answer.problems
    assert "does not take a row" in answer["database"]
    assert answer["database"].endswith("Run: python manage.py migrate")


def test_what_the_system_checks_find(eager: Celery, examine: Examine, settings: Any) -> None:
    settings.PROGRESS_WIDGET_POLL_INTERVAL = 0

    answer = examine(eager)

    assert "settings" in answer.problems
    assert "PROGRESS_WIDGET_POLL_INTERVAL is not a positive number" in answer["settings"]


def test_unforeseen_exception_is_told_as_it_is(worker: Worker, examine: Examine) -> None:
    app = client(str(worker.app.conf.broker_url))
    app.conf.task_create_missing_queues = False

    answer = examine(app, queue="no-such-queue")

    assert answer.problems == ["publish"]
    assert answer["publish"].startswith("QueueNotFound: ")


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "kelp"])
def test_timeout_is_a_number_of_seconds(given: str) -> None:
    with pytest.raises(CommandError, match=r"not a number of seconds"):
        call_command("progress_doctor", f"--timeout={given}")


@pytest.fixture
def no_table(transactional_db: None) -> Iterator[None]:
    table = TaskProgress._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        yield
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")


@pytest.fixture
def no_label(transactional_db: None) -> Iterator[None]:
    table = TaskProgress._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME COLUMN label TO title")
        yield
        cursor.execute(f"ALTER TABLE {table} RENAME COLUMN title TO label")
