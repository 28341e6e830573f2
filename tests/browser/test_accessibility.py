"""Bars are for everybody."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from tests.browser.visitor import Visitor, tag

ONE_HTMX = pytest.mark.parametrize("htmx", ["2"], indirect=True)
LOOKS: list[dict[str, Any]] = [
    {"color_scheme": scheme, "forced_colors": forced}
    for scheme in ("light", "dark")
    for forced in ("none", "active")
]
BOTH_SCHEMES = "<style>:root { color-scheme: light dark }</style>"
OBSERVE_ANNOUNCEMENTS = """() => {
  window.announced = [];
  const region = document.querySelector("[role=status]");
  new MutationObserver(() => {
    const text = region.textContent.trim();
    if (text && text !== announced.at(-1)) announced.push(text);
  }).observe(region, {subtree: true, childList: true, characterData: true});
}"""


def test_axe_finds_nothing_in_any_state(visitor: Visitor, sums: Counter[str]) -> None:
    for state in State:
        TaskProgress.objects.create(task_id=state, total=10, label=f"Task that is {state}")
    TaskProgress.objects.create(task_id="unknown-total", total=None, progress=4)
    TaskProgress.objects.create(task_id="gone", total=10)
    bars = "".join(f'<div id="{state}">{tag(state)}</div>' for state in State)
    bars += (
        f'<div id="unknown-total">{tag("unknown-total")}</div><div id="gone">{tag("gone")}</div>'
    )
    visitor.opens(f"<main><h1>Tasks</h1>{bars}</main>", head=BOTH_SCHEMES)

    for state in State:
        TaskProgress.objects.filter(task_id=state).update(
            state=state, progress=6, message="No kelp."
        )
        visitor.sees(state=state, within=f'[id="{state}"]')
    TaskProgress.objects.filter(task_id="gone").delete()
    visitor.sees(state="unknown", within="#gone")
    for look in LOOKS:
        visitor.page.emulate_media(**look, reduced_motion="reduce")
        found = Axe().run(visitor.page)

        sums["axe"] += found.violations_count
        assert found.violations_count == 0, f"{look}: {found.generate_snapshot()}"


def test_name_and_value_are_told(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=8, step="Drying")
    ProgressBar("open", total=None)
    visitor.opens(
        f'<p id="named">{tag("kelp", "label=" + repr("Kelp"))}</p><p id="open">{tag("open")}</p>'
    )
    meter = visitor.page.locator("#named [role=progressbar]")
    open_meter = visitor.page.locator("#open [role=progressbar]")

    bar.update(progress=3)
    visitor.sees(percent=37.5, within="#named")

    expect(meter).to_have_accessible_name("Kelp")
    expect(meter).to_have_attribute("aria-valuenow", "37.5")
    expect(meter).to_have_attribute("aria-valuetext", "37.5%, Drying")
    expect(open_meter).to_have_accessible_name("Progress")
    assert open_meter.get_attribute("aria-valuenow") is None


def test_screen_reader_hears_of_start_quarters_and_end_only(visitor: Visitor) -> None:
    visitor.opens(tag("kelp", "label=" + repr("Kelp")))
    visitor.page.evaluate(OBSERVE_ANNOUNCEMENTS)

    bar = ProgressBar("kelp", total=20)
    visitor.sees(percent=0)
    for progress in (2, 4, 5, 6, 9, 10, 12, 15, 18):
        bar.update(progress=progress)
        visitor.sees(percent=progress * 5)
    bar.finalize()
    visitor.sees(state="succeeded")

    visitor.page.wait_for_function("announced.at(-1).includes('Complete')")
    assert visitor.page.evaluate("announced") == [
        "Kelp: Running",
        "Kelp 25.0%",
        "Kelp 50.0%",
        "Kelp 75.0%",
        "Kelp: Complete",
    ]


def test_screen_reader_hears_of_trouble(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=20)
    visitor.opens(tag("kelp", "label=" + repr("Kelp")))
    visitor.page.evaluate(OBSERVE_ANNOUNCEMENTS)

    bar.fail("The kelp is too wet.")
    visitor.sees(state="failed")

    visitor.page.wait_for_function("announced.length")
    assert visitor.page.evaluate("announced") == ["Kelp: Failed: The kelp is too wet."]


@pytest.mark.parametrize(
    ("context_options", "moving"),
    [({"reduced_motion": "reduce"}, False), ({"reduced_motion": "no-preference"}, True)],
    ids=["reduced", "usual"],
)
def test_motion_is_reduced_on_request(visitor: Visitor, moving: bool) -> None:
    bar = ProgressBar("kelp", total=100)
    visitor.opens(tag("kelp") + tag("waiting"))
    expect(visitor.bar).to_have_count(2)
    visitor.page.evaluate(
        """() => {
          window.moved = 0;
          document.addEventListener("transitionrun", () => { moved += 1 });
        }"""
    )

    bar.update(progress=60)
    expect(visitor.bar.first).to_have_attribute("data-percent", "60.0")
    visitor.waits_for_polls(3)

    animations = visitor.page.evaluate(
        "document.getAnimations().filter((one) => one instanceof CSSAnimation).length"
    )
    assert bool(animations) == moving
    assert bool(visitor.page.evaluate("moved")) == moving


@ONE_HTMX
@pytest.mark.parametrize(
    ("direction", "side", "other"), [("ltr", "left", "right"), ("rtl", "right", "left")]
)
def test_fill_starts_where_reading_starts(
    visitor: Visitor, direction: str, side: str, other: str
) -> None:
    bar = ProgressBar("kelp", total=10)
    bar.update(progress=4)

    visitor.opens(tag("kelp"), html=f'lang="en" dir="{direction}"')

    edges = "part => { const {left, right} = part.getBoundingClientRect(); return {left, right} }"
    fill = visitor.bar.locator("rect").evaluate(edges)
    track = visitor.bar.locator("[role=progressbar]").evaluate(edges)
    assert abs(fill[side] - track[side]) <= 2
    assert abs(fill[other] - track[other]) > 100


@ONE_HTMX
@pytest.mark.parametrize("context_options", [{"viewport": {"width": 320, "height": 600}}])
def test_narrow_page_need_not_be_scrolled_sideways(visitor: Visitor) -> None:
    endless = "Riesentangtrocknungsanlagenbetriebsstundenzaehler" * 3
    for state in State:
        TaskProgress.objects.create(
            task_id=state, state=state, total=10**15, progress=10**14, step=endless, message=endless
        )

    visitor.opens("".join(tag(state, f"label='{endless}'") for state in State))

    width = "document.documentElement.scrollWidth"
    assert visitor.page.evaluate(width) == 320
    assert visitor.page.get_by_text(endless).first.is_visible()


@ONE_HTMX
@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_without_javascript_there_is_the_bar_and_a_link(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    bar.update(progress=4)
    visitor.opens(tag("kelp"))
    visitor.sees(percent=40)

    bar.update(progress=6)
    visitor.page.get_by_role("link", name="Refresh").click()
    visitor.sees(percent=60)
    bar.finalize()
    visitor.page.get_by_role("link", name="Refresh").click()
    visitor.sees(state="succeeded")

    expect(visitor.page.get_by_role("link", name="Refresh")).to_have_count(0)
    assert visitor.polls == []
