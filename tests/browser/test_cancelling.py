"""A visitor cancels a task."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, expect

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from progress_widget.reading import stopping
from progress_widget.texts import REVOKED
from tests.browser.test_accessibility import BOTH_SCHEMES, LOOKS, ONE_HTMX, told
from tests.browser.test_csp import POLICIES
from tests.browser.test_hostile import HANDED_DOWN, HANDED_DOWN_4, HOST
from tests.browser.visitor import MANY_BARS_INTERVAL, Visitor, tag

rows = TaskProgress.objects
KELP = tag("kelp", 'cancel=True label="Kelp"')
SLOWER = tag("kelp", 'cancel=True label="Kelp"', interval=MANY_BARS_INTERVAL)
OTHERS = "".join(tag(name, interval=MANY_BARS_INTERVAL) for name in ("eel", "crab"))
ONE_AND_MANY = pytest.mark.parametrize("body", [KELP, SLOWER + OTHERS], ids=["one", "many"])
NOT_SCRIPTED = pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])


@pytest.fixture(autouse=True)
def told_to_queue(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let every visitor cancel, and record what the queue is told."""
    settings.PROGRESS_WIDGET_CAN_CANCEL = "tests.browser.views.may_view"
    calls: list[Any] = []
    monkeypatch.setattr(stopping.queues, "cancel", lambda ids, **options: calls.append(ids))
    return calls


@pytest.fixture
def bar() -> ProgressBar:
    bar = ProgressBar("kelp", total=10, step="Drying kelp...")
    bar.update(progress=4)
    return bar


def question(visitor: Visitor) -> Locator:
    return visitor.page.locator("summary", has_text="Cancel")


def yes(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("button", name="Yes, cancel it")


def end(state: State = State.CANCELLED) -> None:
    rows.filter(task_id="kelp").update(attempt=1)
    rows.end("kelp", None, state, REVOKED)


@ONE_AND_MANY
def test_visitor_is_asked_once_and_then_the_task_stops(
    visitor: Visitor, bar: ProgressBar, told_to_queue: list[Any], body: str
) -> None:
    visitor.opens(f'<div id="host">{body}</div>')
    expect(yes(visitor)).to_be_hidden()

    question(visitor).click()
    yes(visitor).click()
    kelp = visitor.page.locator("[data-state]").first
    expect(kelp).to_have_attribute("data-state", "cancelling")
    expect(kelp).to_contain_text("This stops as soon as it can.")
    expect(question(visitor)).to_be_hidden()
    end()

    expect(kelp).to_have_attribute("data-state", "cancelled")
    expect(question(visitor)).to_be_hidden()
    assert told_to_queue == [["kelp"]]
    assert visitor.dialogs == []
    assert len(visitor.documents) == 1


@ONE_AND_MANY
def test_open_question_outlives_polls(visitor: Visitor, bar: ProgressBar, body: str) -> None:
    visitor.opens(body)
    question(visitor).click()
    yes(visitor).focus()

    for progress in (5, 6, 7):
        bar.update(progress=progress)
        kelp = visitor.page.locator("[data-state]").first
        expect(kelp).to_have_attribute("data-percent", f"{progress}0.0")

    expect(yes(visitor)).to_be_visible()
    expect(yes(visitor)).to_be_focused()
    expect(question(visitor)).to_have_count(1)


def test_question_is_gone_when_the_task_has_ended(visitor: Visitor, bar: ProgressBar) -> None:
    visitor.opens(KELP)
    question(visitor).click()

    bar.finalize()
    visitor.sees(state="succeeded")

    expect(question(visitor)).to_be_hidden()
    expect(yes(visitor)).to_be_hidden()


def test_task_that_has_ended_meanwhile_is_shown_as_it_is(
    visitor: Visitor, bar: ProgressBar, told_to_queue: list[Any]
) -> None:
    visitor.opens(tag("kelp", "cancel=True", interval=3600))
    question(visitor).click()
    bar.finalize()

    yes(visitor).click()

    visitor.sees(state="succeeded")
    assert told_to_queue == []


def test_keyboard_is_enough(visitor: Visitor, bar: ProgressBar) -> None:
    visitor.opens(KELP)

    visitor.page.keyboard.press("Tab")
    expect(question(visitor)).to_be_focused()
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    expect(yes(visitor)).to_be_focused()
    visitor.page.keyboard.press("Enter")

    visitor.sees(state="cancelling")


@ONE_HTMX
@NOT_SCRIPTED
def test_visitor_without_javascript_comes_back_to_the_page(
    visitor: Visitor, bar: ProgressBar
) -> None:
    visitor.opens(KELP)
    address = visitor.page.url

    question(visitor).click()
    yes(visitor).click()

    visitor.sees(state="cancelling")
    assert visitor.page.url == address
    expect(question(visitor)).to_have_count(0)
    end()
    visitor.page.get_by_role("link", name="Refresh").click()
    visitor.sees(state="cancelled")


@pytest.mark.parametrize("policy", POLICIES)
def test_strict_policy_is_kept(visitor: Visitor, bar: ProgressBar, policy: str) -> None:
    visitor.opens(KELP, policy=POLICIES[policy])

    question(visitor).click()
    yes(visitor).click()

    visitor.sees(state="cancelling")
    assert visitor.console == []


def test_host_page_hands_nothing_down(visitor: Visitor, bar: ProgressBar) -> None:
    given = HANDED_DOWN if visitor.is_on_htmx_2 else HANDED_DOWN_4
    inherited = "" if visitor.is_on_htmx_2 else ":inherited"
    attributes = " ".join(f"{name}{inherited}='{value}'" for name, value in given.items())
    visitor.opens(f"{HOST}<div {attributes}>{KELP}</div>")
    address = visitor.page.url
    question(visitor).click()

    with visitor.page.expect_request(lambda request: "/cancel/" in request.url) as sent:
        yes(visitor).click()

    visitor.sees(state="cancelling")
    body = sent.value.post_data or ""
    assert "csrfmiddlewaretoken" in body
    assert "sesame" not in body + sent.value.url
    assert visitor.dialogs == []
    assert visitor.page.url == address


def test_visitor_who_may_not_see_it_any_more_is_told_so(
    visitor: Visitor, bar: ProgressBar, settings: Any
) -> None:
    visitor.opens(tag("kelp", "cancel=True", interval=3600))
    question(visitor).click()
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_privacy.nobody"

    yes(visitor).click()

    visitor.sees(state="refused")
    expect(question(visitor)).to_be_hidden()
    assert rows.get().cancel_asked_at is None


@pytest.mark.parametrize("status", [403, 500])
def test_answer_that_is_an_error_page_changes_nothing(
    visitor: Visitor, bar: ProgressBar, status: int
) -> None:
    visitor.expects(f"status of {status}", f"Response Status Error Code {status}")
    visitor.opens(KELP)
    visitor.page.route(
        "**/cancel/**",
        lambda route: route.fulfill(
            status=status, content_type="text/html", body="<title>No</title><h1>No</h1>"
        ),
    )
    question(visitor).click()

    with visitor.page.expect_response("**/cancel/**"):
        yes(visitor).click()
    bar.update(progress=7)
    visitor.sees(percent=70, state="running")

    expect(yes(visitor)).to_be_visible()
    assert visitor.page.title() == "Host page"


def test_axe_finds_nothing(visitor: Visitor, bar: ProgressBar) -> None:
    visitor.page.emulate_media(reduced_motion="reduce")
    visitor.opens(f"<main><h1>Tasks</h1>{KELP}</main>", head=BOTH_SCHEMES)
    question(visitor).click()
    visitor.page.evaluate(AXE_SCRIPT)

    for look in LOOKS:
        visitor.page.emulate_media(**look, reduced_motion="reduce")
        found = visitor.page.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")

        assert told(found["violations"]) == [], look
        assert told(found["incomplete"]) == [], look


@ONE_HTMX
@pytest.mark.parametrize("context_options", [{"viewport": {"width": 320, "height": 600}}])
def test_narrow_page_need_not_be_scrolled_sideways(
    visitor: Visitor, bar: ProgressBar, context_options: dict[str, Any]
) -> None:
    visitor.opens(KELP)

    question(visitor).click()

    assert visitor.page.evaluate("document.documentElement.scrollWidth") == 320
    expect(yes(visitor)).to_be_in_viewport(ratio=1)
