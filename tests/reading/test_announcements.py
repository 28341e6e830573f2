from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from progress_widget.models import State, TaskProgress
from progress_widget.reading.announcements import Crowd, announcement, joint_announcement
from progress_widget.reading.fragments import Version, refusal
from progress_widget.reading.rendering import render
from tests.builders import KEY, absent, fragment, saved


def version_of(row: TaskProgress) -> Version:
    return fragment(row).version


# One bar.


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
    page = render(fragment(row), KEY, token="token", on_page=True)

    before = version_of(saved())
    after = fragment(row, shown=before)
    answer = render(after, KEY, token="token", announcement=announcement(after, before))

    region = BeautifulSoup(page, "html.parser").select_one("[role=status]")
    spoken = BeautifulSoup(answer, "html.parser").select_one("[hx-swap-oob]")
    assert spoken["id"] == region["id"]
    assert (region.text, spoken.text) == ("", "Complete")


def test_answer_without_a_milestone_leaves_the_region_alone():
    before, after = version_of(saved(progress=5)), fragment(saved(progress=6))

    answer = render(after, KEY, token="token", announcement=announcement(after, before))

    assert "hx-swap-oob" not in answer


# Many bars.


def said_of_many(rows: list[TaskProgress], *, size: int, live: int, **values: object) -> str:
    before = version_of(saved(progress=1))
    changes = [(fragment(row, **values), before) for row in rows]
    return joint_announcement(changes, Crowd(size, live))


def ended(count: int, state: State = State.SUCCEEDED) -> list[TaskProgress]:
    return [saved(state=state, progress=10) for _ in range(count)]


def test_few_bars_are_announced_one_by_one():
    rows = [saved(progress=5), *ended(1), saved(progress=2)]

    assert said_of_many(rows, size=3, live=3, label="Kelp") == "Kelp 50.0%; Kelp: Complete"


@pytest.mark.parametrize(
    ("live", "count", "said"),
    [
        (60, 9, ""),
        (60, 10, "50 still running"),
        (60, 15, "45 still running"),
        (50, 1, ""),
        (60, 45, "15 still running"),
        (21, 1, "20 still running"),
        (11, 2, "9 still running"),
        (6, 1, "5 still running"),
        (5, 4, ""),
        (5, 5, "All have ended"),
    ],
)
def test_many_bars_are_announced_when_few_are_left(live, count, said):
    assert said_of_many(ended(count), size=60, live=live) == said


def test_start_and_quarters_of_many_bars_are_not_announced():
    rows = [saved(progress=9), saved(state=State.RETRYING), saved(state=State.WAITING)]

    assert said_of_many(rows, size=4, live=4) == ""


def test_failures_of_many_bars_are_announced():
    one = said_of_many(ended(1, State.FAILED), size=9, live=9, label="Kelp")
    last = said_of_many(ended(2, State.FAILED), size=9, live=2, label="Kelp")

    assert one.startswith("Kelp: Failed: Something went wrong.")
    assert (last.count("Kelp: Failed"), last.endswith("; All have ended")) == (2, True)


def test_many_failures_at_once_are_counted():
    assert said_of_many(ended(4, State.FAILED), size=40, live=40) == "4 failed"


def test_refusal_of_many_bars_is_announced_once_and_no_end():
    changes = [(refusal(), version_of(saved()))] * 40

    assert joint_announcement(changes, Crowd(40, 40)) == "This progress can't be shown"
