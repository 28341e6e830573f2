from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from django.utils import translation

from progress_widget.models import State, TaskProgress
from progress_widget.reading.fragments import Fragment, Version
from progress_widget.reading.rendering import progressbar, render
from progress_widget.texts import STOPPING, TEXTS
from tests.builders import KEY, NOON, absent, fragment, saved


def html_of(shown: Fragment, **options) -> str:
    return render(shown, KEY, token="token", **options)


def version_of(row: TaskProgress) -> Version:
    return fragment(row).version


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


# What a bar shows.


def test_bar_is_for_machines_what_it_is_for_people():
    row = saved(progress=5, step="Drying")

    html = html_of(fragment(row, label="Kelp"))

    bar = BeautifulSoup(html, "html.parser").select_one("[data-state]")
    meter = bar.select_one("[role=progressbar]")
    assert (bar["data-state"], bar["data-percent"]) == ("running", "50.0")
    assert meter["aria-valuenow"] == "50.0"
    assert meter["aria-valuetext"] == "50.0%, Drying"
    assert meter.rect["width"] == "50.0%"
    assert [text in bar.text for text in ("Kelp", "50.0%", "Drying", "5 of 10")] == [True] * 4


@pytest.mark.parametrize("row", [saved(total=None, progress=5), absent()])
def test_bar_without_a_percentage_has_no_value(row):
    html = html_of(fragment(row))

    bar = BeautifulSoup(html, "html.parser").select_one("[data-state]")
    assert not bar.has_attr("data-percent")
    assert not bar.select_one("[role=progressbar]").has_attr("aria-valuenow")
    assert "%" not in bar.text


def test_percentage_has_the_digits_of_the_language_but_not_for_machines(settings):
    settings.USE_THOUSAND_SEPARATOR = True
    row = saved(progress=3333, total=10_000)

    with translation.override("de"):
        html = html_of(fragment(row))

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
        (saved(progress=5), "5 of 10"),
        (saved(progress=5, total=None), "5"),
        (saved(progress=5, total=100), ""),
        (saved(progress=0), ""),
        (absent(), ""),
    ],
)
def test_numbers_stand_where_they_say_more_than_the_percentage(row, numbers):
    assert fragment(row).numbers == numbers


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (saved(step="Drying"), "Drying"),
        (saved(), "Running"),
        (saved(step="Drying", state=State.SUCCEEDED), "Complete"),
        (saved(step="Complete", state=State.SUCCEEDED), "Complete"),
        (saved(step="Drying", state=State.FAILED), "Failed"),
        (saved(step="Drying", state=State.CANCELLED), "Cancelled"),
        (absent(), "No progress reported yet"),
        (saved(state=State.WAITING), "Waiting to start"),
    ],
)
def test_text_says_what_is_going_on(row, text):
    assert fragment(row).text == text


def test_failure_is_explained_by_its_author_or_else_in_general():
    told = fragment(saved(state=State.FAILED, message="Too wet."))
    untold = fragment(saved(state=State.FAILED))

    assert told.message == "Too wet."
    assert untold.message.startswith("Something went wrong.")


def test_step_complete_is_shown_as_the_language_has_it(monkeypatch):
    monkeypatch.setitem(TEXTS, State.SUCCEEDED, "Fertig")
    row = saved(state=State.SUCCEEDED, progress=10, step="Complete")

    assert fragment(row).text == "Fertig"


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_finished_bar_has_nothing_of_htmx_on_a_page(state):
    html = html_of(fragment(saved(state=state)), on_page=True)

    page = BeautifulSoup(html, "html.parser")
    bar = page.select_one("[data-state]")
    assert [name for tag in (bar, *bar.find_all(True)) for name in tag.attrs if "hx" in name] == []
    assert page.noscript is None


def test_page_without_javascript_has_a_link_to_refresh():
    html = html_of(fragment(saved()), on_page=True)

    link = BeautifulSoup(html, "html.parser").noscript.a
    assert (link["href"], link.text) == ("", "Refresh")


def test_bar_can_be_made_without_a_request():
    html = progressbar(saved(progress=5))

    assert BeautifulSoup(html, "html.parser").select_one("[data-percent='50.0']")


# Waiting long, and a row that is gone.


@pytest.mark.parametrize(
    ("now", "said"), [(later(31), "since noon"), (later(86_400), "since 05/04/2026 noon")]
)
def test_bar_that_waits_long_says_since_when(now, said):
    assert said in fragment(absent(), now=now).message


def test_bar_that_does_not_wait_long_says_no_more():
    assert fragment(absent(), now=later(1)).message == ""


def test_long_wait_is_shown_once_and_not_again_at_each_poll():
    before = fragment(absent(), shown=version_of(absent()), now=later(31))
    after = fragment(absent(), shown=before.version, now=later(90))

    assert before.version != version_of(absent())
    assert after.version == before.version


# The version.


@pytest.mark.parametrize("row", [saved(progress=5), saved(total=None), absent()])
def test_version_can_be_read_back(row):
    version = fragment(row).version

    assert Version.parse(str(version)) == version


def test_largest_attempt_has_a_version():
    version = fragment(saved(attempt=2**31 - 1)).version

    assert Version.parse(str(version)) == version


def test_same_row_has_the_same_version_in_each_process():
    version = fragment(saved(progress=5)).version

    assert str(version) == "1.running.500.a20d65a4"
    assert version.digest == fragment(saved(progress=5), now=later(20)).version.digest


# The interval.


def interval(row: TaskProgress, seconds: float, **values: object) -> int:
    return fragment(row, now=later(seconds), **values).interval_ms


@pytest.mark.parametrize(
    ("progress", "seconds", "expected"),
    [
        (50, 20, 1000),  # a percent in 0.4 s
        (50, 100, 2000),  # in 2 s
        (50, 3600, 5000),  # in 72 s
        (1, 20, 2000),  # in 20 s, but it has hardly begun
        (0, 5, 1000),
        (99, 200, 2020),
    ],
)
def test_bar_is_asked_by_its_own_rate(progress, seconds, expected):
    row = saved(progress=progress, total=100, started_at=NOON, updated_at=later(seconds))

    assert interval(row, seconds) == expected


@pytest.mark.parametrize(
    "row",
    [
        saved(started_at=NOON, total=None, updated_at=later(3600)),
        saved(created_at=NOON, updated_at=later(3600)),
    ],
    ids=["without a total", "without a start"],
)
def test_bar_whose_rate_is_unknown_is_asked_as_often_as_ever(row):
    assert interval(row, 3600) == 1000


def test_bar_that_no_clock_has_been_read_for_is_asked_as_often_as_ever():
    row = saved(progress=5, started_at=NOON)

    assert fragment(row, now=None).interval_ms == 1000


@pytest.mark.parametrize("row", [absent(), saved(state=State.WAITING, created_at=NOON)])
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(9, 1000), (20, 2000), (30, 3000), (31, 5000), (80, 8000), (86_400, 10_000)],
)
def test_waiting_bar_is_asked_less_often_with_age(row, seconds, expected):
    assert interval(row, seconds) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(31, 5000), (80, 8000), (86_400, 10_000)])
def test_silent_bar_is_asked_less_often_with_age(seconds, expected):
    assert interval(saved(progress=9, started_at=NOON), seconds) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(0, 3000), (30, 1000), (60, 3000)])
def test_retry_is_asked_for_most_often_when_it_is_due(seconds, expected):
    assert interval(saved(state=State.RETRYING, updated_at=later(30)), seconds) == expected


def test_how_long_is_long_is_a_setting(settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 60

    assert interval(absent(), 59) == 5000
    assert "Waiting since" not in fragment(absent(), now=later(59)).message
    assert "Waiting since" in fragment(absent(), now=later(61)).message


def test_interval_of_the_settings_is_the_shortest(settings):
    settings.PROGRESS_WIDGET_POLL_INTERVAL = 20
    row = saved(progress=5, started_at=NOON, updated_at=later(3600))

    intervals = [interval(row, 3600), interval(absent(), 3600), interval(saved(), 3600)]

    assert intervals == [20_000] * 3


@pytest.mark.parametrize("row", [absent(), saved(), saved(progress=5, started_at=NOON)])
@pytest.mark.parametrize("interval_ms", [100, 60_000])
def test_interval_of_the_tag_is_kept(row, interval_ms):
    assert interval(row, 29, interval_ms=interval_ms) == interval_ms
    assert interval(row, 86_400, interval_ms=interval_ms) == interval_ms


def test_other_interval_alone_is_no_news():
    row = saved(progress=1, started_at=NOON)

    early, late = (fragment(row, now=later(seconds)) for seconds in (1, 25))

    assert early.interval_ms < late.interval_ms
    assert early.version == late.version


# Stalled.


def test_run_that_is_silent_for_long_says_since_when_and_is_asked_less_often():
    row = saved(attempt=1, progress=3, total=10, updated_at=NOON)

    stalled = fragment(row, now=later(60))

    assert (stalled.state, stalled.text) == ("stalled", "No news")
    assert "No news since noon" in stalled.message
    assert stalled.interval_ms == 6000
    assert not stalled.is_finished
    assert stalled.as_percent == "30.0%"


def is_stalled(seconds: float = 31, has_heartbeat: bool = True, **values) -> bool:
    stalled = fragment(saved(**values), now=later(seconds), has_heartbeat=has_heartbeat)
    return stalled.state == "stalled"


@pytest.mark.parametrize(("seconds", "expected"), [(31, True), (29, False), (-5, False)])
def test_run_that_is_silent_for_long_is_stalled(seconds, expected):
    assert is_stalled(seconds) == expected


def test_how_long_a_silence_is_long_is_a_setting(settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 60

    assert not is_stalled(59)
    assert is_stalled(61)


ENDLESS = {State.RUNNING, State.RETRYING}


@pytest.mark.parametrize("state", [state for state in State if state not in ENDLESS])
def test_only_what_should_go_on_can_stall(state):
    assert not is_stalled(86_400, state=state)


NOT_KEPT_ALIVE = [{"attempt": 0}, {"has_heartbeat": False}, {"state": State.RETRYING}]


@pytest.mark.parametrize("values", NOT_KEPT_ALIVE, ids=str)
@pytest.mark.parametrize(("seconds", "expected"), [(601, True), (599, False), (-5, False)])
def test_what_gives_no_signs_of_life_is_stalled_after_a_longer_silence(values, seconds, expected):
    assert is_stalled(seconds, **values) == expected


@pytest.mark.parametrize("values", NOT_KEPT_ALIVE, ids=str)
def test_how_long_the_longer_silence_is_is_a_setting(settings, values):
    settings.PROGRESS_WIDGET_SILENT_AFTER = 60

    assert not is_stalled(59, **values)
    assert is_stalled(61, **values)


def test_longer_silence_does_not_count_for_what_is_kept_alive(settings):
    settings.PROGRESS_WIDGET_SILENT_AFTER = 1

    assert not is_stalled(29)


def test_row_that_is_full_and_that_nobody_ends_is_not_stalled():
    assert fragment(saved(attempt=0, progress=10), now=later(86_400)).state == "succeeded"


def test_retry_that_does_not_come_is_no_longer_promised():
    row = saved(state=State.RETRYING)

    before, after = fragment(row, now=later(599)), fragment(row, now=later(601))

    assert "The next one will start by itself." in before.message
    assert (after.state, after.text) == ("stalled", "No news")
    assert after.message.startswith("No news since noon")
    assert (after.interval_ms, after.is_finished) == (10_000, False)


# Projects without time zones.


def test_waiting_bar_is_shown_where_time_zones_are_off(db, settings):
    settings.USE_TZ = False

    html = progressbar("kelp")

    assert 'data-state="waiting"' in html


def test_late_bar_says_since_when_where_time_zones_are_off(settings):
    settings.USE_TZ = False
    now = datetime(2026, 5, 4, 12, 0)
    since = int(datetime(2026, 5, 3, 10, 0).timestamp())

    message = fragment(absent(), rendered_at=since, now=now).message

    assert message.startswith("Waiting since 05/03/2026 10 a.m.: nothing")


# A task that is asked to stop.


def asked(**values: object) -> TaskProgress:
    return saved(**{"cancel_asked_at": NOON, "progress": 5, "step": "Drying", **values})


def test_task_that_is_asked_to_stop_keeps_what_it_has_done():
    shown = fragment(asked())

    assert (shown.state, shown.text, shown.message) == ("cancelling", "Cancelling", STOPPING)
    assert (shown.percent, shown.numbers) == (50.0, "5 of 10")
    assert not shown.is_finished


@pytest.mark.parametrize("state", [State.RUNNING, State.RETRYING, State.WAITING])
def test_whatever_goes_on_can_be_asked_to_stop(state):
    assert fragment(asked(state=state)).state == "cancelling"


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_whatever_has_ended_does_not_stop_any_more(state):
    assert fragment(asked(state=state)).state == state


def test_shared_bar_at_its_total_does_not_stop_any_more():
    assert fragment(asked(attempt=0, progress=10)).state == "succeeded"


def test_task_that_is_asked_before_its_start_has_done_nothing():
    shown = fragment(asked(state=State.WAITING, progress=0, attempt=0))

    assert (shown.percent, shown.numbers) == (None, "")


def test_task_that_is_silent_is_silent_first():
    assert fragment(asked(), now=later(31)).state == "stalled"


@pytest.mark.parametrize(("seconds", "expected"), [(0, 1000), (20, 2000), (86_400, 5000)])
def test_task_that_is_asked_to_stop_is_polled_as_any_other(seconds, expected):
    row = asked(state=State.WAITING, attempt=0, updated_at=later(-3600))

    assert fragment(row, now=later(seconds)).interval_ms == expected


def test_bar_of_a_task_with_an_unknown_total_does_not_move_while_it_stops():
    html = html_of(fragment(asked(total=None)))

    assert "indeterminate" not in html
