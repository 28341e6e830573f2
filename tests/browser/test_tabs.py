"""Tabs that are hidden, left and returned to."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from progress_widget.bars import ProgressBar
from tests.browser.visitor import Visitor, tag


def test_hidden_tab_does_not_poll(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    visitor.opens(tag("kelp"))
    visitor.waits_for_polls(1)

    show(visitor.page, False)
    while_hidden = visitor.polls_during(intervals=4)
    bar.finalize()
    show(visitor.page, True)

    assert while_hidden == 0
    visitor.sees(state="succeeded")


def test_tab_that_is_shown_again_asks_at_once(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    visitor.opens(tag("kelp", interval=600))
    show(visitor.page, False)

    bar.update(progress=6)
    show(visitor.page, True)

    visitor.sees(percent=60)
    assert len(visitor.polls) == 1


def goes_away_and_back(visitor: Visitor, progress: int) -> bool:
    """Leave a page with a bar that goes on meanwhile, and return; tell whether it was kept."""
    bar = ProgressBar("kelp", total=10)
    visitor.opens(tag("kelp"))
    visitor.page.evaluate(
        "addEventListener('pageshow', (event) => { window.was_kept = event.persisted })"
    )

    visitor.page.goto(f"{visitor.server}/pages/away/")
    assert visitor.polls_during(intervals=3) == 0
    bar.update(progress=progress)
    visitor.page.go_back(wait_until="commit")
    visitor.sees(percent=progress * 10)
    return bool(visitor.page.evaluate("window.was_kept"))


@pytest.mark.usefixtures("whole_browser")
def test_bar_goes_on_after_the_page_was_kept_by_the_browser(visitor: Visitor) -> None:
    visitor.publishes("away", '<h1 id="away">Elsewhere</h1>', htmx=visitor.htmx)

    # The browser may let go of a page as it likes, and does so on a busy machine.
    assert any(goes_away_and_back(visitor, progress) for progress in (4, 5, 6))

    ProgressBar.get("kelp").finalize()
    visitor.sees(state="succeeded")
    assert visitor.polls_during(intervals=3) == 0


def test_bar_goes_on_after_boosted_navigation_away_and_back(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    visitor.publishes("away", '<h1 id="away">Elsewhere</h1>', htmx=visitor.htmx)
    attribute = "hx-boost" if visitor.is_on_htmx_2 else "hx-boost:inherited"
    body = '<a href="/pages/away/">Away</a>' + tag("kelp")
    visitor.opens(body, attributes=f'{attribute}="true"')
    visitor.sees(percent=0)

    visitor.page.get_by_text("Away").click()
    visitor.page.wait_for_selector("#away")
    while_away = visitor.polls_during(intervals=3)
    bar.update(progress=4)
    visitor.page.go_back(wait_until="commit")
    visitor.sees(percent=40)
    bar.finalize()
    visitor.sees(state="succeeded")

    assert while_away == 0
    assert len(visitor.documents) == 1
    assert visitor.polls_during(intervals=3) == 0


def show(page: Page, shown: bool) -> None:
    """Tell the document whether its tab is visible."""
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
          document.dispatchEvent(new Event("visibilitychange", {bubbles: true}));
        }""",
        not shown,
    )
