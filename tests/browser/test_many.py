"""Many bars of one page, which ask together."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Request, Route, expect

from progress_widget.models import State, TaskProgress
from tests.browser.test_network import LOGGED, POLLS, TROUBLES, answers
from tests.browser.visitor import INTERVAL, LEAST_SECOND, Visitor, tag

MANY = 100
# The script is there before the first poll, also on a busy machine.
LONG = 5 * INTERVAL
# The default interval, at which the off-screen ones slow down.
CALM = '{{% progressbar "{}" label="Kelp" %}}'
SCRIPT = "**/progress_widget.js"
# What takes long is tried on the two that django-htmx ships, and once where htmx has no part in it.
BUNDLED = pytest.mark.parametrize("htmx", ["2", "4.0.0-beta6"], indirect=True)
ONCE = pytest.mark.parametrize("htmx", ["2"], indirect=True)
rows = TaskProgress.objects
COUNT_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longTasks.push(duration);
}).observe({type: "longtask"});
"""
SORT_ALL_THE_TIME = """() => {
  const table = document.querySelector("tbody");
  window.sorted = 0;
  setInterval(() => {
    const progress = (row) => row.querySelector("[data-state]").dataset.percent;
    const order = (one, other) => progress(other) - progress(one) || one.id.localeCompare(other.id);
    // A row that is merely appended would lose the focus, whatever the bars do.
    for (const row of [...table.rows].sort(order)) table.moveBefore(row, null);
    sorted += 1;
  }, 50);
}"""
NOTE_SEEN = """() => {
  window.wereBars = [];
  const note = ({ target }) => wereBars.push(target.matches("[hx-get]"));
  document.addEventListener("seen", note, true);
}"""
IDS = "all => all.map((one) => one.id)"
KEEP = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  return [
    all("[type=checkbox]").map((box) => box.checked),
    document.querySelector("textarea").value,
    document.activeElement.tagName,
    getSelection().toString(),
    scrollY,
    history.length,
    document.title,
  ];
}"""


def make(count: int, **values: object) -> list[str]:
    """Make running rows and return their ids."""
    ids = [f"kelp-{number}" for number in range(count)]
    usual = {"total": 100, "attempt": 1} | values
    rows.bulk_create(TaskProgress(task_id=task_id, **usual) for task_id in ids)
    return ids


def table(ids: Iterable[str], interval: float) -> str:
    lines = (
        f'<tr id="{task_id}"><td><input type="checkbox" aria-label="Choose"></td>'
        f"<td>{tag(task_id, 'label=' + repr(task_id), interval=interval)}</td></tr>"
        for task_id in ids
    )
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def change_all(visitor: Visitor, progress: int) -> None:
    rows.update(progress=progress)
    visitor.sees_all("data-percent", f"{progress}.0")


def bars_in(poll: Request) -> list[str]:
    """Return the bars that a joint poll asks for."""
    return poll.post_data.split("\n")[1:] if poll.method == "POST" else []


def test_hundred_bars_ask_at_most_four_times_a_second_and_not_after_the_end(
    visitor: Visitor,
) -> None:
    visitor.opens(table(make(MANY), interval=1))
    visitor.waits_for_polls(8)

    for progress in (10, 20):
        change_all(visitor, progress)
    rows.update(state=State.SUCCEEDED, progress=100)
    visitor.sees_all("data-state", "succeeded")

    assert visitor.polls_during(2, interval=1) == 0
    assert visitor.shortest_span_of(5) >= LEAST_SECOND
    assert {poll.method for poll in visitor.polls} == {"POST"}
    assert max(len(bars_in(poll)) for poll in visitor.polls) == 50


@pytest.mark.skipif(
    "PROGRESS_TEST_LONG_TASKS" not in os.environ,
    reason="asserts on time: needs a quiet machine, and PROGRESS_TEST_LONG_TASKS",
)
def test_hundred_bars_that_change_block_the_page_for_no_fifty_milliseconds(
    visitor: Visitor,
) -> None:
    visitor.page.add_init_script(COUNT_LONG_TASKS)
    visitor.opens(table(make(MANY), interval=1))
    visitor.waits_for_polls(2)
    visitor.page.evaluate("longTasks.length = 0")

    for progress in range(10, 60, 10):
        change_all(visitor, progress)
        visitor.page.wait_for_timeout(1000)

    assert visitor.page.evaluate("longTasks") == []


def test_reader_of_many_bars_is_left_alone(visitor: Visitor) -> None:
    ids = make(30)
    visitor.opens("<p>Choose some kelp</p><textarea></textarea>" + table(ids, INTERVAL))
    visitor.page.locator("[type=checkbox]").nth(3).check()
    visitor.page.locator("[type=checkbox]").nth(20).check()
    visitor.page.evaluate("getSelection().selectAllChildren(document.querySelector('p'))")
    visitor.page.locator("textarea").focus()
    visitor.page.keyboard.type("Dear")
    visitor.page.evaluate("scrollTo(0, 30)")
    visitor.page.evaluate(SORT_ALL_THE_TIME)
    before = visitor.page.evaluate(KEEP)
    chosen = visitor.page.locator("tr:has(:checked)").evaluate_all(IDS)

    for number, task_id in enumerate(ids):
        rows.filter(task_id=task_id).update(progress=number)
    visitor.page.wait_for_function("document.querySelector('tr').id === 'kelp-29'")
    visitor.page.keyboard.type(" kelp")
    rows.update(state=State.SUCCEEDED, progress=100)
    visitor.sees_all("data-state", "succeeded")

    after = visitor.page.evaluate(KEEP)
    assert sorted(after.pop(0)) == sorted(before.pop(0))
    assert before[0] == "Dear"
    assert after[0] == "Dear kelp"
    assert after[1:] == before[1:]
    assert visitor.page.evaluate("sorted") > 2
    still = visitor.page.locator("tr:has(:checked)").evaluate_all(IDS)
    assert sorted(still) == sorted(chosen) == ["kelp-20", "kelp-3"]


def test_each_bar_asks_for_itself_without_the_script(visitor: Visitor) -> None:
    visitor.expects("Failed to load resource", "CSP violation")
    visitor.page.route(SCRIPT, lambda route: route.abort())
    ids = make(5)
    visitor.opens(table(ids, INTERVAL))

    rows.update(progress=5)
    visitor.sees_all("data-percent", "5.0")
    rows.update(state=State.SUCCEEDED)
    visitor.sees_all("data-state", "succeeded")

    assert {poll.method for poll in visitor.polls} == {"GET"}
    assert visitor.polls_during(intervals=3) == 0


def test_each_bar_asks_for_itself_without_the_global_htmx(visitor: Visitor) -> None:
    ids = make(3)
    visitor.opens(table(ids, INTERVAL))
    visitor.page.evaluate("window.htmx = undefined")
    visitor.waits_for_polls(1)  # one may be on its way
    before = len(visitor.polls)

    rows.update(progress=5)
    visitor.sees_all("data-percent", "5.0")

    assert "GET" in {poll.method for poll in visitor.polls[before:]}


def test_bars_finish_one_after_another_and_others_join(visitor: Visitor) -> None:
    ids = make(4)
    visitor.publishes("more", tag("kelp-3"))
    visitor.opens(
        table(ids[:3], INTERVAL)
        + '<p hx-get="/pages/more/" hx-trigger="more from:body" hx-swap="innerHTML"></p>'
    )
    visitor.waits_for_polls(1)

    rows.filter(task_id="kelp-0").update(state=State.SUCCEEDED)
    visitor.sees(state="succeeded", within="#kelp-0")
    visitor.waits_for_polls(2)
    without_the_first = len(bars_in(visitor.polls[-1]))
    visitor.page.evaluate("htmx.trigger(document.body, 'more')")
    expect(visitor.bar).to_have_count(4)
    while len(bars_in(visitor.polls[-1])) != 3:
        visitor.waits_for_polls()
    rows.update(state=State.SUCCEEDED)
    visitor.sees_all("data-state", "succeeded")

    assert without_the_first == 2
    assert visitor.polls_during(intervals=3) == 0


def test_many_bars_stay_and_recover_after_each_kind_of_error(visitor: Visitor) -> None:
    visitor.expects(*LOGGED)
    ids = make(10)
    visitor.opens(table(ids, LONG))

    for progress, trouble in enumerate(TROUBLES, 1):
        visitor.page.route(POLLS, trouble)
        visitor.waits_for_polls(1)
        rows.update(progress=progress)
        visitor.waits_for_polls(2)
        assert visitor.bar.count() == 10
        visitor.page.unroute(POLLS)
        visitor.sees_all("data-percent", f"{progress}.0")
    rows.update(state=State.SUCCEEDED)
    visitor.sees_all("data-state", "succeeded")

    assert visitor.page.title() == "Host page"
    assert visitor.polls_during(intervals=3) == 0


@ONCE
@pytest.mark.parametrize("trouble", [answers(500), lambda route: route.abort()])
def test_trouble_does_not_multiply_the_requests(visitor: Visitor, trouble: Any) -> None:
    visitor.expects(*LOGGED)
    ids = make(20)
    visitor.page.route(POLLS, trouble)
    visitor.opens(table(ids, LONG))

    visitor.waits_for_polls(6)

    assert min(visitor.pauses) >= LEAST_SECOND * LONG
    assert {poll.method for poll in visitor.polls} == {"POST"}


def test_many_bars_stay_and_recover_after_being_offline(visitor: Visitor) -> None:
    visitor.expects(*LOGGED)
    ids = make(10)
    visitor.opens(table(ids, INTERVAL))
    visitor.waits_for_polls(1)

    visitor.page.context.set_offline(True)
    visitor.waits_for_polls(3)
    rows.update(progress=6)
    visitor.page.context.set_offline(False)

    visitor.sees_all("data-percent", "6.0")
    assert visitor.most_at_once == 1


def test_answer_that_hangs_holds_the_bars_for_four_seconds(visitor: Visitor) -> None:
    ids = make(10)
    hung: list[Route] = []
    visitor.page.route(POLLS, lambda route: hung.append(route), times=1)
    visitor.opens(table(ids, LONG))

    rows.update(progress=6)
    visitor.sees_all("data-percent", "6.0")

    assert 4_000 <= visitor.pauses[0] < 9_000
    assert len(hung) == 1
    assert visitor.most_at_once == 1


def test_bar_that_is_removed_while_it_asks_holds_no_other(visitor: Visitor) -> None:
    ids = make(5)
    held: list[Route] = []
    visitor.opens(table(ids, INTERVAL))
    visitor.waits_for_polls(1)
    visitor.page.route(POLLS, lambda route: held.append(route), times=1)

    rows.update(progress=6)
    while not held:
        visitor.page.evaluate("new Promise(requestAnimationFrame)")
    visitor.page.locator("#kelp-0").evaluate("row => row.remove()")
    held[0].continue_()

    visitor.sees_all("data-percent", "6.0")
    expect(visitor.bar).to_have_count(4)
    assert visitor.most_at_once == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413])
def test_bars_ask_for_themselves_where_a_joint_request_is_refused(
    visitor: Visitor, status: int
) -> None:
    visitor.expects(*LOGGED)
    ids = make(3)

    def refuse(route: Route) -> None:
        route.fulfill(status=status) if route.request.method == "POST" else route.continue_()

    visitor.page.route(POLLS, refuse)
    visitor.opens(table(ids, LONG))

    rows.update(progress=6)
    visitor.sees_all("data-percent", "6.0")

    assert [poll.method for poll in visitor.polls].count("POST") == 1


def test_login_page_in_place_of_an_answer_changes_nothing(visitor: Visitor) -> None:
    ids = make(3)
    page = '<h1 id="title">Log in</h1><p id="kelp-0" role="status">Please</p>'
    visitor.page.route(
        POLLS, lambda route: route.fulfill(status=200, body=page, content_type="text/html")
    )
    visitor.opens('<h1 id="title">Kelp</h1>' + table(ids, LONG))
    visitor.waits_for_polls(3)
    title = visitor.page.locator("#title").inner_text()
    visitor.page.unroute(POLLS)

    rows.update(progress=6)
    visitor.sees_all("data-percent", "6.0")

    assert title == "Kelp"


ONE, TWO = {"Retry-After": "1"}, {"Retry-After": "2"}


# One bar is answered through htmx, more of them are not.
@pytest.mark.parametrize(
    ("htmx", "status", "headers", "count", "seconds"),
    [
        ("2", 429, {}, 3, 5),
        ("2", 503, {}, 1, 5),
        ("4.0.0-beta6", 503, {}, 1, 5),
        ("2", 429, ONE, 1, 1),
        ("4.0.0-beta6", 429, ONE, 1, 1),
        ("4.0.1", 429, ONE, 1, 1),
        ("2", 503, TWO, 3, 2),
        ("2", 204, ONE, 1, 1),
        ("4.0.0-beta6", 204, ONE, 1, 1),
        ("4.0.1", 204, ONE, 1, 1),
        ("2", 204, TWO, 3, 2),
    ],
    indirect=["htmx"],
)
def test_page_waits_as_it_is_told(
    visitor: Visitor, status: int, headers: dict[str, str], count: int, seconds: float
) -> None:
    visitor.expects(*LOGGED)
    ids = make(count)
    visitor.page.route(POLLS, lambda route: route.fulfill(status=status, headers=headers), times=1)
    visitor.opens(table(ids, LONG))

    rows.update(progress=6)
    visitor.sees_all("data-percent", "6.0")

    assert visitor.pauses[0] >= 1000 * seconds


@BUNDLED
def test_page_waits_until_the_moment_that_it_is_told(visitor: Visitor) -> None:
    visitor.expects(*LOGGED)
    ids = make(2)
    headers = {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}
    visitor.page.route(POLLS, lambda route: route.fulfill(status=503, headers=headers))
    visitor.opens(table(ids, LONG))
    visitor.waits_for_polls(1 - len(visitor.polls))

    assert visitor.polls_during(3, interval=LONG) == 0


# Out of sight.

FAR = '<div style="height: 5000px"></div>'
PLACES = {
    "below": (FAR + "{}", "bar => bar.scrollIntoView()"),
    "details": (
        "<details><summary>More</summary>{}</details>",
        "bar => bar.closest('details').open = true",
    ),
    "hidden": ("<div hidden>{}</div>", "bar => { bar.closest('[hidden]').hidden = false }"),
}


@pytest.mark.parametrize(
    ("place", "debug"), [*((place, False) for place in PLACES), ("hidden", True)]
)
def test_bar_out_of_sight_asks_less_often_and_at_once_when_it_is_seen(
    visitor: Visitor, place: str, debug: bool, settings: Any
) -> None:
    settings.DEBUG = debug  # then a wrapper has more in it
    settings.PROGRESS_WIDGET_POLL_INTERVAL = 2 * INTERVAL
    make(2)
    surroundings, reveal = PLACES[place]
    near, far = (CALM.format(f"kelp-{number}") for number in range(2))
    visitor.opens(f'<p id="near">{near}</p>' + surroundings.format(f'<p id="far">{far}</p>'))
    bar = visitor.page.locator("#far [hx-get]")
    token = bar.get_attribute("hx-get").partition("?")[0]

    def asked_for(polls: list[Request]) -> list[bool]:
        return [token in poll.url or any(token in url for url in bars_in(poll)) for poll in polls]

    visitor.waits_for_polls(8)
    before = asked_for(visitor.polls)
    for progress in range(7, 10):  # on a slow machine, its five seconds may be over just now
        rows.update(progress=progress)
        visitor.sees(percent=progress, within="#near")
        has_heard = bar.get_attribute("data-percent") == f"{progress}.0"
        if not has_heard:
            break
    seen = len(visitor.polls)
    visitor.page.evaluate(NOTE_SEEN)
    visitor.page.locator("#far").evaluate(reveal)
    visitor.sees(percent=progress, within="#far")

    assert visitor.page.evaluate("wereBars") == [True]
    assert before.count(True) <= 2
    assert not has_heard
    assert asked_for(visitor.polls[seen:])[:5].count(True) >= 1


@BUNDLED
def test_bars_that_have_come_into_view_one_by_one_fall_into_step(
    visitor: Visitor, settings: Any
) -> None:
    settings.PROGRESS_WIDGET_POLL_INTERVAL = LONG
    lines = [f'<p style="height: 400px">{CALM.format(task_id)}</p>' for task_id in make(12)]
    visitor.opens("".join(lines))
    visitor.waits_for_polls(1)
    visitor.page.set_viewport_size({"width": 800, "height": 5000})
    visitor.page.set_viewport_size({"width": 800, "height": 400})
    for number in range(12):
        visitor.page.locator("p").nth(number).evaluate("line => line.scrollIntoView()")
        visitor.page.wait_for_timeout(50)
    visitor.page.set_viewport_size({"width": 800, "height": 5000})
    visitor.waits_for_polls(12)

    pauses = visitor.pauses[-4:]

    # In step, there is one poll an interval; otherwise, there would be many.
    assert min(pauses) >= 400 * LONG


def test_interval_of_the_tag_is_kept_out_of_sight(visitor: Visitor) -> None:
    make(2)
    visitor.opens(tag("kelp-0") + FAR + tag("kelp-1"))

    visitor.waits_for_polls(4)

    assert {len(bars_in(poll)) for poll in visitor.polls} == {2}


# What is said and told.


OBSERVE_REGIONS = """() => {
  window.announced = [];
  for (const region of document.querySelectorAll("[data-progress-widget] > [role=status]")) {
    new MutationObserver(() => {
      if (region.textContent) announced.push(region.textContent);
    }).observe(region, {subtree: true, childList: true, characterData: true});
  }
}"""


def test_screen_reader_hears_of_many_bars_what_matters(visitor: Visitor) -> None:
    ids = make(30)
    visitor.opens(table(ids, INTERVAL))
    visitor.page.evaluate(OBSERVE_REGIONS)
    visitor.waits_for_polls(1)

    for progress in range(10, 100, 10):
        rows.update(progress=progress)
        visitor.sees_all("data-percent", f"{progress}.0")
    ends = iter(ids)
    for left in (25, 20, 12, 9, 6, 4, 1):
        while rows.filter(state=State.RUNNING).count() > left:
            rows.filter(task_id=next(ends)).update(state=State.SUCCEEDED)
        expect(visitor.page.locator("[data-state=succeeded]")).to_have_count(30 - left)
    rows.filter(state=State.RUNNING).update(state=State.FAILED, message="Too wet.")
    expect(visitor.page.locator("[data-state=failed]")).to_have_count(1)

    heard = visitor.page.evaluate("announced")
    assert len(heard) <= 8
    assert heard[-1].startswith("kelp-29: Failed: Too wet.")
    numbers = [int(text.split()[0]) for text in heard[:-1]]
    assert all(before > after for before, after in pairwise(numbers))
    assert {text.partition(" ")[2] for text in heard[:-1]} == {"still running"}


def test_ends_of_many_bars_are_told_to_the_page_once(visitor: Visitor) -> None:
    ids = make(12)
    visitor.opens(table(ids, INTERVAL))
    visitor.page.evaluate(
        """() => {
          window.told = [];
          document.body.addEventListener("progressbar:finished", (event) => {
            told.push(event.detail.bars);
          });
        }"""
    )
    visitor.waits_for_polls(1)

    rows.filter(task_id__in=ids[:2]).update(state=State.FAILED)
    rows.exclude(task_id__in=ids[:2]).update(state=State.SUCCEEDED)
    expect(visitor.page.locator("[hx-get]")).to_have_count(0)

    told = visitor.page.evaluate("told")
    bars = [bar for bars in told for bar in bars]
    assert len(told) <= 2
    assert [bar["state"] for bar in bars].count("failed") == 2
    assert {bar["key"] for bar in bars} == set(visitor.bar.evaluate_all(IDS))
