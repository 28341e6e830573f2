"""The admin of Django itself and of two themes, each served as its recipe says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor
from tests.recipes import theming
from tests.recipes.project import Site, require

PANEL = "[data-progress-tray]"
LIST = "#result_list"
NO_SCRIPT = pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
# The rules that are broken by the whole page, or within the panel, the bars and the buttons alone.
AXE = """async (within) => {
  const {violations} = await axe.run(within ? {include: within} : document);
  return violations.flatMap(({id, nodes}) => nodes.map(({target}) => `${id}: ${target}`));
}"""


@pytest.fixture(scope="module", params=theming.THEMES)
def site(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Site]:
    theme = request.param
    if theme != "stock":
        require(theme)
    with theming.served(theme, tmp_path_factory.mktemp(theme)) as site:
        yield site


@pytest.fixture
def admin(page: Page, site: Site) -> Iterator[Visitor]:
    """An administrator, whose console must stay empty."""
    page.context.add_cookies([{"name": "sessionid", "value": site.session, "url": site.url}])
    page.emulate_media(reduced_motion="reduce")
    visitor = Visitor(page, site.url, htmx="2")
    page.request.get(f"{site.url}/forget/")
    visitor.expects("^info: Autofocus processing was blocked")  # it is where it belongs
    yield visitor
    visitor.leaves()
    assert visitor.complaints == []


def opens(admin: Visitor, path: str) -> None:
    admin.page.goto(f"{admin.server}/admin/kelp/{path}")


def starts(admin: Visitor, *pks: int) -> None:
    theming.start(admin.page, admin.server, *pks)


def reports(admin: Visitor, pk: int, progress: int) -> None:
    theming.report(admin.page, admin.server, pk, progress)


def cancels(admin: Visitor) -> None:
    admin.page.locator(f"{PANEL} summary", has_text="Cancel").click()
    admin.page.locator(f"{PANEL} .progressbar__cancel button").click()


def test_task_of_an_action_is_watched_until_it_is_finished(admin: Visitor) -> None:
    starts(admin, 1)
    admin.sees(state="waiting", within=PANEL)
    reports(admin, 1, progress=4)
    admin.sees(percent=40, within=PANEL)
    admin.sees(percent=40, within=LIST)
    admin.page.reload()
    admin.sees(percent=40, within=PANEL)
    reports(admin, 1, progress=10)
    admin.sees(state="succeeded", within=PANEL)
    admin.sees(state="succeeded", within=LIST)

    assert admin.polls_during(intervals=3) == 0
    admin.page.get_by_role("button", name="Dismiss Dry Bay 1").click()
    expect(admin.page.locator(f"{PANEL} [data-state]")).to_have_count(0)


def test_task_is_cancelled_in_the_panel(admin: Visitor) -> None:
    starts(admin, 1)
    reports(admin, 1, progress=4)
    admin.sees(percent=40, within=PANEL)

    cancels(admin)

    admin.sees(state="cancelling", within=PANEL)
    admin.sees(state="cancelling", within=LIST)
    admin.page.reload()
    admin.sees(state="cancelling", within=PANEL)
