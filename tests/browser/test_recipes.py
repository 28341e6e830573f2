"""The lines of the recipes for Bootstrap and Tailwind reach the bars.

Neither is here, so the tests say what their variables would be.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from playwright.sync_api import Page, Route

from progress_widget.models import State
from progress_widget.reading import media, rendering
from tests.builders import fragment, saved
from tests.recipes import document

SITE = "http://kelp.test"
SHEET = Path(str(finders.find(media.STYLESHEET))).read_text()
LIGHT, DARK = "rgb(1, 2, 3)", "rgb(7, 8, 9)"
STATES = {
    "fill": State.RUNNING,
    "success": State.SUCCEEDED,
    "warning": State.RETRYING,
    "danger": State.FAILED,
}
SEEN = """() => [...document.querySelectorAll("[data-state]")].map((bar) => {
  const meter = getComputedStyle(bar.querySelector("[role=progressbar]"));
  return [
    getComputedStyle(bar.querySelector("rect")).fill,
    meter.backgroundColor, meter.height, meter.borderTopLeftRadius,
  ];
})"""

BOOTSTRAP_COLOURS = (
    "link-color", "form-valid-color", "warning-text-emphasis", "form-invalid-color", "secondary-bg",
)  # fmt: skip
TAILWIND_COLOURS = {
    "light": ("indigo-600", "emerald-700", "amber-700", "rose-700", "slate-100"),
    "dark": ("indigo-400", "emerald-400", "amber-400", "rose-400", "slate-800"),
}


def colours(prefix: str, names: tuple[str, ...], colour: str) -> str:
    return "".join(f"--{prefix}-{name}: {colour};" for name in names)


def bars() -> str:
    """Return a bar for each colour that a recipe sets."""
    rows = [saved(state=state, progress=5) for state in STATES.values()]
    return "".join(
        rendering.render(fragment(row), rendering.new_key(), token="token", on_page=True)
        for row in rows
    )


def look(page: Page, attributes: str, framework: str, sheet: str) -> list[list[str]]:
    """Return what the bars of a page look like; its sheet may import the framework's."""
    # The package's sheet comes last: the order must not matter.
    links = "".join(f'<link rel="stylesheet" href="/{name}">' for name in ("site.css", "own.css"))
    site = {
        "/": ("text/html", f"<!doctype html>{links}<body {attributes}>{bars()}</body>"),
        "/site.css": ("text/css", sheet),
        "/own.css": ("text/css", SHEET),
        "/tailwindcss": ("text/css", framework),
    }

    def answer(route: Route) -> None:
        kind, body = site[route.request.url.removeprefix(SITE)]
        route.fulfill(content_type=kind, body=body)

    page.route(f"{SITE}/**", answer)
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{SITE}/")
    return page.evaluate(SEEN)


@pytest.mark.parametrize(
    ("attributes", "colour"), [("", LIGHT), ('data-bs-theme="dark"', DARK)], ids=["light", "dark"]
)
def test_bars_have_the_colours_of_bootstrap(page, attributes, colour):
    framework = (
        f":root {{ {colours('bs', BOOTSTRAP_COLOURS, LIGHT)} --bs-border-radius: 5px; }}"
        f"[data-bs-theme=dark] {{ {colours('bs', BOOTSTRAP_COLOURS, DARK)} }}"
    )

    seen = look(page, attributes, "", framework + document.files("Bootstrap 5")["site.css"])

    assert seen == [[colour, colour, "16px", "5px"]] * len(STATES)


def tailwind() -> str:
    """Return the variables of a theme, in the layer where Tailwind has them."""
    light = colours("color", TAILWIND_COLOURS["light"], LIGHT)
    dark = colours("color", TAILWIND_COLOURS["dark"], DARK)
    return f"@layer theme {{ :root {{ {light} {dark} --spacing: 4px; --radius-md: 5px; }} }}"


@pytest.mark.parametrize(
    ("attributes", "colour"),
    [("", LIGHT), ('class="dark"', DARK), ('style="color-scheme: dark"', DARK)],
    ids=["light", "class", "scheme"],
)
def test_bars_have_the_colours_of_tailwind(page, attributes, colour):
    seen = look(page, attributes, tailwind(), document.files("Tailwind CSS 4")["site.css"])

    assert seen == [[colour, colour, "12px", "5px"]] * len(STATES)


def test_lines_for_tailwind_do_nothing_in_a_layer(page):
    first, _, lines = document.files("Tailwind CSS 4")["site.css"].partition("\n")

    seen = look(page, "", tailwind(), f"{first}\n@layer base {{ {lines} }}")

    assert LIGHT not in {colour for bar in seen for colour in bar}
