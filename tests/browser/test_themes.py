"""The admin of Django itself and of two themes, each served as its recipe says.

What axe finds in Django's own: test_admin.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor
from tests.recipes import theming
from tests.recipes.project import Site, require

PANEL = "[data-progress-tray]"
NEWER, OLDER = f"{PANEL} li:first-child", f"{PANEL} li:last-child"
LIST = "#result_list"
# The rules that a page, or certain elements of it, break. To preload, axe would write styles into
# the page, which the policy forbids.
AXE = """async (within) => {
  const {violations} = await axe.run(
    within ? {include: within} : document, {preload: false, resultTypes: ["violations"]}
  );
  return violations.map(({id}) => id);
}"""
OURS = [[PANEL], [".progressbar-wrapper"], [".progress-admin-tools"]]


def in_groups(*themes: str) -> list[Any]:
    """Return parameters that let one process, and so one server, have the tests of a theme."""
    return [pytest.param(theme, marks=pytest.mark.xdist_group(theme)) for theme in themes]


@pytest.fixture(scope="module", params=in_groups(*theming.THEMES))
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


def cancels(admin: Visitor, within: str) -> None:
    item = admin.page.locator(within)
    item.get_by_text("Cancel", exact=True).click()
    item.get_by_role("button", name="Yes, cancel it").click()


def row(pk: int) -> str:
    """Return where the list has a harvest."""
    return f"{LIST} tr:has([value='{pk}'])"


def broken(admin: Visitor, within: list[list[str]] | None = None) -> set[str]:
    """Return the rules that the page breaks, or what is ours on it."""
    admin.page.evaluate(AXE_SCRIPT)
    return set(admin.page.evaluate(AXE, within))


def test_tasks_of_an_action_are_watched_cancelled_and_finished(admin: Visitor) -> None:
    starts(admin, 1, 2)
    admin.sees_all("data-state", "waiting")
    reports(admin, 2, progress=4)
    admin.sees(percent=40, within=NEWER)
    admin.sees(percent=40, within=row(2))
    cancels(admin, within=OLDER)
    admin.sees(state="cancelling", within=OLDER)
    admin.sees(state="cancelling", within=row(1))

    admin.page.reload()
    admin.sees(state="cancelling", within=OLDER)
    admin.sees(percent=40, within=NEWER)
    reports(admin, 2, progress=10)
    admin.sees(state="succeeded", within=NEWER)
    admin.sees(state="succeeded", within=row(2))
    admin.page.get_by_role("button", name="Dismiss Dry Bay 2").click()
    expect(admin.page.locator(f"{PANEL} li")).to_have_count(1)


def test_task_is_cancelled_on_its_own_page(admin: Visitor) -> None:
    starts(admin, 1)
    admin.page.goto(f"{admin.server}/admin/progress_widget/taskprogress/")
    admin.page.get_by_role("link", name="Dry Bay 1").click()

    admin.page.get_by_role("button", name="Cancel task").click()

    admin.sees(state="cancelling")


@pytest.mark.parametrize("site", in_groups("unfold", "jazzmin"), indirect=True)
def test_axe_finds_nothing_that_the_theme_does_not_bring(admin: Visitor) -> None:
    starts(admin, 1, 2, 3)
    reports(admin, 2, progress=4)
    reports(admin, 3, progress=10)

    opens(admin, "plain/")
    known = broken(admin)
    opens(admin, "harvest/")
    assert broken(admin) <= known
    opens(admin, "harvest/2/change/")
    assert broken(admin, within=OURS) == set()
    admin.page.emulate_media(color_scheme="dark")
    opens(admin, "harvest/")
    assert broken(admin, within=OURS) == set()


# Without it, unfold's pages are blank.
@pytest.mark.parametrize("site", in_groups("stock", "jazzmin"), indirect=True)
@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_without_javascript_buttons_are_forms_and_the_page_shows_the_moment(
    admin: Visitor,
) -> None:
    opens(admin, "harvest/2/change/")
    admin.page.get_by_role("button", name="Dry this one").click()
    reports(admin, 2, progress=4)
    opens(admin, "harvest/")
    admin.sees(percent=40, within=PANEL)
    admin.sees(percent=40, within=row(2))

    cancels(admin, within=PANEL)
    admin.sees(state="cancelling", within=row(2))
    admin.page.get_by_role("button", name="Dry the first").click()
    admin.sees(state="waiting", within=NEWER)
    assert {poll.resource_type for poll in admin.polls} == {"document"}
