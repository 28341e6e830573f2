from __future__ import annotations

from datetime import timedelta
from threading import Thread
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from progress_widget.models import MAX_NUMBER, State, TaskProgress, has_heartbeat
from progress_widget.rows import TaskProgressQuerySet
from progress_widget.texts import cropped

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


def make(**values) -> TaskProgress:
    return rows.create(**{"task_id": "kelp", "total": 10} | values)


def test_row_made_by_hand_is_a_running_bar():
    row = rows.create(task_id="kelp", total=100, progress=40)

    assert (row.state, row.attempt, row.as_percent) == (State.RUNNING, 0, "40.0%")
    assert not row.is_ended
    assert not row.is_finished


@pytest.mark.parametrize(
    ("progress", "total", "text"),
    [
        (5, 10, "50.0%"),
        (0, 10, "0.0%"),
        (10, 10, "100.0%"),
        (1, 3, "33.3%"),
        (2, 3, "66.6%"),
        (999_999, 1_000_000, "99.9%"),
        (MAX_NUMBER - 1, MAX_NUMBER, "99.9%"),
        (MAX_NUMBER, MAX_NUMBER, "100.0%"),
        (0, 0, "0.0%"),
        (5, None, ""),
    ],
)
def test_percentage_has_one_decimal_and_is_rounded_down(progress, total, text):
    assert TaskProgress(progress=progress, total=total).as_percent == text


def test_total_of_zero_is_all_done_only_when_it_has_succeeded():
    assert TaskProgress(total=0, state=State.RUNNING).percent == 0.0
    assert TaskProgress(total=0, state=State.FAILED).percent == 0.0
    assert TaskProgress(total=0, state=State.SUCCEEDED).percent == 100.0


def test_unknown_total_has_no_percentage():
    assert TaskProgress(total=None, progress=7).percent is None


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        (State.WAITING, False),
        (State.RUNNING, False),
        (State.RETRYING, False),
        (State.SUCCEEDED, True),
        (State.FAILED, True),
        (State.CANCELLED, True),
    ],
)
def test_only_three_states_end_a_row_and_an_ended_row_is_finished(state, ended):
    row = TaskProgress(state=state, total=10)

    assert row.is_ended is ended
    assert row.is_finished is ended


@pytest.mark.parametrize(
    ("attempt", "progress", "total", "finished"),
    [
        (0, 10, 10, True),
        (0, 9, 10, False),
        (0, 0, 0, False),
        (0, 5, None, False),
        (1, 10, 10, False),
    ],
)
def test_full_row_is_finished_unless_a_task_owns_it(attempt, progress, total, finished):
    row = TaskProgress(attempt=attempt, progress=progress, total=total)

    assert row.is_finished is finished


def test_row_is_called_by_its_label_or_else_by_its_task_id():
    assert str(TaskProgress(task_id="kelp", label="Drying")) == "Drying"
    assert str(TaskProgress(task_id="kelp")) == "kelp"


def test_task_id_is_unique():
    make()

    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_database_refuses_more_progress_than_total():
    with pytest.raises(IntegrityError), transaction.atomic():
        make(total=10, progress=11)


def test_database_takes_any_progress_of_an_unknown_total():
    assert make(total=None, progress=11).pk


def test_no_column_that_changes_is_indexed():
    table = TaskProgress._meta.db_table
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()

    indexed = {
        column for one in found if one["index"] or one["unique"] for column in one["columns"]
    }

    assert indexed <= {"id", "task_id", "created_at", "owner_id", "content_type_id", "object_id"}


def test_cropped_text_fits_its_column():
    assert cropped("a\0b", 10) == "ab"
    assert cropped("x" * 300, 255) == "x" * 255
    assert cropped(7, 10) == "7"


def test_for_tasks_gives_a_waiting_row_where_none_is(django_assert_num_queries):
    row = make(task_id="there")

    with django_assert_num_queries(1):
        found = rows.for_tasks(["absent", "there", "absent"])

    assert list(found) == ["absent", "there"]
    assert found["there"] == row
    assert (found["absent"].state, found["absent"].pk) == (State.WAITING, None)


@pytest.mark.parametrize("other", ["KELP", "kelp ", "kélp"])
def test_for_tasks_finds_a_task_by_its_exact_id(other):
    # MariaDB's usual collation takes all of these for the same.
    make(task_id="kelp")

    found = rows.for_tasks([other, "kelp"])

    assert (found[other].pk, found["kelp"].state) == (None, State.RUNNING)


@pytest.mark.skipif(connection.vendor != "mysql", reason="Other databases tell them apart")
def test_mariadb_takes_ids_that_differ_only_in_case_for_the_same():
    make(task_id="kelp")

    with pytest.raises(IntegrityError), transaction.atomic():
        make(task_id="KELP")


def start(**values) -> int:
    return rows.start("kelp", **{"total": 10, "step": "", "new_attempt": True} | values)


@pytest.fixture(params=["in one statement", "step by step"])
def way(request, monkeypatch) -> None:
    """Both ways in which databases start a row, where there are two."""
    if request.param == "step by step":
        monkeypatch.setattr(connection.features, "supports_update_conflicts_with_target", False)
    elif connection.vendor == "mysql":
        pytest.skip("MySQL has no ON CONFLICT")


@pytest.mark.usefixtures("way")
def test_start_makes_the_row():
    attempt = start(total=5, step="Drying")

    row = rows.get()
    assert attempt == row.attempt == 1
    assert (row.task_id, row.total, row.progress, row.step) == ("kelp", 5, 0, "Drying")
    assert row.state == State.RUNNING
    assert row.started_at is not None


@pytest.mark.usefixtures("way")
def test_start_begins_again_and_counts_the_attempt():
    make(
        progress=7,
        state=State.FAILED,
        message="no",
        attempt=1,
        label="Kelp",
        created_at=timezone.now() - timedelta(hours=1),
        finished_at=timezone.now(),
    )

    attempt = start(total=None, step="Anew")

    row = rows.get()
    assert attempt == row.attempt == 2
    assert (row.total, row.progress, row.step, row.message) == (None, 0, "Anew", "")
    assert (row.state, row.finished_at, row.label) == (State.RUNNING, None, "Kelp")
    assert row.created_at < row.started_at <= row.updated_at


@pytest.mark.usefixtures("way")
def test_start_outside_of_a_task_counts_no_attempt():
    assert [start(new_attempt=False), start(new_attempt=False)] == [0, 0]


@pytest.mark.skipif(connection.vendor == "mysql", reason="MySQL has no ON CONFLICT")
def test_start_is_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        start()
    with django_assert_num_queries(1):
        start()


def test_start_that_loses_the_race_to_insert_begins_the_row_again(monkeypatch):
    monkeypatch.setattr(connection.features, "supports_update_conflicts_with_target", False)
    make(step="the other's", attempt=1)
    update = TaskProgressQuerySet.update
    answers = [0]  # what the first update saw before the other's insert
    monkeypatch.setattr(
        TaskProgressQuerySet,
        "update",
        lambda self, **values: answers.pop() if answers else update(self, **values),
    )

    attempt = start(step="mine")

    assert (attempt, rows.get().step) == (2, "mine")


def save(attempt=1, **news) -> bool:
    return rows.save_changes("kelp", attempt, news)


@pytest.mark.parametrize(
    ("news", "progress", "total", "step"),
    [
        ({"progress": 5}, 5, 10, "Drying"),
        ({"progress": 99}, 10, 10, "Drying"),
        ({"added": 2}, 6, 10, "Drying"),
        ({"added": 99}, 10, 10, "Drying"),
        ({"progress": 5, "added": 2}, 7, 10, "Drying"),
        ({"total": 20}, 4, 20, "Drying"),
        ({"total": 3}, 3, 3, "Drying"),
        ({"total": None}, 4, None, "Drying"),
        ({"progress": 15, "total": 20}, 15, 20, "Drying"),
        ({"added": 99, "total": None}, 103, None, "Drying"),
        ({"step": "Packing"}, 4, 10, "Packing"),
        ({"step": ""}, 4, 10, ""),
        ({"progress": 0}, 0, 10, "Drying"),
    ],
)
def test_news_changes_what_it_names_and_clamps_in_the_database(news, progress, total, step):
    make(progress=4, step="Drying", attempt=1)

    saved = save(**news)

    row = rows.get()
    assert saved
    assert (row.progress, row.total, row.step) == (progress, total, step)


def test_news_may_exceed_an_unknown_total():
    make(total=None, progress=4, attempt=1)

    save(added=99)

    assert rows.get().progress == 103


def test_news_heals_a_row_that_a_late_signal_called_retrying():
    make(state=State.RETRYING, attempt=1)

    save(progress=1)

    assert rows.get().state == State.RUNNING


def test_news_of_nothing_says_only_that_the_task_is_alive():
    long_ago = timezone.now() - timedelta(hours=1)
    before = make(state=State.RETRYING, progress=4, step="Drying", attempt=1, updated_at=long_ago)

    assert save()

    row = rows.get()
    assert row.updated_at > before.updated_at
    assert (row.state, row.progress, row.step) == (State.RETRYING, 4, "Drying")


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_ended_row_takes_no_news_and_no_other_end(state):
    make(state=state, progress=4, attempt=1)

    assert not save(progress=5)
    assert not rows.end("kelp", 1, State.SUCCEEDED)
    assert not rows.end("kelp", 1, State.FAILED, "late")

    row = rows.get()
    assert (row.state, row.progress, row.message) == (state, 4, "")


def test_old_attempt_writes_nothing():
    make(progress=4, attempt=2)

    assert not save(attempt=1, progress=5)
    assert not rows.end("kelp", 1, State.SUCCEEDED)
    assert not rows.end("kelp", 1, State.FAILED, overrule=True)

    row = rows.get()
    assert (row.state, row.progress) == (State.RUNNING, 4)


@pytest.mark.parametrize(("total", "reached"), [(10, 10), (None, 4), (0, 0)])
def test_success_completes_the_row_from_what_the_row_knows(total, reached):
    make(total=total, progress=min(4, reached), attempt=1)

    assert rows.end("kelp", 1, State.SUCCEEDED)

    row = rows.get()
    assert (row.total, row.progress, row.step) == (reached, reached, "Complete")
    assert row.state == State.SUCCEEDED
    assert row.finished_at is not None


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        ({"progress": 7}, 10),
        ({"total": 20}, 20),
        ({"total": 3}, 3),
        ({"total": None}, 4),
        ({"total": None, "progress": 7, "added": 2}, 9),
    ],
)
def test_success_carries_what_the_row_does_not_know_yet(
    changes, reached, django_assert_num_queries
):
    make(progress=4, attempt=1)

    with django_assert_num_queries(1):
        assert rows.end("kelp", 1, State.SUCCEEDED, changes=changes)

    row = rows.get()
    assert (row.total, row.progress, row.step) == (reached, reached, "Complete")


def test_success_of_unknown_total_counts_what_is_added_at_the_end():
    make(progress=4, total=None, attempt=1)

    assert rows.end("kelp", 1, State.SUCCEEDED, changes={"added": 3})

    row = rows.get()
    assert (row.total, row.progress) == (7, 7)


def test_failure_carries_what_the_row_does_not_know_yet(django_assert_num_queries):
    make(progress=4, attempt=1)
    changes = {"added": 9, "total": 12, "step": "Packing"}

    with django_assert_num_queries(1):
        assert rows.end("kelp", 1, State.FAILED, "Too wet.", changes=changes)

    row = rows.get()
    assert (row.total, row.progress, row.step, row.message) == (12, 12, "Packing", "Too wet.")


def test_failure_keeps_how_far_the_task_came():
    make(progress=4, step="Drying", attempt=1)

    assert rows.end("kelp", 1, State.FAILED, "Too wet.")

    row = rows.get()
    assert (row.state, row.progress, row.step, row.message) == (
        State.FAILED,
        4,
        "Drying",
        "Too wet.",
    )
    assert row.finished_at is not None


def test_retry_does_not_finish_the_row():
    make(attempt=1)

    assert rows.end("kelp", 1, State.RETRYING)

    row = rows.get()
    assert (row.state, row.finished_at) == (State.RETRYING, None)


@pytest.mark.parametrize("state", [State.FAILED, State.RETRYING])
def test_celery_may_overrule_a_success_said_too_early(state):
    make(attempt=1)
    rows.end("kelp", 1, State.SUCCEEDED)

    assert rows.end("kelp", 1, state, overrule=True)

    row = rows.get()
    assert (row.state, row.step, row.finished_at is None) == (state, "", state == State.RETRYING)


def test_celery_overrules_no_failure():
    make(state=State.FAILED, message="Too wet.", attempt=1)

    assert not rows.end("kelp", 1, State.FAILED, overrule=True)

    assert rows.get().message == "Too wet."


# Stalled.


@pytest.fixture
def heartbeat(monkeypatch):
    """Act as if on a database on which the thread may write."""
    monkeypatch.setattr("progress_widget.models.connections", {"default": Vendor("postgresql")})


class Vendor:
    def __init__(self, vendor):
        self.vendor = vendor


def test_tasks_have_a_heartbeat(heartbeat):
    assert has_heartbeat()


def test_without_background_writes_there_is_no_heartbeat(heartbeat, settings):
    settings.PROGRESS_WIDGET_BACKGROUND_WRITES = False

    assert not has_heartbeat()


def test_on_sqlite_there_is_no_heartbeat(monkeypatch):
    monkeypatch.setattr("progress_widget.models.connections", {"default": Vendor("sqlite")})

    assert not has_heartbeat()


def test_rows_are_found_by_ids_that_are_not_text():
    uuid = uuid4()
    row = rows.create(task_id=str(uuid))

    found = rows.for_tasks([uuid, 7])

    assert found[uuid] == row
    assert (found[7].task_id, found[7].state) == ("7", State.WAITING)


def test_heartbeat_moves_the_time_and_nothing_else():
    row = rows.create(
        task_id="kelp", state=State.RETRYING, updated_at=timezone.now() - timedelta(1), progress=3
    )

    found = rows.save_changes("kelp", 0, {})

    got = rows.get()
    assert found
    assert got.updated_at > row.updated_at
    assert (got.state, got.progress) == (State.RETRYING, 3)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_start_that_comes_second_starts_over():
    def insert() -> None:
        rows.create(task_id="kelp", attempt=1, progress=7)
        connection.close()

    def be_late(execute, sql, params, many, context):
        if sql.startswith("INSERT") and not rows.exists():
            first = Thread(target=insert)
            first.start()
            first.join()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(be_late):
        attempt = rows.start("kelp", total=10, step="Drying", new_attempt=True)

    row = rows.get()
    assert (attempt, row.attempt, row.progress, row.total) == (2, 2, 0, 10)
