"""The main purpose: somebody watches a bar."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from tests.browser.visitor import INTERVAL, Visitor, tag


def test_bar_moves_finishes_and_then_sends_nothing_more(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10, step="Drying kelp...")
    visitor.opens(tag("kelp"))
    visitor.sees(percent=0, state="running")

    for progress in (3, 7):
        bar.update(progress=progress)
        visitor.sees(percent=progress * 10)
    bar.finalize()
    visitor.sees(percent=100, state="succeeded")

    assert visitor.polls_during(intervals=3) == 0


def test_unchanged_bar_is_polled_and_left_alone(visitor: Visitor) -> None:
    ProgressBar("kelp", total=10)
    visitor.opens(tag("kelp"))
    statuses: list[int] = []
    visitor.page.on("response", lambda response: statuses.append(response.status))

    visitor.bar.evaluate("bar => { bar.mark = true }")
    visitor.waits_for_polls(3)

    assert set(statuses) == {204}
    assert visitor.bar.evaluate("bar => bar.mark")


@pytest.mark.parametrize("surroundings", ["<p>{}</p>", "<table><tr><td>{}</td></tr></table>"])
def test_page_with_bars_of_every_kind(visitor: Visitor, surroundings: str) -> None:
    bar = ProgressBar("kelp", total=10)
    ProgressBar("done", total=10).finalize()
    kinds = {"first": "kelp", "second": "kelp", "done": "done", "waiting": "later", "empty": ""}
    parts = [surroundings.format(f'<b id="{name}">{tag(i)}</b>') for name, i in kinds.items()]
    visitor.opens("\n".join(parts))
    tags = visitor.page.locator("p, td").evaluate_all("all => all.map(one => one.children.length)")

    bar.update(progress=5)
    visitor.sees(percent=50, within="#first")
    visitor.sees(percent=50, within="#second")
    visitor.sees(state="succeeded", within="#done")
    visitor.sees(state="waiting", within="#waiting")
    later = ProgressBar("later", total=4)
    later.update(progress=1)
    visitor.sees(percent=25, within="#waiting")
    bar.finalize()
    later.finalize()
    visitor.sees(state="succeeded", within="#first")
    visitor.sees(state="succeeded", within="#second")
    visitor.sees(state="succeeded", within="#waiting")

    assert tags == [1, 1, 1, 1, 1]
    assert visitor.page.locator("#empty").inner_html() == ""
    assert visitor.polls_during(intervals=3) == 0


def test_bar_that_a_cache_has_caught_is_there_at_its_first_poll(visitor: Visitor) -> None:
    ProgressBar("kelp", total=10).update(progress=5)
    cache.clear()
    cached = "{% load cache %}{% cache 600 kelp %}" + tag("kelp") + "{% endcache %}"
    visitor.opens("{% progressbars %}" + cached + "{% endprogressbars %}")
    visitor.sees(percent=50, state="running")

    visitor.opens(cached)
    visitor.sees(percent=50, state="running")

    sent = visitor.page.request.get(visitor.page.url).text()
    assert ("data-state" in sent, "data-percent" in sent) == (True, False)


def test_page_of_finished_bars_sends_nothing(visitor: Visitor) -> None:
    ProgressBar("done", total=10).finalize()
    TaskProgress.objects.create(task_id="by-hand", total=3, progress=3)

    visitor.opens(tag("done") + tag("by-hand"))
    visitor.polls_during(intervals=3)

    assert visitor.bar.count() == 2
    assert visitor.polls == []


@pytest.mark.parametrize("context_options", [{"reduced_motion": "no-preference"}])
def test_fill_moves_smoothly(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=100)
    bar.update(progress=10)
    visitor.opens(tag("kelp"))
    visitor.waits_for_polls(1)
    before = _fill_width(visitor)
    visitor.page.evaluate(SAMPLE_EACH_FRAME)

    bar.update(progress=60)
    visitor.sees(percent=60)
    visitor.page.wait_for_function("bar_is_still()")
    widths = visitor.page.evaluate("samples")
    after = _fill_width(visitor)

    between = {round(width) for width in widths if before + 2 < width < after - 2}
    assert after > before * 4
    assert len(between) >= 3
    assert widths == sorted(widths)


def _fill_width(visitor: Visitor) -> float:
    return visitor.bar.locator("rect").evaluate("fill => fill.getBoundingClientRect().width")


SAMPLE_EACH_FRAME = """() => {
  window.samples = [];
  const sample = () => {
    const fill = document.querySelector("[data-progress-widget] rect");
    if (fill) samples.push(fill.getBoundingClientRect().width);
    requestAnimationFrame(sample);
  };
  window.bar_is_still = () => samples.length > 30 && samples.at(-1) > samples[0] + 1
    && samples.slice(-20).every((width) => width === samples.at(-1));
  sample();
}"""


def test_end_is_told_to_the_page(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    visitor.publishes("result", "Here is your kelp.")
    visitor.opens(
        tag("kelp")
        + '<p id="result" hx-get="/pages/result/" hx-trigger="progressbar:finished from:body"></p>'
    )
    visitor.page.evaluate(
        """() => {
          window.told = [];
          document.addEventListener("progressbar:finished", (event) => told.push(event.detail));
        }"""
    )

    bar.finalize()

    expect(visitor.page.locator("#result")).to_have_text("Here is your kelp.")
    told = visitor.page.evaluate("told.map((detail) => detail.bars)")
    assert told == [[{"key": visitor.bar.get_attribute("id"), "state": "succeeded"}]]


def test_failed_task_is_shown_and_polled_no_more(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    bar.update(progress=4)
    visitor.opens(tag("kelp"))

    bar.fail("The kelp is too wet.")
    visitor.sees(percent=40, state="failed")

    expect(visitor.bar).to_contain_text("The kelp is too wet.")
    assert visitor.polls_during(intervals=3) == 0


def test_cancelled_task_is_shown_and_polled_no_more(visitor: Visitor) -> None:
    row = TaskProgress.objects.create(task_id="kelp", total=10, progress=4)
    visitor.opens(tag("kelp"))

    row.state = State.CANCELLED
    row.save()
    visitor.sees(percent=40, state="cancelled")

    expect(visitor.bar).to_contain_text("Cancelled")
    assert visitor.polls_during(intervals=3) == 0


def test_task_that_is_tried_again_is_polled_on(visitor: Visitor) -> None:
    row = TaskProgress.objects.create(task_id="kelp", total=10, attempt=1, state=State.RETRYING)
    visitor.opens(tag("kelp"))
    visitor.sees(state="retrying")

    row.state, row.attempt, row.progress = State.RUNNING, 2, 5
    row.save()

    visitor.sees(percent=50, state="running")


def test_interval_of_the_tag_is_kept(visitor: Visitor) -> None:
    interval = 10 * INTERVAL
    ProgressBar("quick", total=10)
    ProgressBar("slow", total=10)
    opened = monotonic()
    quick, slow = tag("quick"), tag("slow", interval=interval)
    visitor.opens(f'<div id="quick">{quick}</div><div id="slow">{slow}</div>')

    def sent(name: str) -> int:
        address = visitor.page.locator(f"#{name} [hx-get]").get_attribute("hx-get")
        token = address.partition("?")[0]
        return sum(token in (poll.post_data or poll.url) for poll in visitor.polls)

    while sent("slow") < 2:
        visitor.waits_for_polls()

    # A busy machine makes for fewer polls, never for more; the quick bar has some to spare. What is
    # nearly due is asked for with the others.
    assert sent("slow") <= (monotonic() - opened) / (0.9 * interval)
    assert sent("quick") > 2 * sent("slow")


@pytest.mark.parametrize("htmx", ["2"], indirect=True)
def test_page_without_the_stylesheet_says_so_under_debug(visitor: Visitor, settings: Any) -> None:
    settings.DEBUG = True
    ProgressBar("kelp", total=10).finalize()
    hint = visitor.page.locator(".progressbar__hint")

    visitor.opens(tag("kelp"))
    expect(hint).to_be_hidden()
    visitor.opens(tag("kelp"), htmx="")
    expect(hint).to_be_visible()
