"""The tray: what a user has started, on any page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth import get_user_model
from django.utils import timezone
from playwright.sync_api import Locator, expect

from progress_widget.models import State, TaskProgress
from tests.browser.test_accessibility import BOTH_SCHEMES, LOOKS, ONE_HTMX, told
from tests.browser.test_csp import POLICIES
from tests.browser.test_hostile import attributes_for, handed_down
from tests.browser.test_network import LOGGED, answers
from tests.browser.visitor import INTERVAL, Visitor, tag

TRAY = "{% progress_tray %}"
# The answer replaces what has asked for it, as that to a form often does.
START = """
<main><h1>Kelp</h1>
<button hx-get="/pages/start/" hx-target="this" hx-swap="outerHTML">Start</button></main>"""
WITHIN = "[data-progress-tray]"
rows = TaskProgress.objects


@pytest.fixture
def start(visitor: Visitor, settings: Any) -> Callable[..., TaskProgress]:
    """Log somebody in, and return what starts a task for them without telling their page."""
    settings.PROGRESS_WIDGET_POLL_INTERVAL = INTERVAL
    # Chromium notes that htmx 4 has been faster: the focus is where it belongs.
    visitor.expects("^info: Autofocus processing was blocked")
    user = get_user_model().objects.create_user("otter")
    visitor.logs_in(user)
    visitor.publishes("start", "Started", event="progressbar:started")

    def start(task_id: str = "kelp", **values: Any) -> TaskProgress:
        known = {"task_id": task_id, "total": 10, "owner": user, "label": f"Task {task_id}"}
        return rows.create(**known | values)

    return start


def box(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("region", name="Your tasks")


def button(visitor: Visitor, name: str = "Dismiss Task kelp") -> Locator:
    return visitor.page.get_by_role("button", name=name, exact=True)


def link(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("link", name="Open Task kelp", exact=True)


def place(visitor: Visitor) -> str:
    """Return how the tray is positioned, which its stylesheet says."""
    return str(visitor.page.locator(WITHIN).evaluate("tray => getComputedStyle(tray).position"))


def boosted(visitor: Visitor) -> str:
    return 'hx-boost="true"' if visitor.is_on_htmx_2 else 'hx-boost:inherited="true"'


@pytest.mark.parametrize("policy", POLICIES)
def test_task_started_by_htmx_fills_the_tray_until_it_is_dismissed(
    visitor: Visitor, start: Callable[..., TaskProgress], policy: str
) -> None:
    visitor.opens(START + TRAY, policy=POLICIES[policy])
    assert visitor.polls_during(intervals=3) == 0
    expect(box(visitor)).to_have_count(0)

    start(link="/pages/start/")
    visitor.page.get_by_role("button", name="Start").click()
    visitor.sees(percent=0, state="running", within=WITHIN)
    expect(button(visitor)).to_have_count(0)
    expect(link(visitor)).to_have_count(0)
    rows.update(progress=5)
    visitor.sees(percent=50, within=WITHIN)
    rows.update(state=State.SUCCEEDED, progress=10)
    visitor.sees(state="succeeded", within=WITHIN)
    expect(link(visitor)).to_be_visible()
    assert place(visitor) == "fixed"
    button(visitor).click()
    expect(box(visitor)).to_have_count(0)

    assert visitor.polls_during(intervals=3) == 0
    assert len(visitor.documents) == 1
    assert visitor.complaints == []


def test_bars_of_page_and_tray_ask_in_one_request(
    visitor: Visitor, start: Callable[..., TaskProgress]
) -> None:
    start("dry")
    start("pack")

    visitor.opens(tag("dry") + TRAY)
    visitor.waits_for_polls(3)

    assert {poll.method for poll in visitor.polls} == {"POST"}
    assert any((poll.post_data or "").count("\n") == 3 for poll in visitor.polls)
    assert visitor.most_at_once == 1


def test_second_task_moves_up_when_the_first_of_six_is_dismissed(
    visitor: Visitor, start: Callable[..., TaskProgress]
) -> None:
    for number in range(6):
        start(f"{number}", state=State.SUCCEEDED)
    visitor.opens(TRAY)
    expect(visitor.page.get_by_role("listitem")).to_have_count(5)
    expect(button(visitor, "Dismiss Task 0")).to_have_count(0)

    button(visitor, "Dismiss Task 5").click()

    expect(button(visitor, "Dismiss Task 0")).to_be_visible()
    expect(visitor.page.get_by_role("listitem")).to_have_count(5)


@pytest.mark.parametrize("policy", POLICIES)
def test_tray_goes_on_after_boosted_navigation(
    visitor: Visitor, start: Callable[..., TaskProgress], policy: str
) -> None:
    options = {"attributes": boosted(visitor), "policy": POLICIES[policy]}
    visitor.publishes("next", f'<p id="next">Next</p>{START}{TRAY}', htmx=visitor.htmx, **options)
    start("dry")
    visitor.opens(f'<a href="/pages/next/">On</a>{TRAY}', **options)
    visitor.sees(percent=0, within=WITHIN)

    visitor.page.get_by_role("link", name="On", exact=True).click()
    visitor.page.wait_for_selector("#next")
    rows.update(progress=5)
    visitor.sees(percent=50, within=WITHIN)
    rows.update(state=State.FAILED)
    button(visitor, "Dismiss Task dry").click()
    expect(box(visitor)).to_have_count(0)
    start("pack")
    visitor.page.get_by_role("button", name="Start").click()
    expect(box(visitor)).to_contain_text("Task pack")

    assert len([poll for poll in visitor.polls if "/tray/" in poll.url]) == 1
    assert place(visitor) == "fixed"
    assert len(visitor.documents) == 1
    assert visitor.complaints == []


def test_attributes_of_the_body_do_the_tray_no_harm(
    visitor: Visitor, start: Callable[..., TaskProgress]
) -> None:
    attributes = handed_down(attributes_for(visitor), visitor)
    visitor.opens(f'<p id="target">Host</p>{TRAY}', attributes=attributes)
    address = visitor.page.url

    start(link="/pages/start/")
    visitor.page.evaluate("htmx.trigger(document.body, 'progressbar:started')")
    visitor.sees(percent=0, within=WITHIN)
    rows.update(state=State.SUCCEEDED, progress=10)
    button(visitor).click()
    expect(box(visitor)).to_have_count(0)

    assert visitor.dialogs == []
    assert visitor.page.url == address
    assert not any("sesame" in poll.url + (poll.post_data or "") for poll in visitor.polls)
    expect(visitor.page.locator("#target")).to_have_text("Host")


@pytest.mark.parametrize("status", [403, 500])
def test_tray_stays_as_it_is_after_an_error(
    visitor: Visitor, start: Callable[..., TaskProgress], status: int
) -> None:
    visitor.expects(*LOGGED)
    start(state=State.SUCCEEDED)
    visitor.opens(START + TRAY)
    visitor.page.route("**/progress/**", answers(status))

    for name in ("Start", "Dismiss Task kelp"):
        with visitor.page.expect_response("**/progress/**"):
            button(visitor, name).click()
        visitor.page.wait_for_timeout(100)
        expect(button(visitor)).to_be_visible()
    visitor.page.unroute("**/progress/**")
    button(visitor).click()

    expect(box(visitor)).to_have_count(0)
    assert visitor.page.title() == "Host page"


def test_silent_task_can_be_dismissed_and_has_no_link(
    visitor: Visitor, start: Callable[..., TaskProgress], settings: Any
) -> None:
    settings.PROGRESS_WIDGET_STALLED_AFTER = settings.PROGRESS_WIDGET_SILENT_AFTER = 0.2
    start(link="/pages/start/")
    visitor.opens(TRAY)

    visitor.sees(state="stalled", within=WITHIN)
    expect(link(visitor)).to_have_count(0)
    button(visitor).click()

    expect(box(visitor)).to_have_count(0)


@ONE_HTMX
def test_link_leads_to_the_result_and_is_not_boosted(
    visitor: Visitor, start: Callable[..., TaskProgress]
) -> None:
    visitor.publishes("result", "<h1>Result</h1>", htmx=visitor.htmx)
    start(state=State.SUCCEEDED, link="/pages/result/")
    visitor.opens(TRAY, attributes=boosted(visitor))

    link(visitor).click()

    expect(visitor.page.get_by_role("heading", name="Result")).to_be_visible()
    assert len(visitor.documents) == 2


def test_tray_is_used_by_keyboard(visitor: Visitor, start: Callable[..., TaskProgress]) -> None:
    start("dry", state=State.SUCCEEDED)
    start("pack", state=State.SUCCEEDED)
    visitor.opens(START + TRAY)
    press = visitor.page.keyboard.press

    button(visitor, "Start").focus()
    press("Tab")
    expect(visitor.page.locator(".progress-tray__name")).to_be_focused()
    press("Tab")
    expect(button(visitor, "Dismiss Task pack")).to_be_focused()
    press("Enter")
    expect(button(visitor, "Dismiss Task pack")).to_have_count(0)
    expect(visitor.page.locator(".progress-tray__name")).to_be_focused()
    press("Tab")
    press("Space")

    expect(box(visitor)).to_have_count(0)
    expect(visitor.page.get_by_text("There are no more tasks here.")).to_be_focused()


def test_head_of_the_tray_closes_and_opens_it(
    visitor: Visitor, start: Callable[..., TaskProgress]
) -> None:
    start()
    visitor.opens(TRAY)
    head = visitor.page.locator(".progress-tray__name")

    head.click()
    expect(visitor.page.get_by_role("listitem")).to_have_count(0)
    rows.update(progress=5)
    head.click()

    visitor.sees(percent=50, within=WITHIN)


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("context_options", [{"viewport": {"width": 320, "height": 600}}])
@ONE_HTMX
def test_tray_lies_within_a_narrow_page(
    visitor: Visitor, start: Callable[..., TaskProgress], direction: str
) -> None:
    start("endless" * 30, label="Riesentang" * 20, state=State.SUCCEEDED, link="/")
    visitor.opens(TRAY, html=f'lang="en" dir="{direction}"')

    around = box(visitor).bounding_box()
    assert around is not None
    assert 0 <= around["x"] <= around["x"] + around["width"] <= 320
    assert around["y"] + around["height"] <= 600
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == 320


@ONE_HTMX
@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_task_is_dismissed_without_javascript(
    visitor: Visitor, start: Callable[..., TaskProgress]
) -> None:
    start("dry", state=State.FAILED)
    start("pack")
    visitor.opens(START + TRAY)
    expect(visitor.page.get_by_role("listitem")).to_have_count(2)

    button(visitor, "Dismiss Task dry").click()

    expect(visitor.page.get_by_role("listitem")).to_have_count(1)
    assert visitor.page.url.endswith("/pages/host/")


def test_axe_finds_nothing_in_the_tray(
    visitor: Visitor, start: Callable[..., TaskProgress], sums: Counter[str]
) -> None:
    visitor.page.emulate_media(reduced_motion="reduce")
    for state in State:
        start(str(state), state=state, link="/pages/start/")
    visitor.opens(START + TRAY, head=BOTH_SCHEMES)
    visitor.page.evaluate(AXE_SCRIPT)

    for look in LOOKS:
        visitor.page.emulate_media(**look, reduced_motion="reduce")
        found = visitor.page.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")

        sums["axe"] += len(found["violations"])
        assert told(found["violations"]) == [], look
        assert told(found["incomplete"]) == [], look


@pytest.mark.parametrize("state", [State.WAITING, State.RUNNING])
def test_task_that_nobody_hears_of_can_be_dismissed_once_it_is_cancelled(
    visitor: Visitor, start: Callable[..., TaskProgress], state: State
) -> None:
    ago = timezone.now() - timedelta(minutes=11)
    start(state=state, created_at=ago, updated_at=ago, cancel_asked_at=timezone.now())
    visitor.opens(TRAY)
    visitor.sees(state="cancelling", within=WITHIN)

    button(visitor).click()

    expect(box(visitor)).to_have_count(0)
