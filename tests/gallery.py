"""Pictures of every state, to be looked at: ``python -m tests.gallery screenshots/``.

Without a database and without polling: the rows are not saved, and no htmx is on the page. Then
those of the admin, which has both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import django
from playwright.sync_api import Browser, sync_playwright

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.contrib.staticfiles import finders
from django.utils import translation
from django.utils.html import escape

from progress_widget.models import State, TaskProgress
from progress_widget.reading import media, rendering
from progress_widget.reading.fragments import Version, refusal
from tests import gallery_of_admin
from tests.builders import NOON, absent, fragment, saved

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCHEMES = ":root { color-scheme: light dark; }"
PAGE_STYLE = """
body { margin: 0; padding: 1.5rem; font: 1rem/1.5 system-ui, sans-serif; }
main { display: grid; gap: 1.75rem 2.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
section { min-width: 0; }
h2 { margin: 0 0 .5rem; font: .75rem/1.5 monospace; }
.row { display: flex; gap: 1rem; align-items: center; }
.narrow { width: 9rem; border: 1px dotted; }
.scrolled { max-height: 9rem; overflow: auto; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; }
td { padding: .5rem; border-top: 1px solid; vertical-align: top; }
"""
# Each is (name of the picture, text direction, the page's own style, options of the context).
PICTURES = [
    ("light", "ltr", "", {}),
    ("light-page-on-dark-system", "ltr", "", {"color_scheme": "dark"}),
    ("dark", "ltr", SCHEMES, {"color_scheme": "dark"}),
    ("rtl", "rtl", "", {}),
    ("320px", "ltr", "", {"viewport": {"width": 320, "height": 800}}),
    ("390px", "ltr", "", {"viewport": {"width": 390, "height": 800}}),
    ("zoom-200", "ltr", "", {"viewport": {"width": 640, "height": 800}, "device_scale_factor": 2}),
    ("reduced-motion", "ltr", "", {"reduced_motion": "reduce"}),
    ("forced-colors", "ltr", SCHEMES, {"forced_colors": "active"}),
    ("forced-colors-dark", "ltr", SCHEMES, {"forced_colors": "active", "color_scheme": "dark"}),
]


def bar(
    row: TaskProgress,
    *,
    label: str = "",
    now: datetime = NOON,
    was: str = "",
    csrf_token: str = "",
) -> str:
    """Return the HTML of a bar as the tag would; ``was`` is a state that its page has shown."""
    shown = Version(1, was, None, "0" * 8) if was else None
    of_bar = fragment(row, label=label, now=now, shown=shown)
    return rendering.render(
        of_bar, rendering.new_key(), token="token", on_page=True, csrf_token=csrf_token
    )


def row(state: State = State.RUNNING, **values: object) -> TaskProgress:
    return saved(**{"state": state, "total": None, **values})


def states(step: str) -> Iterator[tuple[str, str]]:
    """Return a name and a bar for each state."""
    part = {"total": 800, "progress": 336, "step": step}
    late = NOON + timedelta(minutes=8)
    failed = "The shop did not answer. Nothing was changed; try again in a few minutes."
    yield "waiting", bar(row(State.WAITING), label="Import of orders")
    yield "waiting, late", bar(row(State.WAITING), now=late, label="Import of orders")
    yield "running", bar(row(**part), label="Import of orders")
    yield "running, begun", bar(row(total=800, progress=5, step=step), label="Import of orders")
    yield "running, total unknown", bar(row(progress=1234, step=step), label="Import of orders")
    yield "stalled", bar(row(**part), now=late, label="Import of orders")
    yield "retrying", bar(row(State.RETRYING, **part), label="Import of orders")
    yield "succeeded", bar(row(State.SUCCEEDED, total=800, progress=800), label="Import of orders")
    yield "failed", bar(row(State.FAILED, **part, message=failed), label="Import of orders")
    yield "failed, total unknown", bar(row(State.FAILED, progress=12), label="Import of orders")
    asked = row(**part, cancel_asked_at=NOON)
    yield "cancelling", bar(asked, label="Import of orders")
    yield "to be cancelled", bar(row(**part), label="Import of orders", csrf_token="token")
    opened = bar(row(**part), label="Import of orders", csrf_token="token")
    yield "to be cancelled, asked", opened.replace("<details", "<details open")
    yield "cancelled", bar(row(State.CANCELLED, **part), label="Import of orders")
    yield "unknown", bar(absent(), was="running", label="Import of orders")
    yield "refused", rendering.render(refusal(), rendering.new_key(), on_page=True)


def places(step: str) -> Iterator[tuple[str, str]]:
    """Return a name and markup for each place where a bar may be."""
    part = {"total": 100, "progress": 62, "step": step}
    plain = bar(row(**part))
    huge = {"total": 2**63 - 1, "progress": 2**62, "step": step}
    long = row(total=100, progress=62, step="Counting " + "every single kelp leaf " * 440)
    unbroken = row(total=100, progress=62, step="kelp" * 40)
    cells = "".join(
        f"<tr><td>Order {number}</td><td>{bar(row(total=100, progress=number, step=step))}</td>"
        "<td>14 March</td></tr>"
        for number in (7, 42, 99)
    )
    yield "no label", plain
    yield "no label, numbers", bar(row(total=800, progress=336, step=step))
    yield "no label, waiting", bar(row(State.WAITING))
    yield "in a paragraph", f"<p>Before {plain} after</p>"
    yield "in a table", f"<table>{cells}</table>"
    yield "in a flex row", f'<div class="row"><b>Orders</b>{plain}<button>Stop</button></div>'
    yield "in 9rem", f'<div class="narrow">{bar(row(**part), label="Import of orders")}</div>'
    yield "huge numbers", bar(row(**huge), label="Import of orders")
    yield "one long word", bar(unbroken, label="Import" * 30)
    yield "10,000 characters", f'<div class="scrolled">{bar(long, label="Import of orders")}</div>'


def page(direction: str, style: str, sheet: str) -> str:
    """Return the page of all states and places."""
    rtl = direction == "rtl"
    language, step = ("ar", "تجفيف عشب البحر…") if rtl else ("en", "Drying kelp…")
    with translation.override(language):
        sections = "".join(
            f"<section><h2>{escape(name)}</h2>{markup}</section>"
            for name, markup in (*states(step), *places(step))
        )
    return (
        f'<!doctype html><html lang="{language}" dir="{direction}"><meta charset="utf-8">'
        f"<title>Gallery</title><style>{PAGE_STYLE}{style}{sheet}</style><main>{sections}</main>"
    )


def take(browser: Browser, folder: Path) -> None:
    """Take every picture."""
    sheet = Path(str(finders.find(media.STYLESHEET))).read_text()
    for name, direction, style, options in PICTURES:
        file = folder / f"{name}.html"
        file.write_text(page(direction, style, sheet))
        view = {"viewport": {"width": 1280, "height": 800}} | options
        with browser.new_context(**view) as context:  # type: ignore[arg-type]
            tab = context.new_page()
            tab.goto(file.resolve().as_uri())
            wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            note = "  overflows!" if tab.evaluate(wide) else ""
            tab.screenshot(path=folder / f"{name}.png", full_page=True)
            print(f"{folder / name}.png{note}")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        take(browser, folder)
        gallery_of_admin.take(browser, folder)
        browser.close()


if __name__ == "__main__":
    main()
