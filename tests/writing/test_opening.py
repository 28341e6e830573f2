"""How a run is noted whose row was made by ``start_task()``, and how its bars take over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from progress_widget.models import State, TaskProgress
from progress_widget.writing.opening import found_report, new_report
from progress_widget.writing.reports import Outcome, Report
from progress_widget.writing.saving import save

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
SUCCESS = Outcome(State.SUCCEEDED)


@pytest.fixture
def row():
    return rows.create(task_id="kelp", state=State.WAITING, total=10, label="Kelp harvest")


@pytest.fixture
def beginning():
    return noting()


def noting(**values):
    values = {"begins": True, "is_first_run": True, "is_new_attempt": True} | values
    return Report(task_id="kelp", **values)


@pytest.fixture
def run(beginning):
    return SimpleNamespace(
        id="kelp", is_eager=True, task="kelp", headers=None, progress_beginning=beginning
    )


def bar_of(run, **values):
    return new_report("kelp", run, **({"total": 4, "step": "", "label": ""} | values))


def test_run_is_noted_in_the_row(row, beginning):
    save(beginning)

    found = rows.get()
    assert (found.state, found.attempt, found.total) == (State.RUNNING, 1, 10)
    assert found.started_at is not None
    assert (beginning.attempt, beginning.is_pending) == (1, False)


def test_first_run_leaves_what_a_subtask_has_reported(row, beginning):
    rows.update(progress=3, step="Drying kelp...")

    save(beginning)

    assert (rows.get().progress, rows.get().step) == (3, "Drying kelp...")


def test_next_run_starts_over(row, beginning):
    rows.update(progress=3, step="Drying kelp...", state=State.RETRYING, message="x", attempt=1)

    save(noting(is_first_run=False))

    found = rows.get()
    assert (found.progress, found.step, found.message, found.attempt) == (0, "", "", 2)


def test_row_that_is_not_there_is_looked_for_with_the_heartbeat(beginning):
    save(beginning)
    was_pending = beginning.is_pending
    rows.create(task_id="kelp", state=State.WAITING)

    save(beginning, beat=True)

    assert (was_pending, rows.get().attempt) == (False, 1)


@pytest.mark.django_db(transaction=True)
def test_bar_that_is_made_soon_costs_nothing_more(row, beginning, run, django_assert_num_queries):
    bar = bar_of(run)

    assert not beginning.is_pending
    with django_assert_num_queries(statements_of_a_start()):
        save(bar)
    assert (rows.get().attempt, rows.get().total, rows.get().label) == (1, 4, "Kelp harvest")


def statements_of_a_start():
    rows.create(task_id="other")
    with CaptureQueriesContext(connection) as queries:
        save(Report(task_id="other", starts=True, is_new_attempt=True))
    rows.filter(task_id="other").delete()
    return len(queries)


def test_bar_that_is_made_late_is_of_the_attempt_that_was_noted(row, beginning, run):
    save(beginning)

    bar = bar_of(run)
    save(bar)

    assert (bar.attempt, rows.get().attempt) == (1, 1)


def test_bar_that_could_not_be_made_leaves_the_run_to_be_noted(row, beginning, run):
    with pytest.raises(ValueError, match="total"):
        bar_of(run, total="many")

    assert beginning.is_pending


def test_bar_of_another_task_takes_nothing_over(beginning, run):
    new_report("other", run, total=4, step="", label="")

    assert beginning.is_pending


def test_bar_that_is_found_is_of_the_run_that_finds_it(row, run):
    report, _ = found_report("kelp", run)

    assert (report.attempt, rows.get().state) == (1, State.RUNNING)


def test_bar_that_is_found_while_its_task_waits_survives_its_beginning(row, beginning):
    report, _ = found_report("kelp", None)
    save(beginning)

    report.add(3)
    save(report)

    assert rows.get().progress == 3


@pytest.mark.django_db(transaction=True)
def test_run_that_ends_before_it_is_noted_costs_one_statement(
    row, beginning, django_assert_num_queries
):
    beginning.end(SUCCESS)

    with django_assert_num_queries(1):
        save(beginning)

    assert (rows.get().state, rows.get().attempt) == (State.SUCCEEDED, 1)


def test_first_run_that_was_not_noted_leaves_the_next_one_alone(row, beginning):
    save(noting(is_first_run=False))

    beginning.end(Outcome(State.RETRYING, overrule=True))
    save(beginning)

    assert (rows.get().state, rows.get().attempt) == (State.RUNNING, 1)


def test_run_that_can_not_be_noted_is_given_up(beginning):
    beginning.give_up()

    assert (beginning.is_fenced, beginning.is_pending) == (True, False)
