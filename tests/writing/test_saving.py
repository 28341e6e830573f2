from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from progress_widget.writing.reports import Outcome, Report
from progress_widget.writing.saving import save

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


@pytest.fixture(autouse=True)
def unthrottled(settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0


@pytest.fixture
def bar() -> ProgressBar:
    return ProgressBar("kelp", total=10)


def test_only_what_has_changed_is_written(bar):
    ProgressBar.get("kelp").update(step="Packing", total=20)

    bar.update(progress=5)

    row = rows.get()
    assert (row.progress, row.total, row.step) == (5, 20, "Packing")


def test_old_value_said_again_is_news(bar):
    bar.update(progress=0, step="Drying")
    ProgressBar.get("kelp").update(progress=5, step="Packing")

    bar.update(progress=0, step="Drying")

    assert (rows.get().progress, rows.get().step) == (0, "Drying")


def test_one_report_is_one_query(bar, django_assert_num_queries):
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        bar.update(progress=5, step="Drying")

    updates = [one["sql"] for one in queries if one["sql"].startswith("UPDATE")]
    assert len(updates) == 1
    assert len(queries) == 3  # two of them for the savepoint


@pytest.mark.django_db(transaction=True)
def test_report_outside_of_a_transaction_has_no_savepoint(bar, django_assert_num_queries):
    with django_assert_num_queries(1):
        bar.update(progress=5, step="Drying")


def test_deleted_row_is_inserted_again_by_the_handle_that_started_it(bar):
    rows.all().delete()

    bar.update(progress=5, step="Drying")

    row = rows.get()
    assert (row.task_id, row.progress, row.total, row.step) == ("kelp", 5, 10, "Drying")


def test_deleted_row_is_inserted_again_to_be_ended(bar):
    bar.update(progress=5)
    rows.all().delete()

    bar.finalize()

    assert (rows.get().state, rows.get().progress) == (State.SUCCEEDED, 10)


def test_deleted_row_is_not_inserted_again_by_a_handle_that_found_it(bar):
    found = ProgressBar.get("kelp")
    rows.all().delete()

    found.update(progress=5)
    found.finalize()

    assert not rows.exists()


def test_old_attempt_that_wakes_up_overwrites_nothing(bar):
    rows.update(attempt=1)
    frozen = ProgressBar.get("kelp")
    rows.update(attempt=2)

    frozen.update(progress=9, step="Old")
    frozen.finalize()

    row = rows.get()
    assert (row.progress, row.step, row.state) == (0, "", State.RUNNING)


def test_error_is_logged_and_does_not_reach_the_task(bar, refusing_database, caplog):
    with refusing_database():
        bar.update(progress=5)

    assert [record.name for record in caplog.records] == ["progress_widget"]
    assert "kelp" in caplog.text
    assert caplog.records[0].exc_info is not None


def test_error_is_logged_once_for_each_outage(bar, refusing_database, caplog):
    for _ in range(2):
        with refusing_database():
            bar.update(progress=5)
            bar.update(progress=6)
        bar.update(progress=7)

    assert len(caplog.records) == 2


def test_error_does_not_poison_the_transaction_of_the_task(bar, refusing_database, caplog):
    with transaction.atomic():
        with refusing_database():
            bar.update(progress=5)
        rows.create(task_id="other")

    assert len(caplog.records) == 1
    assert rows.filter(task_id="other").exists()


def test_what_could_not_be_written_goes_with_the_next_write(bar, refusing_database, caplog):
    with refusing_database():
        bar.update(progress=5, total=20)
        bar.advance(2)

    bar.update(step="Packing")

    row = rows.get()
    assert (row.progress, row.total, row.step) == (7, 20, "Packing")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("total", [10, None])
def test_bar_that_could_not_be_started_starts_with_the_next_write(refusing_database, caplog, total):
    with refusing_database():
        bar = ProgressBar("kelp", total=total, step="Drying")
        bar.update(progress=5)

    bar.advance()

    row = rows.get()
    assert (row.progress, row.total, row.step) == (6, total, "Drying")
    assert len(caplog.records) == 1


def test_end_that_could_not_be_written_goes_with_the_next_write(bar, refusing_database, caplog):
    with refusing_database():
        bar.fail("Too wet.")

    bar.update()

    assert (rows.get().state, rows.get().message) == (State.FAILED, "Too wet.")
    assert len(caplog.records) == 1


def test_failure_that_could_not_be_written_is_not_replaced_by_a_success(
    bar, refusing_database, caplog
):
    with refusing_database():
        bar.fail("Too wet.")

    bar.finalize()

    assert (rows.get().state, rows.get().message) == (State.FAILED, "Too wet.")
    assert len(caplog.records) == 1


def test_bar_whose_transaction_is_rolled_back_is_shown_by_its_next_report():
    with transaction.atomic():
        bar = ProgressBar("kelp", total=10)
        bar.update(progress=5)
        transaction.set_rollback(True)  # as an exception would

    bar.update(step="Cleaning up")

    row = rows.get()
    assert (row.progress, row.total, row.step) == (5, 10, "Cleaning up")


def test_late_start_of_a_run_that_is_followed_by_another_takes_no_row_from_it():
    first = Report(task_id="kelp", starts=True, is_new_attempt=True, is_left_open=True)
    first.end(Outcome(State.RETRYING, overrule=True))
    second = Report(task_id="kelp", starts=True, is_new_attempt=True)
    save(second)

    save(first)

    assert (rows.get().state, first.is_pending) == (State.RUNNING, False)
    second.end(Outcome(State.SUCCEEDED))
    save(second)
    assert rows.get().state == State.SUCCEEDED


def test_late_start_of_a_run_that_is_followed_by_another_makes_a_row_where_there_is_none():
    first = Report(task_id="kelp", starts=True, is_new_attempt=True, is_left_open=True)
    first.end(Outcome(State.RETRYING, overrule=True))

    save(first)

    assert (rows.get().state, rows.get().attempt) == (State.RETRYING, 1)
