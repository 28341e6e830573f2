"""Bars are accessible to everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.utils import timezone
from playwright.sync_api import expect

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from progress_widget.reading import fragments
from tests.browser.visitor import MANY_BARS_INTERVAL, Visitor, tag

ONE_HTMX = pytest.mark.parametrize("htmx", ["2"], indirect=True)
LOOKS: list[dict[str, Any]] = [
    {"color_scheme": scheme, "forced_colors": forced}
    for scheme in ("light", "dark")
    for forced in ("none", "active")
]
# With an explicit background: axe takes a page that sets none for a white one.
BOTH_SCHEMES = """<style>
:root { color-scheme: light dark; background: Canvas; color: CanvasText }
</style>"""
# What a page shows, by the id of the element that shows it.
STATES = {str(state): str(state) for state in State} | {
    "indeterminate": "running",
    "cancelling": "cancelling",
    "late": "waiting",
    "stalled": "stalled",
    "gone": "unknown",
    "refused": "refused",
}
# A canvas turns any notation of a colour into red, green, blue and opacity, 0 to 255.
COLOURS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const pixel = (colour, opacity = 1) => {
    canvas.fillStyle = "#123456";
    canvas.fillStyle = colour;
    if (canvas.fillStyle === "#123456") throw new Error(`not a colour: ${colour}`);
    canvas.globalAlpha = opacity;
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const TEXTS = ["label", "percent", "text", "numbers", "message"];
  const inspect = (bar) => {
    const style = (part) => getComputedStyle(bar.querySelector(`.progressbar__${part}`));
    const track = getComputedStyle(bar.querySelector(".progressbar__meter svg"));
    const fill = style("fill");
    const tone = getComputedStyle(bar.querySelector(".progressbar__foot"), "::before");
    const icon = pixel(tone.backgroundColor);
    const marks = {};
    if (parseFloat(fill.width)) marks.fill = pixel(fill.fill, fill.opacity * track.opacity);
    if (track.backgroundImage !== "none") marks.dots = pixel(tone.backgroundColor, track.opacity);
    return {
      name: bar.closest("[id]:not([data-state])").id,
      texts: Object.fromEntries(
        TEXTS.filter((part) => bar.querySelector(`.progressbar__${part}`))
          .map((part) => [part, pixel(style(part).color)])
      ),
      shapes: {edge: pixel(style("meter").borderTopColor), icon},
      marks,
      meter: pixel(style("meter").backgroundColor),
    };
  };
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.backgroundColor = "Canvas";
  const page = pixel(getComputedStyle(probe).backgroundColor);
  probe.remove();
  return {page, bars: [...document.querySelectorAll("[data-state]")].map(inspect)};
}"""
# A transition that has begun goes on even if reduced motion is requested.
FINISH_TRANSITIONS = """() => document.getAnimations()
  .filter((each) => each.effect.getComputedTiming().endTime < Infinity)
  .forEach((each) => each.finish())"""
OBSERVE_ANNOUNCEMENTS = """() => {
  window.announced = [];
  const region = document.querySelector("[role=status]");
  new MutationObserver(() => {
    const text = region.textContent.trim();
    if (text && text !== announced.at(-1)) announced.push(text);
  }).observe(region, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture
def states(visitor: Visitor, settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Bring every state to a page through polls; return the states by the ids of their bars."""
    for name in STATES:
        TaskProgress.objects.create(task_id=name, total=10, label=f"Task that is {name}")
    bars = "".join(
        f'<div id="{name}">{tag(name, interval=MANY_BARS_INTERVAL)}</div>' for name in STATES
    )
    # From the start: a transition that has begun goes on, with colours that are not to be checked.
    visitor.page.emulate_media(reduced_motion="reduce")
    visitor.opens(f"<main><h1>Tasks</h1>{bars}</main>", head=BOTH_SCHEMES)

    rows = TaskProgress.objects
    for state in State:
        rows.filter(task_id=state).update(state=state, progress=6, message="No kelp.")
    rows.filter(task_id="indeterminate").update(total=None, progress=4)
    long_ago = timezone.now() - timedelta(hours=1)
    rows.filter(task_id="late").update(state=State.WAITING, created_at=long_ago)
    rows.filter(task_id="cancelling").update(cancel_asked_at=timezone.now(), progress=6)
    rows.filter(task_id="gone").delete()
    rows.filter(task_id="stalled").update(progress=6)
    # Not every database has a heartbeat.
    monkeypatch.setattr(fragments, "is_stalled", lambda row, moment: row.task_id == "stalled")
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.browser.views.may_view"

    for name, state in STATES.items():
        visitor.sees(state=state, within=f'[id="{name}"]')
    expect(visitor.page.locator("#late")).to_contain_text("Waiting since")
    expect(visitor.page.locator("#indeterminate [aria-valuenow]")).to_have_count(0)
    return STATES


def test_axe_finds_nothing_in_any_state(
    visitor: Visitor, states: dict[str, str], sums: Counter[str]
) -> None:
    visitor.page.evaluate(AXE_SCRIPT)

    for look in LOOKS:
        visitor.page.emulate_media(**look, reduced_motion="reduce")
        found = visitor.page.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")

        sums["axe"] += len(found["violations"])
        assert told(found["violations"]) == [], look
        assert told(found["incomplete"]) == [], look
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}, look


@ONE_HTMX
def test_contrast_is_enough_in_every_state(visitor: Visitor, states: dict[str, str]) -> None:
    too_low = {}
    for look in LOOKS:
        visitor.page.emulate_media(**look, reduced_motion="reduce")
        visitor.page.evaluate(FINISH_TRANSITIONS)
        seen = visitor.page.evaluate(COLOURS)

        assert {bar["name"] for bar in seen["bars"]} == set(states)
        for bar in seen["bars"]:
            for part, least, contrast in contrasts(bar, seen["page"]):
                if contrast < least:
                    too_low[bar["name"], part, str(look)] = round(contrast, 2)

    assert too_low == {}


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
@pytest.mark.parametrize(
    "context_options",
    [
        {"viewport": {"width": 320, "height": 600}},
        {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    ],
    ids=["narrow", "at 200 %"],
)
def test_narrow_or_enlarged_page_need_not_be_scrolled_sideways(
    visitor: Visitor, context_options: dict[str, Any]
) -> None:
    endless = "Riesentangtrocknungsanlagenbetriebsstundenzaehler" * 3
    for state in State:
        TaskProgress.objects.create(
            task_id=state, state=state, total=10**15, progress=10**14, step=endless, message=endless
        )

    visitor.opens("".join(tag(state, f"label='{endless}'") for state in State))

    width = "document.documentElement.scrollWidth"
    assert visitor.page.evaluate(width) == context_options["viewport"]["width"]
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


def told(findings: list[dict[str, Any]]) -> list[str]:
    """Return what axe found, and where."""
    return [
        f"{finding['id']}: {node['target']}" for finding in findings for node in finding["nodes"]
    ]


def contrasts(bar: dict[str, Any], page: list[int]) -> Iterator[tuple[str, float, float]]:
    """Yield each visible part of a bar with the contrast that it needs and the one that it has."""
    meter = over(bar["meter"], page)
    for part, colour in bar["texts"].items():
        yield part, 4.5, contrast(over(colour, page), page)
    for part, colour in bar["shapes"].items():
        yield part, 3, contrast(over(colour, page), page)
    for part, colour in bar["marks"].items():
        yield f"{part} on track", 3, contrast(over(colour, meter), meter)
        yield f"{part} on page", 3, contrast(over(colour, page), page)


def over(front: list[float], back: list[float]) -> list[float]:
    """Return the colour of a more or less opaque colour on top of another."""
    opacity = front[3] / 255
    return [
        opacity * above + (1 - opacity) * below for above, below in zip(front, back, strict=True)
    ]


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast of two opaque colours, as WCAG defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: list[float]) -> float:
    parts = [part / 255 for part in colour[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
