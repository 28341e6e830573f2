"""Tenants that each have a schema of their own, with django-tenants on a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from uuid import uuid4

import pytest
from django.db import connection

from progress_widget.models import State, TaskProgress
from tests.workers.conftest import StartWorker, Worker, wait_until

SCHEMAS = ("north", "south")
TABLE = "progress_widget_taskprogress"
Rows = dict[str, list[tuple[str, int]]]

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="django-tenants needs PostgreSQL"),
    pytest.mark.skipif(not find_spec("django_tenants"), reason="django-tenants is not installed"),
]


@pytest.fixture(autouse=True)
def schemas() -> Iterator[None]:
    with connection.cursor() as cursor:
        for schema in SCHEMAS:
            cursor.execute(f"CREATE SCHEMA {schema}")
            cursor.execute(f"CREATE TABLE {schema}.{TABLE} (LIKE public.{TABLE} INCLUDING ALL)")
    yield
    with connection.cursor() as cursor:
        for schema in SCHEMAS:
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(scope="module")
def tenants_worker(start_shared_worker: StartWorker) -> Worker:
    return start_shared_worker(
        app="tenants_app",
        env={"DJANGO_SETTINGS_MODULE": "tests.workers.tenants_settings"},
    )


def rows_of(task_id: str) -> Rows:
    """Return what each schema knows of a task."""
    found = {}
    with connection.cursor() as cursor:
        for schema in ("public", *SCHEMAS):
            cursor.execute(
                f"SELECT state, progress FROM {schema}.{TABLE} WHERE task_id = %s", [task_id]
            )
            found[schema] = cursor.fetchall()
    return found


def wait_for(worker: Worker, task_id: str, expected: Rows) -> None:
    """Wait until the schemas know this, and no other than this one knows of the task."""
    everywhere = {schema: expected.get(schema, []) for schema in ("public", *SCHEMAS)}
    wait_until(lambda: rows_of(task_id) == everywhere, lambda: f"{rows_of(task_id)}", worker)


def send(worker: Worker, name: str, schema: str, task_id: str = "") -> str:
    return worker.send(name, task_id=task_id, headers={"_schema_name": schema})


def test_bar_is_written_into_the_schema_of_its_task(tenants_worker: Worker) -> None:
    tasks = {
        send(tenants_worker, "succeed", schema): schema for schema in (*SCHEMAS, *SCHEMAS, "public")
    }

    for task_id, schema in tasks.items():
        wait_for(tenants_worker, task_id, {schema: [("succeeded", 4)]})


@pytest.mark.parametrize("fate", ["retry_then_raise_at_once", "kill_own_process", "exit_process"])
def test_end_is_written_there_whoever_tells_it(tenants_worker: Worker, fate: str) -> None:
    task_id = send(tenants_worker, fate, "north")

    wait_for(tenants_worker, task_id, {"north": [("failed", 2)]})


def test_revocation_is_written_there(tenants_worker: Worker) -> None:
    task_id = str(uuid4())
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO south")
        TaskProgress.objects.create(task_id=task_id, state=State.WAITING)
        cursor.execute("RESET search_path")

    tenants_worker.revoke(task_id)
    send(tenants_worker, "succeed", "south", task_id)

    wait_for(tenants_worker, task_id, {"south": [("cancelled", 0)]})
