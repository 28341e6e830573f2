from __future__ import annotations

import inspect
import sys
from decimal import Decimal
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from progress_widget.bars import ProgressBar
from progress_widget.exceptions import OutOfRange
from progress_widget.models import MAX_NUMBER, State, TaskProgress

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
NUMBERS = ("progress", "total", "step")


def row_of(task_id: str = "kelp") -> TaskProgress:
    return rows.get(task_id=task_id)


def numbers(thing) -> tuple[object, ...]:
    return tuple(getattr(thing, name) for name in NUMBERS)


@pytest.fixture
def bar() -> ProgressBar:
    return ProgressBar("kelp", total=10, step="Drying kelp...")


@pytest.fixture(autouse=True)
def unthrottled(settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0


@pytest.fixture
def throttled(settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600


# The API of django-celery-progressbar.


def test_constructor_is_that_of_the_old_package():
    parameters = inspect.signature(ProgressBar).parameters.values()

    assert [(one.name, one.default) for one in parameters if one.kind != one.KEYWORD_ONLY] == [
        ("task_id", inspect.Parameter.empty),
        ("total", 100),
        ("step", None),
        ("dynamic", False),
        ("_getter", False),
    ]


def test_label_is_written_with_the_start():
    ProgressBar("kelp", label="Kelp harvest" + 300 * ".")

    assert row_of().label.rstrip(".") == "Kelp harvest"
    assert len(row_of().label) == 255


def test_bar_without_a_label_keeps_that_of_the_row():
    ProgressBar("kelp", label="Kelp harvest")

    ProgressBar("kelp", total=5)

    assert (row_of().label, row_of().total) == ("Kelp harvest", 5)


def test_row_that_was_deleted_is_restored_with_its_label():
    bar = ProgressBar("kelp", label="Kelp harvest")
    row_of().delete()

    bar.update(progress=5)

    assert row_of().label == "Kelp harvest"


def test_row_that_is_started_over_is_news_again():
    ProgressBar("kelp")
    rows.update(failed=2, seen_at=timezone.now())

    ProgressBar("kelp")

    assert (row_of().failed, row_of().seen_at) == (0, None)


def test_new_bar_has_the_defaults_of_the_old_package():
    ProgressBar("kelp")

    assert numbers(row_of()) == (0, 100, "")


def test_bar_tells_row_and_reader_the_same(bar):
    bar.update(progress=5)

    assert numbers(bar) == numbers(row_of()) == (5, 10, "Drying kelp...")
    assert bar.as_percent == row_of().as_percent == "50.0%"
    assert str(bar) == "5 / 10 | Drying kelp..."


def test_text_of_a_bar_without_total_leaves_the_total_out(bar):
    bar.update(progress=5)

    bar.total = None

    assert (str(bar), bar.as_percent) == ("5 | Drying kelp...", "")


def test_finalize_completes_the_bar(bar):
    bar.update(progress=5)

    bar.finalize()

    assert numbers(bar) == numbers(row_of()) == (10, 10, "Complete")
    assert (bar.as_percent, row_of().state) == ("100.0%", State.SUCCEEDED)


def test_finalize_of_an_unknown_total_keeps_what_was_reached():
    bar = ProgressBar("kelp", total=None)
    bar.update(progress=7)

    bar.finalize()

    assert numbers(bar) == numbers(row_of()) == (7, 7, "Complete")


def test_finalize_takes_the_total_from_the_row(bar):
    ProgressBar.get("kelp").update(total=50)

    bar.finalize()

    assert numbers(row_of()) == (50, 50, "Complete")


def test_get_finds_the_bar_as_it_is(bar):
    bar.update(progress=5)

    got = ProgressBar.get("kelp")

    assert numbers(got) == (5, 10, "Drying kelp...")
    assert row_of().progress == 5


def test_getter_ignores_total_and_step(bar):
    got = ProgressBar("kelp", total=3, step="Other", _getter=True)

    assert numbers(got) == numbers(row_of()) == (0, 10, "Drying kelp...")


def test_get_of_an_unknown_task_raises():
    with pytest.raises(ProgressBar.exceptions.DoesNotExist) as caught:
        ProgressBar.get("kelp")

    assert caught.value.task_id == "kelp"


def test_bar_is_found_by_its_exact_id_only():
    ProgressBar("kelp", total=10)

    with pytest.raises(ProgressBar.exceptions.DoesNotExist):  # on MariaDB, too
        ProgressBar.get("KELP")


@pytest.mark.parametrize(
    ("name", "value"), [("progress", 7), ("total", 20), ("total", None), ("step", "Packing")]
)
def test_assignment_sets(bar, name, value):
    setattr(bar, name, value)

    assert getattr(bar, name) == getattr(row_of(), name) == value


def test_assigned_step_of_none_is_empty(bar):
    bar.step = None

    assert bar.step == row_of().step == ""


def test_uuid_is_a_task_id():
    task_id = uuid4()

    ProgressBar(task_id)

    assert ProgressBar.get(task_id).task_id == row_of(str(task_id)).task_id == str(task_id)


@pytest.mark.parametrize("task_id", ["x" * 256, "ke\0lp"])
def test_task_id_that_no_row_can_have_is_an_error(task_id):
    with pytest.raises(ValueError, match="at most 255"):
        ProgressBar(task_id)


# Its bugs are not kept.


def test_seven_of_ten_after_five_is_in_range(bar):
    bar.update(progress=5)

    bar.update(progress=7)

    assert row_of().progress == 7


def test_exactly_the_total_is_in_range(bar):
    bar.update(progress=10)

    assert row_of().as_percent == "100.0%"


def test_progress_of_zero_and_empty_step_count(bar):
    bar.update(progress=5)

    bar.update(progress=0, step="")

    assert numbers(bar) == numbers(row_of()) == (0, 10, "")


def test_second_construction_starts_over(bar):
    bar.update(progress=5)
    bar.fail("Too wet.")

    ProgressBar("kelp", total=3)

    row = row_of()
    assert (*numbers(row), row.state, row.message) == (0, 3, "", State.RUNNING, "")


def test_total_of_zero_divides_nothing():
    bar = ProgressBar("kelp", total=0)
    before = bar.as_percent

    bar.finalize()

    assert (before, bar.as_percent, row_of().as_percent) == ("0.0%", "100.0%", "100.0%")


def test_bar_has_no_destructor():
    assert not hasattr(ProgressBar, "__del__")


def test_settings_are_read_when_used(throttled, bar, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0
    bar.update(step="Packing")

    bar.advance()

    assert row_of().progress == 1


# Values.


@pytest.mark.parametrize("value", ["5", 5.0, Decimal(5)])
def test_whole_number_in_any_dress_is_one(bar, value):
    bar.update(progress=value)

    assert row_of().progress == 5
    assert type(bar.progress) is int


NOT_WHOLE = ["x", "", "5.5", 5.5, float("nan"), float("inf"), [], object()]
OUT_OF_RANGE = [-1, "-1", 2**63]


@pytest.mark.parametrize(
    ("value", "error"),
    [(value, ValueError) for value in NOT_WHOLE] + [(value, OutOfRange) for value in OUT_OF_RANGE],
)
@pytest.mark.parametrize("name", ["progress", "total"])
def test_number_that_is_none_changes_nothing(bar, name, value, error):
    bar.update(progress=5)
    before = row_of().updated_at

    with pytest.raises(error):
        bar.update(**{"step": "Packing", name: value})
    with pytest.raises(error):
        setattr(bar, name, value)

    assert numbers(bar) == numbers(row_of()) == (5, 10, "Drying kelp...")
    assert row_of().updated_at == before


@pytest.mark.parametrize(
    ("value", "error"), [("x", ValueError), (5.5, ValueError), (-1, OutOfRange)]
)
def test_bar_of_a_wrong_total_is_not_started(value, error):
    with pytest.raises(error):
        ProgressBar("kelp", total=value)

    assert not rows.exists()


@pytest.mark.parametrize("news", [{"progress": 11}, {"total": 4}, {"progress": 8, "total": 7}])
def test_more_progress_than_total_changes_nothing(bar, news):
    bar.update(progress=5)

    with pytest.raises(OutOfRange):
        bar.update(step="Packing", **news)

    assert numbers(bar) == numbers(row_of()) == (5, 10, "Drying kelp...")


def test_progress_and_total_are_checked_together(bar):
    bar.update(progress=15, total=20)

    assert numbers(row_of()) == (15, 20, "Drying kelp...")


def test_largest_number_can_be_stored():
    bar = ProgressBar("kelp", total=MAX_NUMBER)

    bar.update(progress=MAX_NUMBER)

    assert row_of().progress == MAX_NUMBER


def test_none_leaves_all_as_it_is(bar):
    bar.update(progress=5)
    before = row_of().updated_at

    bar.update(progress=None, step=None, total=None)
    bar.update()

    assert numbers(row_of()) == (5, 10, "Drying kelp...")
    assert row_of().updated_at == before


def test_unknown_keyword_is_an_error(bar):
    with pytest.raises(TypeError):
        bar.update(percent=5)


@pytest.mark.parametrize(("step", "kept"), [("x" * 300, "x" * 255), ("a\0b", "ab"), (7, "7")])
def test_step_is_cropped_and_never_an_error(bar, step, kept):
    bar.update(step=step)

    assert bar.step == row_of().step == kept


def test_step_with_half_a_surrogate_pair_as_file_names_have_it_is_never_an_error(bar):
    bar.update(step="kelp\udce9.csv")

    assert row_of().step.endswith(".csv")


def test_message_is_cropped(bar):
    bar.fail("x" * 2000)

    assert row_of().message == "x" * 1000


# Advance.


def test_advance_adds_and_the_next_write_tells(throttled, bar):
    bar.advance()
    bar.advance(3)

    assert bar.progress == 4

    bar.update(step="Packing")

    assert row_of().progress == 4


def test_advance_writes_when_the_interval_is_over(bar):
    bar.update(progress=1)

    bar.advance()

    assert row_of().progress == 2


def test_advance_does_not_write_within_the_interval(throttled, bar, django_assert_num_queries):
    bar.update(progress=1)

    with django_assert_num_queries(0):
        for _ in range(8):
            bar.advance()

    assert row_of().progress == 1


def test_advance_stays_at_the_total(bar):
    bar.advance(9)

    bar.advance(9)

    assert bar.progress == row_of().progress == 10


def test_advance_adds_to_what_others_wrote():
    first = ProgressBar("kelp", total=100)
    second = ProgressBar.get("kelp")

    first.advance(3)
    second.advance(4)
    first.advance(5)
    second.update(step="Packing")

    assert numbers(row_of()) == (12, 100, "Packing")


def test_advance_of_an_unknown_total_has_no_end():
    bar = ProgressBar("kelp", total=None)

    bar.advance(500)

    assert row_of().progress == 500


def test_advance_after_an_update_adds_to_it(bar):
    bar.advance(2)
    bar.update(progress=5)

    bar.advance("3")

    assert bar.progress == row_of().progress == 8


def test_bar_knows_what_the_row_has_after_it_passed_the_total(bar):
    bar.advance(20)

    bar.total = 50

    assert bar.progress == row_of().progress == 10


@pytest.mark.parametrize(
    ("amount", "error"),
    [("x", ValueError), (1.5, ValueError), (None, ValueError), (-1, OutOfRange)],
)
def test_advance_by_what_is_no_amount_changes_nothing(bar, amount, error):
    with pytest.raises(error):
        bar.advance(amount)

    bar.update(step="Packing")
    assert bar.progress == row_of().progress == 0


def test_advance_beyond_what_can_be_stored_is_out_of_range():
    bar = ProgressBar("kelp", total=None)
    bar.advance(MAX_NUMBER)

    with pytest.raises(OutOfRange):
        bar.advance()


def advance_in_threads(bar: ProgressBar, turns: int) -> None:
    def work() -> None:
        for _ in range(turns):
            bar.advance()
        connection.close()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)


def test_threads_that_advance_one_bar_lose_nothing():
    bar = ProgressBar(None, total=None)

    advance_in_threads(bar, 50_000)

    assert bar.progress == 200_000


@pytest.mark.django_db(transaction=True)
def test_threads_that_write_one_bar_lose_and_double_nothing():
    bar = ProgressBar("kelp", total=None)

    advance_in_threads(bar, 50)
    bar.update(step="Packing")

    assert bar.progress == row_of().progress == 200


# Track.


def test_track_counts_what_is_done(bar):
    seen = [row_of().progress for _ in bar.track("kelp")]

    assert seen == [0, 1, 2, 3]
    assert numbers(row_of()) == (4, 4, "Drying kelp...")
    assert row_of().state == State.RUNNING


def test_track_starts_at_zero(bar):
    bar.update(progress=5)

    items = bar.track(range(3))

    assert numbers(bar) == numbers(row_of()) == (0, 3, "Drying kelp...")
    assert list(items) == [0, 1, 2]


@pytest.mark.parametrize(
    ("iterable", "total", "expected"),
    [
        (range(3), None, 3),
        (iter(range(3)), None, None),
        (iter(range(3)), 5, 5),
        (range(3), "7", 7),
        ([], None, 0),
    ],
)
def test_track_takes_the_total_it_is_given_or_the_length_or_none(bar, iterable, total, expected):
    list(bar.track(iterable, total=total))

    assert bar.total == row_of().total == expected


def test_track_of_unknown_length_counts_on(bar):
    list(bar.track(iter(range(30))))

    assert numbers(row_of()) == (30, None, "Drying kelp...")


def test_track_of_more_than_the_total_stays_at_the_total(bar):
    done = list(bar.track(range(5), total=3))

    assert len(done) == 5
    assert bar.progress == row_of().progress == 3


def test_track_that_is_left_early_has_told_what_was_done(throttled, bar):
    for item in bar.track(range(9)):
        if item == 4:
            break

    assert row_of().progress == 4


def test_track_does_not_count_the_item_that_failed(throttled, bar):
    def divide() -> None:
        for item in bar.track([1, 2, 0, 4]):
            1 / item

    with pytest.raises(ZeroDivisionError):
        divide()

    assert numbers(row_of()) == (2, 4, "Drying kelp...")


def test_track_writes_no_more_than_the_interval_allows(throttled, bar):
    with CaptureQueriesContext(connection) as queries:
        list(bar.track(range(10_000)))

    assert sum(one["sql"].startswith("UPDATE") for one in queries) == 2  # its start and its end
    assert row_of().progress == 10_000


def test_advance_within_track_counts_on_top(bar):
    for _ in bar.track(range(3), total=10):
        bar.advance()

    assert bar.progress == row_of().progress == 6


def test_track_of_a_wrong_total_changes_nothing(bar):
    with pytest.raises(ValueError, match="total"):
        bar.track([], total="x")

    assert bar.total == row_of().total == 10


# The end.


def test_fail_says_why_and_keeps_how_far_it_came(bar):
    bar.update(progress=5)

    bar.fail("Too wet.")

    row = row_of()
    assert (*numbers(row), row.state, row.message) == (
        *(5, 10, "Drying kelp..."),
        State.FAILED,
        "Too wet.",
    )


def test_end_tells_what_was_still_unwritten(throttled, bar):
    bar.advance(4)

    bar.fail()

    assert row_of().progress == 4


def test_first_end_counts(bar):
    bar.fail("Too wet.")
    bar.finalize()
    bar.update(progress=3)

    row = row_of()
    assert (row.state, row.message, row.progress) == (State.FAILED, "Too wet.", 0)


def test_ended_bar_takes_no_more_news_from_any_handle(bar):
    other = ProgressBar.get("kelp")
    bar.finalize()

    other.update(progress=3)
    ProgressBar.get("kelp").fail()

    assert (row_of().progress, row_of().state) == (10, State.SUCCEEDED)


def test_closed_handle_costs_nothing(bar, django_assert_num_queries):
    bar.finalize()

    with django_assert_num_queries(0):
        bar.update(progress=3)
        bar.advance()


def test_with_finalizes_when_it_is_left_normally():
    with ProgressBar("kelp", total=10) as bar:
        bar.update(progress=5)

    assert (row_of().progress, row_of().state) == (10, State.SUCCEEDED)


def test_with_fails_and_lets_the_exception_go_on():
    def dry() -> None:
        with ProgressBar("kelp", total=10) as bar:
            bar.update(progress=5)
            raise KeyError("hunter2")

    with pytest.raises(KeyError, match="hunter2"):
        dry()

    row = row_of()
    assert (row.progress, row.state, row.message) == (5, State.FAILED, "")


def test_with_does_not_replace_what_was_said_within_it():
    with ProgressBar("kelp", total=10) as bar:
        bar.fail("Too wet.")

    assert (row_of().state, row_of().message) == (State.FAILED, "Too wet.")


# Dynamic reads.


def test_static_bar_gives_what_it_knows(bar, django_assert_num_queries):
    ProgressBar.get("kelp").update(progress=5, step="Packing")

    with django_assert_num_queries(0):
        assert numbers(bar) == (0, 10, "Drying kelp...")


@pytest.mark.django_db(transaction=True)
def test_dynamic_bar_asks_the_row(django_assert_num_queries):
    bar = ProgressBar("kelp", total=10, dynamic=True)
    ProgressBar.get("kelp").update(progress=5, total=20, step="Packing")

    with django_assert_num_queries(5):
        assert numbers(bar) == (5, 20, "Packing")
        assert bar.as_percent == "25.0%"
        assert str(bar) == "5 / 20 | Packing"


def test_dynamic_bar_lays_its_unwritten_news_over_the_row(throttled):
    bar = ProgressBar("kelp", total=10, dynamic=True)
    ProgressBar.get("kelp").update(progress=5)

    bar.advance(2)

    assert (bar.progress, row_of().progress) == (7, 5)


def test_dynamic_bar_checks_against_the_row():
    bar = ProgressBar("kelp", total=10, dynamic=True)
    ProgressBar.get("kelp").update(progress=5)

    with pytest.raises(OutOfRange):
        bar.update(total=4)


def test_dynamic_bar_whose_row_is_gone_gives_what_it_knows():
    bar = ProgressBar("kelp", total=10, dynamic=True)
    bar.update(progress=5)

    rows.all().delete()

    assert bar.progress == 5


def test_dynamic_bar_of_zero_sees_that_another_ended_it():
    bar = ProgressBar("kelp", total=0, dynamic=True)

    ProgressBar.get("kelp").finalize()

    assert bar.as_percent == row_of().as_percent == "100.0%"


def test_dynamic_bar_in_an_outage_gives_what_it_knows(refusing_database, caplog):
    bar = ProgressBar("kelp", total=10, dynamic=True)

    with refusing_database():
        bar.update(progress=5)
        known = numbers(bar)

    bar.update(step="Packing")
    assert known == (5, 10, "")
    assert numbers(row_of()) == (5, 10, "Packing")


def test_got_bar_of_an_ended_zero_is_all_done():
    ProgressBar("kelp", total=0).finalize()

    assert ProgressBar.get("kelp").as_percent == "100.0%"


# Without a task.


@pytest.mark.parametrize("task_id", [None, ""])
@pytest.mark.parametrize("dynamic", [False, True])
def test_bar_without_a_task_keeps_its_numbers_to_itself(
    task_id, dynamic, django_assert_num_queries
):
    with (
        django_assert_num_queries(0),
        ProgressBar(task_id, total=10, step="Drying", dynamic=dynamic) as bar,
    ):
        bar.update(progress=3)
        bar.advance()
        text = str(bar)
        done = list(bar.track("kelp"))

    assert text == "4 / 10 | Drying"
    assert len(done) == 4
    assert numbers(bar) == (4, 4, "Complete")


@pytest.mark.parametrize("nothing", [None, ""])
def test_get_without_a_task_keeps_its_numbers_to_itself(nothing):
    bar = ProgressBar.get(nothing)

    bar.advance(5)

    assert bar.progress == 5
    assert not TaskProgress.objects.exists()


# A handle whose row has ended.


def test_found_bar_reads_what_its_row_has():
    TaskProgress.objects.create(
        task_id="kelp", total=10, progress=5, step="Done!", state=State.SUCCEEDED
    )

    bar = ProgressBar.get("kelp")

    assert str(bar) == "5 / 10 | Done!"
    assert bar.as_percent == "50.0%"


def test_finalized_bar_keeps_what_its_row_was_told():
    bar = ProgressBar("kelp", total=None)
    bar.advance(5)
    bar.finalize()

    bar.advance(3)
    bar.total = 200

    assert str(bar) == "5 / 5 | Complete"
