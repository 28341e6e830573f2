from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from bs4 import BeautifulSoup
from django.utils import translation

from progress_widget.models import State, TaskProgress
from progress_widget.reading.fragments import TEXTS, Fragment, Version
from progress_widget.reading.rendering import progressbar, render
from progress_widget.reading.tickets import Ticket

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=timezone.utc)


def ticket(**values) -> Ticket:
    values = {
        "task_id": "kelp",
        "user": "",
        "label": "",
        "interval": 1000,
        "template": "progress_widget/progressbar.html",
        "language": "en",
        "since": int(NOON.timestamp()),
    } | values
    return Ticket(**values)


def made(**values) -> TaskProgress:
    """Give a row as the database would, without one."""
    row = TaskProgress(**{"task_id": "kelp", "total": 10, "attempt": 1} | values)
    row._state.adding = False
    return row


def absent() -> TaskProgress:
    return TaskProgress(task_id="kelp", state=State.WAITING)


def shown(row: TaskProgress, **values) -> str:
    return str(Fragment(row, ticket(**values), now=NOON).version)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


# What a bar shows.


def test_bar_is_for_machines_what_it_is_for_people():
    row = made(progress=5, step="Drying")

    html = render(Fragment(row, ticket(label="Kelp"), now=NOON), "p0123abcd")

    bar = BeautifulSoup(html, "html.parser").select_one("[data-state]")
    meter = bar.select_one("[role=progressbar]")
    assert (bar["data-state"], bar["data-percent"]) == ("running", "50.0")
    assert meter["aria-valuenow"] == "50.0"
    assert meter["aria-valuetext"] == "50.0%, Drying"
    assert meter.rect["width"] == "50.0%"
    assert [text in bar.text for text in ("Kelp", "50.0%", "Drying", "5 of 10")] == [True] * 4


@pytest.mark.parametrize("row", [made(total=None, progress=5), absent()])
def test_bar_without_a_percentage_has_no_value(row):
    html = render(Fragment(row, ticket(), now=NOON), "p0123abcd")

    bar = BeautifulSoup(html, "html.parser").select_one("[data-state]")
    assert not bar.has_attr("data-percent")
    assert not bar.select_one("[role=progressbar]").has_attr("aria-valuenow")
    assert "%" not in bar.text


def test_percentage_has_the_digits_of_the_language_but_not_for_machines(settings):
    settings.USE_THOUSAND_SEPARATOR = True
    row = made(progress=3333, total=10_000)

    with translation.override("de"):
        html = render(Fragment(row, ticket(), now=NOON), "p0123abcd")

    bar = BeautifulSoup(html, "html.parser").select_one("[data-state]")
    assert "33,3" in bar.text
    assert "3.333" in bar.text
    assert bar["data-percent"] == "33.3"
    assert bar.select_one("[role=progressbar]")["aria-valuenow"] == "33.3"
    assert bar.rect["width"] == "33.3%"
    assert bar["hx-trigger"].startswith("every 1000ms,")


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        (made(progress=5), "5 of 10"),
        (made(progress=5, total=None), "5"),
        (made(progress=5, total=100), ""),
        (made(progress=0), ""),
        (absent(), ""),
    ],
)
def test_numbers_stand_where_they_say_more_than_the_percentage(row, numbers):
    assert Fragment(row, ticket(), now=NOON).numbers == numbers


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (made(step="Drying"), "Drying"),
        (made(), "Running"),
        (made(step="Drying", state=State.SUCCEEDED), "Complete"),
        (made(step="Complete", state=State.SUCCEEDED), "Complete"),
        (made(step="Drying", state=State.FAILED), "Failed"),
        (made(step="Drying", state=State.CANCELLED), "Cancelled"),
        (absent(), "Waiting to start"),
    ],
)
def test_text_says_what_is_going_on(row, text):
    assert Fragment(row, ticket(), now=NOON).text == text


def test_failure_is_explained_by_its_author_or_else_in_general():
    told = Fragment(made(state=State.FAILED, message="Too wet."), ticket(), now=NOON)
    untold = Fragment(made(state=State.FAILED), ticket(), now=NOON)

    assert told.message == "Too wet."
    assert untold.message.startswith("The task has ended in an error.")


def test_step_complete_of_the_seed_is_shown_as_the_language_has_it(monkeypatch):
    monkeypatch.setitem(TEXTS, State.SUCCEEDED, "Fertig")
    row = made(state=State.SUCCEEDED, progress=10, step="Complete")

    assert Fragment(row, ticket(), now=NOON).text == "Fertig"


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_finished_bar_has_nothing_of_htmx_on_a_page(state):
    html = render(Fragment(made(state=state), ticket(), now=NOON), "p0123abcd", on_page=True)

    page = BeautifulSoup(html, "html.parser")
    bar = page.select_one("[data-state]")
    assert [name for tag in (bar, *bar.find_all(True)) for name in tag.attrs if "hx" in name] == []
    assert page.noscript is None


def test_page_without_javascript_has_a_link_to_refresh():
    html = render(Fragment(made(), ticket(), now=NOON), "p0123abcd", on_page=True)

    link = BeautifulSoup(html, "html.parser").noscript.a
    assert (link["href"], link.text) == ("", "Refresh")


def test_bar_can_be_made_without_a_request():
    html = progressbar(made(progress=5))

    assert BeautifulSoup(html, "html.parser").select_one("[data-percent='50.0']")


# Waiting long, and a row that is gone.


@pytest.mark.parametrize(
    ("row", "seconds", "interval"),
    [(absent(), 30, 1000), (absent(), 31, 5000), (made(state=State.WAITING), 31, 5000)],
)
def test_bar_that_waits_long_asks_less_often(row, seconds, interval):
    row.created_at = NOON

    fragment = Fragment(row, ticket(), now=later(seconds))

    assert fragment.interval == interval


def test_how_long_is_long_is_a_setting(settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 60

    assert Fragment(absent(), ticket(), now=later(59)).interval == 1000
    assert Fragment(absent(), ticket(), now=later(61)).interval == 5000


@pytest.mark.parametrize(
    ("interval", "slow"), [(100, 500), (1000, 5000), (3000, 10_000), (60_000, 60_000)]
)
def test_slow_interval_is_five_times_as_long_and_at_most_ten_seconds(interval, slow):
    assert Fragment(absent(), ticket(interval=interval), now=later(31)).interval == slow


def test_task_that_runs_long_is_asked_as_often_as_ever():
    row = made(created_at=NOON)

    assert Fragment(row, ticket(), now=later(3600)).interval == 1000


@pytest.mark.parametrize(
    ("now", "said"), [(later(31), "since noon"), (later(86_400), "since 05/04/2026 noon")]
)
def test_bar_that_waits_long_says_since_when(now, said):
    fragment = Fragment(absent(), ticket(), now=now)

    assert said in fragment.message


def test_bar_that_does_not_wait_long_says_no_more():
    assert Fragment(absent(), ticket(), now=later(1)).message == ""


def test_long_wait_is_shown_once_and_not_again_at_each_poll():
    before = Fragment(absent(), ticket(), shown=shown(absent()), now=later(31))
    after = Fragment(absent(), ticket(), shown=str(before.version), now=later(90))

    assert (before.is_shown, after.is_shown) == (False, True)


# What a screen reader says.


def said(row: TaskProgress, before: str, **values) -> str:
    return Fragment(row, ticket(**values), shown=before, now=NOON).announcement


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (0, 24, ""),
        (24, 25, "25.0%"),
        (25, 49, ""),
        (49, 50, "50.0%"),
        (20, 80, "80.0%"),
        (74, 75, "75.0%"),
        (80, 99, ""),
        (99, 100, "100.0%"),
        (50, 40, ""),
    ],
)
def test_quarters_are_announced_once(before, after, text):
    shown_before = shown(made(progress=before, total=100))

    assert said(made(progress=after, total=100), shown_before) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (made(), "Kelp: Running"),
        (made(state=State.SUCCEEDED), "Kelp: Complete"),
        (made(state=State.CANCELLED), "Kelp: Cancelled"),
        (
            made(state=State.RETRYING, attempt=1),
            "Kelp: Attempt 2 will follow: The last attempt did not succeed. "
            "Nothing needs to be done.",
        ),
        (made(state=State.FAILED, message="Too wet."), "Kelp: Failed: Too wet."),
    ],
)
def test_each_change_of_state_is_announced(row, text):
    assert said(row, shown(absent()), label="Kelp") == text


def test_quarter_is_announced_with_its_label():
    assert said(made(progress=5), shown(made()), label="Kelp") == "Kelp 50.0%"


def test_change_of_step_is_not_announced():
    assert said(made(step="Packing"), shown(made(step="Drying"))) == ""


def test_total_that_becomes_known_is_announced_at_its_quarter():
    assert said(made(progress=5), shown(made(total=None, progress=5))) == "50.0%"


def test_first_rendering_announces_nothing():
    assert said(made(progress=5), "") == ""


def test_announcement_goes_out_of_band_into_the_region_of_the_page():
    row = made(state=State.SUCCEEDED, progress=10)
    page = render(Fragment(row, ticket(), now=NOON), "p0123abcd", on_page=True)

    answer = render(Fragment(row, ticket(), shown=shown(made()), now=NOON), "p0123abcd")

    region = BeautifulSoup(page, "html.parser").select_one("[role=status]")
    spoken = BeautifulSoup(answer, "html.parser").select_one("[hx-swap-oob]")
    assert spoken["id"] == region["id"]
    assert (region.text, spoken.text) == ("", "Complete")


def test_answer_without_a_milestone_leaves_the_region_alone():
    row = made(progress=6)

    answer = render(Fragment(row, ticket(), shown=shown(made(progress=5)), now=NOON), "p0123abcd")

    assert "hx-swap-oob" not in answer


# The version.


@pytest.mark.parametrize("row", [made(progress=5), made(total=None), absent()])
def test_version_can_be_read_back(row):
    version = Fragment(row, ticket(), now=NOON).version

    assert Version.parse(str(version)) == version


def test_largest_attempt_has_a_version():
    version = Fragment(made(attempt=2**31 - 1), ticket(), now=NOON).version

    assert Version.parse(str(version)) == version


def test_same_row_has_the_same_version_in_each_process():
    version = Fragment(made(progress=5), ticket(), now=NOON).version

    assert str(version) == f"1.running.500.{version.digest}"
    assert version.digest == Fragment(made(progress=5), ticket(), now=later(60)).version.digest


# Stalled.


@pytest.fixture
def heartbeat(monkeypatch):
    monkeypatch.setattr("progress_widget.models.has_heartbeat", lambda: True)


def test_run_that_is_silent_for_long_says_since_when_and_is_asked_less_often(heartbeat):
    row = made(attempt=1, progress=3, total=10, updated_at=NOON)

    fragment = Fragment(row, ticket(), now=NOON + timedelta(minutes=1))

    assert (fragment.state, fragment.text) == ("stalled", "No news")
    assert "No news since noon" in fragment.message
    assert fragment.interval == 5 * fragment.ticket.interval
    assert not fragment.is_finished
    assert fragment.as_percent == "30.0%"


# Projects without time zones.


def test_waiting_bar_is_shown_where_time_zones_are_off(db, settings):
    settings.USE_TZ = False

    html = progressbar("kelp")

    assert 'data-state="waiting"' in html


def test_late_bar_says_since_when_where_time_zones_are_off(settings):
    settings.USE_TZ = False
    now = datetime(2026, 5, 4, 12, 0)
    since = int(datetime(2026, 5, 3, 10, 0).timestamp())

    message = Fragment(absent(), ticket(since=since), now=now).message

    assert message.startswith("Waiting since 05/03/2026 10 a.m. for a worker")
