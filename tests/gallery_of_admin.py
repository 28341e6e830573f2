"""Pictures of the admin, as Django draws it and as themes do."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tests.recipes import theming
from tests.recipes.project import Site

VIEW = {"width": 1280, "height": 800}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "390px": {"viewport": {"width": 390, "height": 800}},
    "rtl": {"locale": "ar"},
}
TASKS = "progress_widget/taskprogress/"
# How far left of the window the page begins, how much it is wider, and its height.
MEASURES = """() => {
  const {scrollWidth, clientWidth, scrollHeight, dir} = document.documentElement;
  const excess = scrollWidth - clientWidth;
  return [dir === "rtl" ? excess : 0, excess, scrollHeight];
}"""


def take(browser: Browser, folder: Path) -> None:
    """Take every picture, in the themes that are installed."""
    for theme in theming.THEMES:
        if theme != "stock" and find_spec(theme) is None:
            print(f"There is no {theme}: install the dependency group recipes.")
            continue
        with TemporaryDirectory() as project, theming.served(theme, Path(project)) as site:
            with logged_in(browser, site) as context:
                start_tasks(context.new_page(), site)
            for look, options in LOOKS.items():
                with logged_in(browser, site, **options) as context:
                    for name, page in pages(context.new_page(), site):
                        shoot(page, folder / f"admin-{theme}-{name}-{look}.png")


def logged_in(browser: Browser, site: Site, **options: Any) -> BrowserContext:
    view = {"viewport": VIEW, "locale": "en-GB", "reduced_motion": "reduce"} | options
    context = browser.new_context(**view)  # type: ignore[arg-type]
    context.add_cookies([{"name": "sessionid", "value": site.session, "url": site.url}])
    return context


def start_tasks(page: Page, site: Site) -> None:
    """Start six tasks by an action, and let them come to different ends."""
    theming.start(page, site.url, 1, 2, 3, 4, 5, 6)
    reasons = {3: "The kelp is too wet."}
    for pk, progress in {6: 7, 5: 10, 3: 6, 2: 4}.items():
        theming.report(page, site.url, pk, progress, fail=reasons.get(pk, ""))


def pages(page: Page, site: Site) -> Iterator[tuple[str, Page]]:
    """Open each page, and return its name."""
    for name, path in {
        "list": "kelp/harvest/",
        "change": "kelp/harvest/2/change/",
        "tasks": TASKS,
    }.items():
        page.goto(f"{site.url}/admin/{path}")
        yield name, page
    page.goto(f"{site.url}/admin/{TASKS}?q=Bay+2")
    page.locator(".field-task a").first.click()
    yield "task", page


def shoot(page: Page, file: Path) -> None:
    page.locator("body").wait_for()  # unfold hides it first
    page.evaluate("document.fonts.ready")
    view = page.viewport_size or VIEW
    left, excess, height = page.evaluate(MEASURES)
    # As high as the page: what sticks to the window's edge would stand in the middle.
    page.set_viewport_size({"width": view["width"], "height": height})
    clip = {"x": left, "y": 0, "width": view["width"], "height": height}
    page.screenshot(path=file, full_page=True, clip=clip)  # type: ignore[arg-type]
    page.set_viewport_size(view)
    print(f"{file}{'  overflows!' if excess else ''}")
