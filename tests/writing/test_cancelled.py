"""How a task learns that it is asked to stop, where its bar is written inline, and what it does."""

from __future__ import annotations

import pickle
from contextlib import suppress

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from progress_widget.bars import ProgressBar
from progress_widget.exceptions import Cancelled, ProgressError
from progress_widget.models import State, TaskProgress
from progress_widget.texts import REVOKED

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


@pytest.fixture(autouse=True)
def unthrottled(settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0


@pytest.fixture
def throttled(settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600


@pytest.fixture
def bar() -> ProgressBar:
    return ProgressBar("kelp", total=10)


def queries_on_rows(call) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        call()
    return [one["sql"] for one in queries if "progress_widget_taskprogress" in one["sql"]]


# The row.


def test_wish_is_noted_once(bar):
    assert rows.ask_to_stop("kelp")
    asked_at = rows.get().cancel_asked_at

    assert not rows.ask_to_stop("kelp")
    assert rows.get().cancel_asked_at == asked_at is not None


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_task_that_has_ended_is_not_asked(bar, state):
    rows.update(state=state)

    assert not rows.ask_to_stop("kelp")
    assert rows.get().cancel_asked_at is None


def test_shared_bar_at_its_total_is_not_asked(bar):
    bar.update(progress=10)

    assert not rows.ask_to_stop("kelp")


def test_only_this_task_is_asked(bar):
    ProgressBar("eel")

    rows.ask_to_stop("kelp")

    assert rows.get(task_id="eel").cancel_asked_at is None


def test_wish_is_no_sign_of_life(bar):
    before = rows.get().updated_at

    rows.ask_to_stop("kelp")

    assert rows.get().updated_at == before


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_wish_is_gone_when_the_task_has_ended(bar, state):
    rows.ask_to_stop("kelp")

    rows.end("kelp", None, state)

    assert (rows.get().state, rows.get().cancel_asked_at) == (state, None)


def test_wish_outlives_a_retry_and_the_next_start(bar):
    rows.ask_to_stop("kelp")
    rows.end("kelp", None, State.RETRYING)

    ProgressBar("kelp", total=10)

    assert rows.get().cancel_asked_at is not None


# The bar.


def test_bar_that_nobody_has_cancelled_is_not(bar):
    assert bar.is_cancelled is False


def test_bar_learns_it_by_a_write_that_is_made_all_the_same(bar):
    rows.ask_to_stop("kelp")

    bar.update(progress=5, step="Drying")

    assert (rows.get().progress, rows.get().step) == (5, "Drying")
    assert queries_on_rows(lambda: bar.is_cancelled) == []
    assert bar.is_cancelled is True


def test_report_costs_one_query_until_somebody_asks(bar):
    usual = queries_on_rows(lambda: bar.update(progress=1))
    rows.ask_to_stop("kelp")
    first = queries_on_rows(lambda: bar.update(progress=2))
    later = queries_on_rows(lambda: bar.update(progress=3))

    assert [sql.split()[0] for sql in usual] == ["UPDATE"]
    assert [sql.split()[0] for sql in first] == ["UPDATE", "SELECT", "UPDATE"]
    assert [sql.split()[0] for sql in later] == ["UPDATE"]
    assert "cancel_asked_at" not in later[0]


def test_bar_that_reports_nothing_learns_it_too(bar):
    rows.ask_to_stop("kelp")

    assert bar.is_cancelled is True


def test_row_is_asked_at_most_every_interval(bar, throttled):
    bar.is_cancelled  # noqa: B018  # the property asks

    assert queries_on_rows(lambda: [bar.is_cancelled for _ in range(9)]) == []


def test_question_is_no_sign_of_life(bar):
    before = rows.get().updated_at

    bar.is_cancelled  # noqa: B018  # the property asks

    assert rows.get().updated_at == before


@pytest.mark.parametrize("options", [{"_getter": True}, {"_getter": True, "dynamic": True}])
def test_found_bar_learns_it(bar, options):
    found = ProgressBar("kelp", **options)
    rows.ask_to_stop("kelp")

    assert found.is_cancelled is True
    found.advance()  # the condition is dropped
    assert rows.get().progress == 1


def test_bar_is_found_with_what_its_row_says(bar):
    rows.ask_to_stop("kelp")
    found = ProgressBar.get("kelp")

    assert queries_on_rows(lambda: found.is_cancelled) == []
    assert found.is_cancelled is True


def test_dynamic_bar_learns_it():
    bar = ProgressBar("kelp", total=10, dynamic=True)
    rows.ask_to_stop("kelp")

    bar.advance()

    assert bar.is_cancelled is True


def test_next_attempt_is_still_cancelled(bar):
    rows.ask_to_stop("kelp")
    rows.end("kelp", None, State.RETRYING)

    assert ProgressBar("kelp", total=10).is_cancelled is True


def test_row_that_is_started_over_is_not_cancelled(bar):
    rows.ask_to_stop("kelp")
    rows.end("kelp", None, State.CANCELLED)

    assert ProgressBar("kelp", total=10).is_cancelled is False


@pytest.mark.parametrize("task_id", [None, ""])
def test_bar_of_no_task_asks_nobody(task_id, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert ProgressBar(task_id).is_cancelled is False


def test_bar_without_a_row_is_not_cancelled(bar):
    rows.all().delete()

    assert bar.is_cancelled is False


def test_outage_breaks_no_task_that_asks(bar, refusing_database, caplog):
    rows.ask_to_stop("kelp")

    with refusing_database():
        assert bar.is_cancelled is False
        assert bar.is_cancelled is False

    assert bar.is_cancelled is True
    assert len(caplog.records) == 1


def test_old_attempt_that_is_asked_overwrites_nothing(bar):
    rows.update(attempt=1)
    frozen = ProgressBar.get("kelp")
    rows.update(attempt=2)
    rows.ask_to_stop("kelp")

    frozen.update(progress=9)

    assert rows.get().progress == 0
    assert frozen.is_cancelled is True


def test_task_that_goes_on_to_the_end_has_succeeded(bar):
    rows.ask_to_stop("kelp")
    bar.update(progress=5)

    bar.finalize()

    assert (rows.get().state, rows.get().progress) == (State.SUCCEEDED, 10)


# The loop.


def test_loop_stops_before_it_takes_the_next_item(bar):
    items = iter("abcdef")
    loop = bar.track(items, total=6, stop=True)
    done = [next(loop), next(loop), next(loop)]
    rows.ask_to_stop("kelp")

    with pytest.raises(Cancelled):
        next(loop)

    assert (done, next(items)) == (["a", "b", "c"], "d")
    assert rows.get().progress == 3


def test_loop_that_does_not_stop_goes_on(bar):
    for item in bar.track(range(10)):
        if item == 3:
            rows.ask_to_stop("kelp")

    assert rows.get().progress == 10
    assert bar.is_cancelled is True


def test_loop_of_a_task_that_nobody_cancels_goes_to_its_end(bar):
    assert list(bar.track("kelp", stop=True)) == list("kelp")
    assert rows.get().progress == 4


def test_loop_of_a_task_that_is_known_to_be_cancelled_does_not_begin(bar):
    rows.ask_to_stop("kelp")
    bar.update(step="Drying")

    with pytest.raises(Cancelled):
        next(bar.track("kelp", stop=True))


def test_bar_of_another_task_that_is_left_by_a_cancellation_is_cancelled():
    with suppress(Cancelled), ProgressBar("kelp", total=10) as bar:
        bar.update(progress=4)
        raise Cancelled

    row = rows.get()
    assert (row.state, row.message, row.progress) == (State.CANCELLED, REVOKED, 4)


def test_cancellation_is_no_error_of_the_package_and_can_be_stored():
    assert not issubclass(Cancelled, ProgressError)
    assert isinstance(pickle.loads(pickle.dumps(Cancelled())), Cancelled)
    assert "asked to stop" in str(Cancelled())
