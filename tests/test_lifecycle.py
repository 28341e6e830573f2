"""What becomes of a task in eager mode; real workers have their own tests."""

from __future__ import annotations

import pytest
from celery import shared_task
from django.db import transaction

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from tests.celery import app

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


@pytest.fixture(autouse=True)
def throttled(settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600


@pytest.fixture
def run():
    """Run a function as a task, eagerly; its first argument is the task."""
    made = []

    def run(function, task_id="kelp", **options):
        name = f"tests.{function.__name__}"
        task = app.task(function, bind=True, name=name, **options)
        made.append(name)
        return task.apply(task_id=task_id)

    yield run
    for name in made:
        app.tasks.pop(name, None)


def test_task_that_returns_succeeds(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).update(progress=5)

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.step) == (State.SUCCEEDED, 10, "Complete")
    assert row.attempt == 1


def test_task_that_raises_fails_without_the_text_of_its_exception(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).update(progress=5, step="Drying")
        raise ValueError("password=hunter2")

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.step, row.message) == (State.FAILED, 5, "Drying", "")


def test_end_of_the_task_tells_what_was_still_unwritten(run):
    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        bar.advance(4)
        raise ValueError

    run(dry)

    assert rows.get().progress == 4


def test_end_of_the_task_tells_what_each_of_its_handles_said(run):
    def dry(self):
        ProgressBar(self.request.id, total=None)
        other = ProgressBar.get(self.request.id)
        other.advance(1)
        other.advance(3)

    run(dry)

    assert (rows.get().state, rows.get().progress) == (State.SUCCEEDED, 4)


def test_exception_after_finalize_is_a_failure(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).finalize()
        raise ValueError

    run(dry)

    row = rows.get()
    assert (row.state, row.step) == (State.FAILED, "")


def test_finalized_task_that_returns_stays_succeeded(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).finalize()

    run(dry)

    assert rows.get().state == State.SUCCEEDED


@pytest.mark.parametrize("error", [None, ValueError("hunter2")])
def test_what_the_author_said_of_a_failure_stays(run, error):
    def dry(self):
        ProgressBar(self.request.id, total=10).fail("Too wet.")
        if error:
            raise error

    run(dry)

    assert (rows.get().state, rows.get().message) == (State.FAILED, "Too wet.")


def test_failure_said_during_an_outage_is_not_replaced_by_the_return(
    run, refusing_database, caplog
):
    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        with refusing_database():
            bar.fail("Too wet.")

    run(dry)

    assert (rows.get().state, rows.get().message) == (State.FAILED, "Too wet.")


def test_second_run_starts_over_and_counts(run):
    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        bar.update(progress=7)
        seen.append((rows.get().attempt, rows.get().state))
        raise ValueError

    seen = []
    run(dry)
    run(dry)

    assert seen == [(1, State.RUNNING), (2, State.RUNNING)]
    assert (rows.get().attempt, rows.get().state) == (2, State.FAILED)


def test_second_bar_of_one_run_counts_no_attempt(run):
    def dry(self):
        ProgressBar(self.request.id, total=10)
        ProgressBar(self.request.id, total=20)

    run(dry)

    row = rows.get()
    assert (row.attempt, row.total, row.state) == (1, 20, State.SUCCEEDED)


def test_old_run_that_goes_on_overwrites_nothing_of_the_new_one(run):
    bars = []

    def dry(self):
        bars.append(ProgressBar(self.request.id, total=10))
        if len(bars) == 1:
            run(dry)
            bars[0].update(progress=3, step="Old")

    run(dry)

    row = rows.get()
    assert (row.attempt, row.state, row.step) == (2, State.SUCCEEDED, "Complete")


@pytest.mark.parametrize("within", [True, False])
def test_retry_ends_as_its_last_run_does(run, within):
    states = []

    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        if within:
            with bar:
                work(self)
        else:
            work(self)

    def work(task):
        states.append(rows.get().state)
        if task.request.retries < 2:
            raise task.retry(countdown=0)

    run(dry)

    assert states == [State.RUNNING] * 3
    assert (rows.get().attempt, rows.get().state) == (3, State.SUCCEEDED)


def test_retry_within_with_does_not_fail_the_bar(run, monkeypatch):
    monkeypatch.setattr("celery.canvas.Signature.apply", lambda *args, **options: Gone())

    def dry(self):
        with ProgressBar(self.request.id, total=10) as bar:
            bar.advance(4)
            raise self.retry(countdown=0)

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.finished_at) == (State.RETRYING, 4, None)


class Gone:
    """The result of a retry that another worker will run."""

    def get(self):
        return None


def test_too_many_retries_are_a_failure(run):
    def dry(self):
        with ProgressBar(self.request.id, total=10):
            raise self.retry(countdown=0)

    run(dry, max_retries=1)

    assert (rows.get().attempt, rows.get().state) == (2, State.FAILED)


def test_exception_within_with_fails_the_bar_of_the_task(run):
    def dry(self):
        with ProgressBar(self.request.id, total=10):
            raise ValueError("hunter2")

    run(dry)

    assert (rows.get().state, rows.get().message) == (State.FAILED, "")


def test_leaving_with_normally_finalizes_before_the_task_ends(run):
    def dry(self):
        with ProgressBar(self.request.id, total=10):
            pass
        states.append(rows.get().state)

    states = []
    run(dry)

    assert states == [State.SUCCEEDED]


def test_bar_of_another_id_is_flushed_but_goes_on(run):
    ProgressBar("shared", total=10)

    def dry(self):
        ProgressBar.get("shared").advance(4)

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.attempt) == (State.RUNNING, 4, 0)


def test_bar_of_another_id_fails_when_its_with_is_left_by_an_exception(run):
    def dry(self):
        with ProgressBar("other", total=10):
            raise ValueError

    run(dry)

    assert (rows.get().state, rows.get().attempt) == (State.FAILED, 0)


def test_task_without_a_bar_costs_no_query(run, django_assert_num_queries):
    def dry(self):
        return 5

    with django_assert_num_queries(0):
        result = run(dry)

    assert result.get() == 5


def test_task_called_as_a_function_writes_nothing(django_assert_num_queries):
    @shared_task(bind=True)
    def dry(self):
        with ProgressBar(self.request.id, total=10) as bar:
            bar.update(progress=5)
        return bar.as_percent

    with django_assert_num_queries(0):
        assert dry() == "100.0%"


def test_run_whose_transaction_is_rolled_back_ends_the_row_all_the_same(run):
    def dry(self):
        with transaction.atomic():
            ProgressBar(self.request.id, total=10).update(progress=5)
            if rows.get().attempt == 2:
                raise ValueError

    run(dry)
    run(dry)

    assert (rows.get().attempt, rows.get().state) == (2, State.FAILED)
