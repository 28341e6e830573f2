"""Rows that were finished long ago are deleted, and no others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from progress_widget.bars import ProgressBar
from progress_widget.clock import NOW
from progress_widget.models import GroupMember, State, TaskProgress

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
TIMES = ("created_at", "started_at", "updated_at", "finished_at")
FINISHED = {
    "succeeded": {"state": State.SUCCEEDED, "attempt": 1},
    "failed": {"state": State.FAILED, "attempt": 1},
    "cancelled": {"state": State.CANCELLED, "attempt": 1},
    "at its total, with no task": {"progress": 10, "finished_at": None},
}
UNFINISHED = {
    "waiting": {"state": State.WAITING},
    "running": {"attempt": 1, "progress": 5},
    "running at its total": {"attempt": 1, "progress": 10},
    "retrying": {"state": State.RETRYING, "attempt": 1},
    "shared": {"progress": 5},
    "total of zero": {"total": 0, "progress": 0},
    "total unknown": {"total": None, "progress": 5},
}


def days_ago(days: float) -> Any:
    return NOW - timedelta(days=days)


def make(task_id: str = "kelp", days: float = 8, **values: Any) -> None:
    """Make a row all of whose times are so many days ago."""
    finished_at = days_ago(days) if values.get("state") in list(State)[3:] else None
    times = dict.fromkeys(TIMES, days_ago(days)) | {"finished_at": finished_at}
    rows.create(**{"task_id": task_id, "total": 10} | times | values)


def make_many(count: int) -> None:
    for number in range(count):
        make(f"kelp-{number}", 10 + number % 3, state=State.FAILED)


def left() -> set[str]:
    return set(rows.values_list("task_id", flat=True))


def deleting(sql: str, table: str = "taskprogress") -> bool:
    return sql.startswith("DELETE") and f"progress_widget_{table}" in sql.partition("WHERE")[0]


def before_locking(act: Callable[[], None]) -> Any:
    """Do something between the statement that selects rows and the one that locks them."""

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("SELECT") and "groupmember" in sql:  # of which there are none
            act()
        return execute(sql, *args)

    return connection.execute_wrapper(wrapper)


@pytest.mark.parametrize("values", FINISHED.values(), ids=FINISHED)
def test_finished_row_is_deleted_after_its_days(values):
    make("old", 7.1, **values)
    make("new", 6.9, **values)

    assert rows.purge() == 1
    assert left() == {"new"}


@pytest.mark.parametrize("values", UNFINISHED.values(), ids=UNFINISHED)
def test_row_that_is_not_finished_stays_for_ever(values):
    make(days=1000, **values)

    assert rows.purge() == 0
    assert left() == {"kelp"}


@pytest.mark.parametrize("values", (FINISHED | UNFINISHED).values(), ids=FINISHED | UNFINISHED)
def test_finished_means_to_a_purge_what_it_means_to_a_page(values):
    make(**values)

    assert rows.outlived().exists() == rows.get().is_finished


def test_days_count_from_the_end_and_not_from_the_start():
    make("long", 30, state=State.SUCCEEDED, finished_at=days_ago(1))
    make("by hand", 30, progress=10, updated_at=days_ago(1))
    make("touched", 30, state=State.SUCCEEDED, updated_at=days_ago(1))

    rows.purge()

    assert left() == {"long", "by hand"}


def test_days_are_the_settings_unless_others_are_given(settings):
    settings.PROGRESS_WIDGET_RETENTION_DAYS = 2
    for days in (1, 3, 5):
        make(f"{days} days", days, state=State.FAILED)

    assert rows.purge(4) == 1
    assert left() == {"1 days", "3 days"}
    assert rows.purge() == 1
    assert rows.purge(0) == 1


@pytest.mark.parametrize("by", [timedelta(days=-30), timedelta(days=30)], ids=str)
def test_days_are_told_by_the_clock_of_the_database(monkeypatch, by):
    make("old", 8, state=State.FAILED)
    make("new", 6, state=State.FAILED)
    now = timezone.now
    monkeypatch.setattr("django.utils.timezone.now", lambda: now() + by)

    rows.purge()

    assert left() == {"new"}


def test_rows_are_deleted_in_batches():
    make_many(7)
    rows.update(created_at=days_ago(12))  # as of rows that were made together
    make("running", 20)

    with CaptureQueriesContext(connection) as queries:
        purged = rows.purge(batch_size=3)

    assert (purged, left()) == (7, {"running"})
    assert len([query for query in queries if deleting(query["sql"])]) == 3


def test_members_of_a_group_are_deleted_with_it_in_batches():
    make("old", state=State.FAILED)
    make("new", 1, state=State.FAILED)
    for row in rows.all():
        row.members.bulk_create(GroupMember(group=row, task_id=f"{row} {n}") for n in range(7))

    with CaptureQueriesContext(connection) as queries:
        purged = rows.purge(batch_size=3)

    assert (purged, left(), GroupMember.objects.count()) == (1, {"new"}, 7)
    # The last two are for what may have come since; one is Django's own.
    assert len([one for one in queries if deleting(one["sql"], "groupmember")]) == 3 + 2


def test_row_that_is_started_over_in_the_meantime_stays():
    make("kelp", state=State.FAILED)
    make("wrack", state=State.FAILED)

    with before_locking(lambda: ProgressBar("kelp", total=10) and None):
        purged = rows.purge()

    assert (purged, left()) == (1, {"kelp"})


@pytest.mark.skipif(connection.vendor == "mysql", reason="it may break off either of the two")
@pytest.mark.django_db(transaction=True)
def test_row_that_is_started_over_during_the_purge_is_made_again():
    make("kelp", state=State.FAILED)

    def start_over() -> None:
        ProgressBar("kelp", total=10)
        connection.close()

    thread = threading.Thread(target=start_over)

    def start(execute: Any, sql: str, *args: Any) -> Any:
        if deleting(sql):
            thread.start()
            thread.join(0.5)  # in vain, as long as the row is locked
        return execute(sql, *args)

    with connection.execute_wrapper(start):
        rows.purge()
    thread.join()

    assert (left(), rows.get().state) == ({"kelp"}, State.RUNNING)


def test_purge_ends_where_its_transaction_still_sees_what_another_has_deleted():
    make(state=State.FAILED)

    def in_vain(execute: Any, sql: str, *args: Any) -> Any:
        return execute(f"{sql} AND 1 = 0" if deleting(sql) else sql, *args)

    with connection.execute_wrapper(in_vain):
        assert rows.purge() == 0


def test_signals_are_sent_for_what_is_deleted():
    make_many(3)
    seen = []

    def note(instance: TaskProgress, **kwargs: Any) -> None:
        seen.append(instance.task_id)

    post_delete.connect(note, sender=TaskProgress)
    try:
        purged = rows.purge(batch_size=2)
    finally:
        post_delete.disconnect(note, sender=TaskProgress)

    assert (purged, len(seen), left()) == (3, 3, set())


def test_rows_are_deleted_where_bars_write(settings):
    make(state=State.FAILED)
    settings.DATABASE_ROUTERS = ["tests.test_routers.Router"]

    assert rows.outlived().count() == 1
    assert rows.purge() == 1


def test_template_can_not_purge(draw):
    make(state=State.FAILED)

    assert draw("{{ rows.purge }}{{ rows.all.purge }}", rows=rows) == ""
    assert left() == {"kelp"}


# The command


def told(*options: str) -> str:
    output = StringIO()
    call_command("progress_purge", *options, stdout=output)
    return output.getvalue()


def test_command_deletes_and_says_how_many():
    make_many(2)
    make("new", 1, state=State.FAILED)

    assert told() == "Rows deleted: 2.\n"
    assert left() == {"new"}


def test_dry_run_counts_and_deletes_nothing():
    make_many(2)

    assert told("--dry-run") == "Rows to delete: 2.\n"
    assert len(left()) == 2


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=" ".join)
def test_command_takes_other_days_than_the_settings(options):
    make("kelp", 3, state=State.FAILED)

    assert told("--days", "4", *options).endswith(": 0.\n")
    assert told("--days", "2.5", *options).endswith(": 1.\n")
