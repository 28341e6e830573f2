"""Chromium, the visitor in it, and the counts for the last lines of the run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.browser import views
from tests.browser.visitor import Visitor

HERE = Path(__file__).parent
FETCHED_HTMX = "4.0.1"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Moving pictures take half of the processors' time, so tests that are about them ask for them.
USUAL: dict[str, Any] = {"locale": "en-GB", "reduced_motion": "reduce"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Last, because Playwright's event loop runs in this thread as long as the browser is open, and
    # code in other tests may need to run its own.
    ours = [item for item in items if HERE in item.path.parents]
    others = [item for item in items if HERE not in item.path.parents]
    # All modules mixed, since many tests of one module wait, and those of another compute. The seed
    # is the same in each process of the run.
    Random(config.getoption("randomly_seed", 0)).shuffle(ours)
    items[:] = others + ours


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Django mistakes Playwright's event loop in this thread for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield playwright


@contextmanager
def launched(playwright: Playwright, path: str) -> Iterator[Browser]:
    if not Path(path).is_file():
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop("There is no Chromium: install it, or name it in CHROMIUM.")
    chromium = playwright.chromium.launch(
        executable_path=path,
        args=FLAGS,
        # A real person's browser has it.
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium, if possible without its windows, which take most of the time of a short test."""
    names = (os.environ.get("CHROMIUM", ""), "chromium-headless-shell", "chromium")
    with launched(playwright, next(filter(None, map(shutil.which, names)), "")) as browser:
        yield browser


@pytest.fixture(scope="session")
def whole_browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium with its windows: without them, it keeps no page that was left."""
    with launched(playwright, shutil.which("chromium") or "") as browser:
        yield browser


@pytest.fixture(scope="session")
def fetched_htmx(request: pytest.FixtureRequest) -> Path:
    """The newest htmx, which no dependency of this project ships."""
    folder = request.config.cache.mkdir("htmx")
    script = folder / f"htmx-{FETCHED_HTMX}.js"
    if not script.exists():
        if os.environ.get("CI") != "true":
            pytest.skip(f"htmx {FETCHED_HTMX}, which nothing here ships, is fetched where CI=true")
        # To another name first: other processes of the run may look for it meanwhile.
        own = Path(tempfile.mkdtemp(dir=folder))
        command = ["npm", "pack", f"htmx.org@{FETCHED_HTMX}", "--pack-destination", str(own)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"htmx {FETCHED_HTMX} can't be fetched: {error}")
        with tarfile.open(own / f"htmx.org-{FETCHED_HTMX}.tgz") as archive:
            (own / "whole").write_bytes(archive.extractfile("package/dist/htmx.min.js").read())
        (own / "whole").replace(script)
    return script


@pytest.fixture(params=list(views.HTMX_TAGS))
def htmx(request: pytest.FixtureRequest) -> str:
    """The version of htmx on the page."""
    if request.param == FETCHED_HTMX:
        views.htmx_file = request.getfixturevalue("fetched_htmx")
    return request.param


@pytest.fixture
def context_options() -> dict[str, Any]:
    """The options of a test's browser context, set by ``pytest.mark.parametrize``."""
    return {}


@pytest.fixture(scope="session")
def usual_context(browser: Browser) -> BrowserContext:
    """The context that tests without options share: a new one takes longer than many tests."""
    return browser.new_context(**USUAL)


@pytest.fixture
def page(
    request: pytest.FixtureRequest, browser: Browser, context_options: dict[str, Any]
) -> Iterator[Page]:
    """A new tab in a context that is online and has no cookies."""
    is_whole = "whole_browser" in request.fixturenames
    if is_whole:
        browser = request.getfixturevalue("whole_browser")
    if context_options or is_whole:
        with browser.new_context(**USUAL | context_options) as context:
            yield context.new_page()
        return
    context = request.getfixturevalue("usual_context")
    with context.new_page() as page:
        yield page
    context.clear_cookies()
    context.set_offline(False)


@pytest.fixture
def sums(htmx: str, record_property: Callable[[str, object], None]) -> Iterator[Counter[str]]:
    """What the last lines of the run sum up for this version of htmx."""
    record_property("htmx", htmx)
    counted: Counter[str] = Counter()
    yield counted
    record_property("sums", [htmx, dict(counted)])


@pytest.fixture
def visitor(
    page: Page,
    htmx: str,
    sums: Counter[str],
    live_server: Any,
    transactional_db: None,
    settings: Any,
) -> Iterator[Visitor]:
    settings.ROOT_URLCONF = "tests.browser.urls"
    visitor = Visitor(page, live_server.url, htmx)
    yield visitor
    visitor.leaves()
    views.published.clear()
    complaints = visitor.complaints
    sums["errors"] += len(complaints)
    sums["violations"] += sum("CSP violation" in text for text in complaints)
    assert complaints == []
