from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from django.utils import translation

from progress_widget.models import State, TaskProgress
from progress_widget.reading.fragments import Fragment, Version, announcement
from progress_widget.reading.rendering import progressbar, render
from progress_widget.texts import TEXTS
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
    ("row", "seconds", "interval"),
    [(absent(), 30, 1000), (absent(), 31, 5000), (saved(state=State.WAITING), 31, 5000)],
)
def test_bar_that_waits_long_asks_less_often(row, seconds, interval):
    row.created_at = NOON

    assert fragment(row, now=later(seconds)).interval_ms == interval


def test_how_long_is_long_is_a_setting(settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 60

    assert fragment(absent(), now=later(59)).interval_ms == 1000
    assert fragment(absent(), now=later(61)).interval_ms == 5000


@pytest.mark.parametrize(
    ("interval", "slow"), [(100, 500), (1000, 5000), (3000, 10_000), (60_000, 60_000)]
)
def test_slow_interval_is_five_times_as_long_and_at_most_ten_seconds(interval, slow):
    assert fragment(absent(), interval_ms=interval, now=later(31)).interval_ms == slow


def test_task_that_runs_long_is_asked_as_often_as_ever():
    row = saved(created_at=NOON, updated_at=later(3600))

    assert fragment(row, now=later(3600)).interval_ms == 1000


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


# What a screen reader says.


def said(row: TaskProgress, before: Version | None, **values) -> str:
    return announcement(fragment(row, shown=before, **values), before)


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
    shown_before = version_of(saved(progress=before, total=100))

    assert said(saved(progress=after, total=100), shown_before) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (saved(), "Kelp: Running"),
        (saved(state=State.SUCCEEDED), "Kelp: Complete"),
        (saved(state=State.CANCELLED), "Kelp: Cancelled"),
        (
            saved(state=State.RETRYING, attempt=1),
            "Kelp: Attempt 2 will follow: The last attempt did not succeed. "
            "The next one will start by itself.",
        ),
        (saved(state=State.FAILED, message="Too wet."), "Kelp: Failed: Too wet."),
    ],
)
def test_each_change_of_state_is_announced(row, text):
    assert said(row, version_of(absent()), label="Kelp") == text


def test_quarter_is_announced_with_its_label():
    assert said(saved(progress=5), version_of(saved()), label="Kelp") == "Kelp 50.0%"


def test_change_of_step_is_not_announced():
    assert said(saved(step="Packing"), version_of(saved(step="Drying"))) == ""


def test_total_that_becomes_known_is_announced_at_its_quarter():
    assert said(saved(progress=5), version_of(saved(total=None, progress=5))) == "50.0%"


def test_first_rendering_announces_nothing():
    assert said(saved(progress=5), None) == ""


def test_announcement_goes_out_of_band_into_the_region_of_the_page():
    row = saved(state=State.SUCCEEDED, progress=10)
    page = html_of(fragment(row), on_page=True)

    before = version_of(saved())
    after = fragment(row, shown=before)
    answer = html_of(after, announcement=announcement(after, before))

    region = BeautifulSoup(page, "html.parser").select_one("[role=status]")
    spoken = BeautifulSoup(answer, "html.parser").select_one("[hx-swap-oob]")
    assert spoken["id"] == region["id"]
    assert (region.text, spoken.text) == ("", "Complete")


def test_answer_without_a_milestone_leaves_the_region_alone():
    before, after = version_of(saved(progress=5)), fragment(saved(progress=6))

    answer = html_of(after, announcement=announcement(after, before))

    assert "hx-swap-oob" not in answer


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

    assert str(version) == "1.running.500.1b2cfa6a"
    assert version.digest == fragment(saved(progress=5), now=later(20)).version.digest


# Stalled.


def test_run_that_is_silent_for_long_says_since_when_and_is_asked_less_often():
    row = saved(attempt=1, progress=3, total=10, updated_at=NOON)

    stalled = fragment(row, now=later(60))

    assert (stalled.state, stalled.text) == ("stalled", "No news")
    assert "No news since noon" in stalled.message
    assert stalled.interval_ms == 5000
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
    assert (after.interval_ms, after.is_finished) == (5000, False)


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
