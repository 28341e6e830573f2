"""The bars in Django's admin, which brings its own htmx."""

from __future__ import annotations

from typing import Any

import django
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth import get_user_model
from django.urls import reverse
from playwright.sync_api import Locator, Route, expect

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from tests.browser.test_accessibility import told
from tests.browser.visitor import INTERVAL, LEAST_SECOND, Visitor
from tests.models import Harvest

LIST = "/admin/tests/harvest/"
PANEL = "[data-progress-tray]"
# The policy with which Django tests its own admin.
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'"
)
STATE = """() => [
  document.querySelector("#searchbar").value,
  document.querySelector("select[name=action]").value,
  document.querySelector(".action-counter").textContent,
  [...document.querySelectorAll(".action-select")].map((box) => box.checked),
  document.activeElement.id || document.activeElement.value,
]"""
rows = TaskProgress.objects
pytestmark = pytest.mark.parametrize("htmx", ["2"], indirect=True)


@pytest.fixture
def admin(visitor: Visitor, settings: Any) -> Any:
    """An administrator, who is logged in."""
    settings.PROGRESS_WIDGET_POLL_INTERVAL = INTERVAL
    # Chromium notes where the focus is already.
    visitor.expects("^info: Autofocus processing was blocked")
    admin = get_user_model().objects.create_superuser("admin")
    visitor.logs_in(admin)
    return admin


@pytest.fixture
def harvests(admin: Any) -> list[Harvest]:
    """Ten objects, whose tasks run."""
    return make(10)


def make(count: int) -> list[Harvest]:
    known = [{"name": f"Harvest {number}", "task_id": f"kelp-{number}"} for number in range(count)]
    rows.bulk_create(TaskProgress(task_id=one["task_id"], total=100, attempt=1) for one in known)
    return Harvest.objects.bulk_create(Harvest(**one) for one in known)


def with_policy(route: Route) -> None:
    response = route.fetch()
    route.fulfill(response=response, headers=response.headers | {"Content-Security-Policy": POLICY})


def link(visitor: Visitor, name: str) -> Locator:
    return visitor.page.get_by_role("link", name=name, exact=True)


def button(visitor: Visitor, name: str) -> Locator:
    return visitor.page.get_by_role("button", name=name, exact=True)


@pytest.mark.parametrize("name", ["changelist", "change"])
def test_bar_moves_and_finishes_in_the_admin(visitor: Visitor, admin: Any, name: str) -> None:
    bar = ProgressBar("kelp", total=10)
    arguments = [TaskProgress.objects.get().pk] if name == "change" else []

    visitor.page.goto(
        visitor.server + reverse(f"admin:progress_widget_taskprogress_{name}", args=arguments)
    )
    visitor.sees(percent=0, state="running")
    bar.update(progress=4)
    visitor.sees(percent=40)
    bar.finalize()
    visitor.sees(percent=100, state="succeeded")

    assert visitor.polls_during(intervals=3) == 0


def test_action_over_ticked_rows_starts_a_task_that_is_watched_until_it_is_dismissed(
    visitor: Visitor, admin: Any
) -> None:
    Harvest.objects.create(name="Spring")
    visitor.page.goto(visitor.server + LIST)
    visitor.page.locator(".action-select").check()
    visitor.page.locator("select[name=action]").select_option(label="Dry selected harvests")
    button(visitor, "Run" if django.VERSION >= (6,) else "Go").click()

    visitor.sees(state="waiting", within=PANEL)
    expect(visitor.page.get_by_role("region", name="Your background tasks")).to_be_visible()
    rows.update(state=State.RUNNING, attempt=1, total=10, progress=4)
    visitor.sees(percent=40, within=PANEL)
    link(visitor, "Home").click()
    link(visitor, "Harvests").first.click()
    visitor.sees(percent=40, within=PANEL)
    expect(link(visitor, "Reload list")).to_have_count(0)
    rows.update(state=State.SUCCEEDED, progress=10)
    visitor.sees(state="succeeded", within=PANEL)
    documents = len(visitor.documents)
    link(visitor, "Reload list").click()
    expect(link(visitor, "Reload list")).to_have_count(0)
    assert visitor.documents[documents:] == [visitor.server + LIST]
    button(visitor, "Dismiss Drying kelp").click()
    expect(visitor.page.locator(f"{PANEL} section")).to_have_count(0)

    assert visitor.polls_during(intervals=3) == 0


def test_page_of_an_object_has_nothing_to_reload(visitor: Visitor, harvests: Any) -> None:
    visitor.page.goto(f"{visitor.server}{LIST}{harvests[0].pk}/change/")
    button(visitor, "Dry this").click()
    visitor.sees(state="waiting", within=PANEL)
    visitor.page.locator("#id_name").fill("Autumn")

    rows.update(state=State.SUCCEEDED)
    visitor.sees_all("data-state", "succeeded")

    expect(button(visitor, "Dismiss Drying Harvest 0")).to_be_visible()
    expect(link(visitor, "Reload list")).to_have_count(0)
    expect(visitor.page.locator("#id_name")).to_have_value("Autumn")


def test_task_is_cancelled_in_the_panel(visitor: Visitor, harvests: Any) -> None:
    visitor.page.goto(visitor.server + LIST)
    button(visitor, "Dry all harvests").click()
    visitor.sees(state="waiting", within=PANEL)
    visitor.page.locator(".action-select").first.check()
    documents = len(visitor.documents)

    visitor.page.locator(f"{PANEL} summary", has_text="Cancel").click()
    button(visitor, "Yes, cancel it").click()
    visitor.sees(state="cancelling", within=PANEL)

    assert rows.get(label="Drying all").cancel_asked_at
    assert len(visitor.documents) == documents
    expect(visitor.page.locator(".action-select").first).to_be_checked()


@pytest.mark.parametrize("focused", ["#searchbar", ".action-select >> nth=7"])
def test_all_that_has_been_done_to_the_list_survives_the_polls(
    visitor: Visitor, harvests: Any, focused: str
) -> None:
    # All ten are in sight: the others would ask every five seconds only.
    visitor.page.set_viewport_size({"width": 1280, "height": 1600})
    visitor.page.goto(visitor.server + LIST)
    for number in (1, 4, 7):
        visitor.page.locator(".action-select").nth(number).check()
    visitor.page.locator("select[name=action]").select_option("dry")
    visitor.page.locator("#searchbar").fill("Har")
    visitor.page.locator(focused).focus()
    before = visitor.page.evaluate(STATE)

    for progress in (10, 20):
        rows.update(progress=progress)
        visitor.sees_all("data-percent", f"{progress}.0")
    after = visitor.page.evaluate(STATE)
    visitor.page.locator("#action-toggle").check()

    assert before == after
    assert before[:3] == ["Har", "dry", "3 of 10 selected"]
    assert before[-1] in ("searchbar", str(harvests[2].pk))
    expect(visitor.page.locator(".action-counter").first).to_have_text("10 of 10 selected")


def test_list_of_a_hundred_asks_once_a_second(visitor: Visitor, admin: Any, settings: Any) -> None:
    settings.PROGRESS_WIDGET_POLL_INTERVAL = 1
    make(100)
    visitor.page.goto(visitor.server + LIST)

    visitor.waits_for_polls(8)

    assert visitor.bar.count() == 100
    # Those out of sight ask in a second request, now and then.
    assert visitor.shortest_span_of(3) >= LEAST_SECOND
    assert {poll.method for poll in visitor.polls} == {"POST"}
    assert visitor.most_at_once == 1


@pytest.mark.skipif(django.VERSION < (6, 1), reason="its admin bears no such policy")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_admin_keeps_to_its_policy_and_axe_finds_nothing(
    visitor: Visitor, admin: Any, harvests: Any, scheme: Any
) -> None:
    visitor.page.route("**/admin/tests/**", with_policy)
    visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for row, state in zip(rows.all(), State, strict=False):
        row.owner, row.label, row.state, row.link = admin, "Drying kelp", state, "/kelp/"
        row.save()

    for path in ("", f"{harvests[0].pk}/change/"):
        visitor.page.goto(visitor.server + LIST + path)
        visitor.waits_for_polls(1)
        visitor.page.evaluate(AXE_SCRIPT)
        found = visitor.page.evaluate("axe.run({resultTypes: ['violations']})")
        assert visitor.page.locator(f"{PANEL} li").count() == 5
        assert told(found["violations"]) == []
