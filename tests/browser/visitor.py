"""A person at a page with bars, and everything that is recorded meanwhile."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import pairwise
from typing import Any

from django.test import Client
from playwright.sync_api import (
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    TimeoutError,
    expect,
)

from tests.browser import views

INTERVAL = 0.1
# After how many milliseconds of a second a bar may ask again, at least: the script allows 900, and
# a timer may be early. A busy machine only makes them more.
LEAST_SECOND = 850
# In milliseconds; enough for a busy machine.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)
# At the usual interval, a page of twenty bars would overload the server.
MANY_BARS_INTERVAL = 0.2
WATCH_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`);
});
"""
# In the page, which knows at once that a request has been given up; the browser tells later.
COUNT_POLLS = """
window.mostPollsAtOnce = 0;
window.begunAt = [];
{
  let now = 0;
  const begin = () => {
    mostPollsAtOnce = Math.max(mostPollsAtOnce, ++now);
    begunAt.push(performance.now());
  };
  const end = () => { now -= 1; };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...data) {
    begin();
    this.addEventListener("loadend", end, {once: true});
    return send.apply(this, data);
  };
  const fetchIt = window.fetch;
  window.fetch = (...asked) => {
    begin();
    return fetchIt(...asked).finally(end);
  };
}
"""
# At each frame, because Playwright's own expectations look again only after 100, 250, 500... ms.
SHOWN = """([selector, wanted]) => {
  const bars = [...document.querySelectorAll(selector)];
  return bars.length > 0 && bars.every(
    (bar) => Object.entries(wanted).every(([name, value]) => bar.getAttribute(name) === value)
  );
}"""
ATTRIBUTES = "(bars, name) => bars.map((bar) => bar.getAttribute(name))"
BAR = "[data-progress-widget] > [data-state]"


class Visitor:
    """Opens published pages in one browser tab and records what the tab sends and logs.

    Attributes:
        polls: Every request to the partial view that the browser has begun.
    """

    def __init__(self, page: Page, server: str, htmx: str) -> None:
        self.page = page
        self.server = server
        self.htmx = htmx
        self.polls: list[Request] = []
        self.documents: list[str] = []
        self.console: list[str] = []
        self.dialogs: list[str] = []
        self._expected: list[str] = []
        page.add_init_script(WATCH_VIOLATIONS)
        page.add_init_script(COUNT_POLLS)
        page.on("request", self._begun)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.console.append(f"page error: {error}"))
        page.on("dialog", self._asked)

    @property
    def most_at_once(self) -> int:
        """How many polls of the page were under way at one time, at most."""
        return int(self.page.evaluate("mostPollsAtOnce"))

    @property
    def pauses(self) -> list[float]:
        """The milliseconds from each poll of the page to the next, by the page's own clock."""
        return [after - before for before, after in pairwise(self.page.evaluate("begunAt"))]

    def shortest_span_of(self, count: int) -> float:
        """Return the milliseconds within which so many polls of the page began, at least."""
        begun = self.page.evaluate("begunAt")
        return min(last - first for first, last in zip(begun, begun[count - 1 :], strict=False))

    @property
    def is_on_htmx_2(self) -> bool:
        return self.htmx == "2"

    @property
    def bar(self) -> Locator:
        """The only bar of the page."""
        return self.page.locator(BAR)

    @property
    def complaints(self) -> list[str]:
        """What was logged to the console and is not expected by the test."""
        return [
            text
            for text in self.console
            if not any(re.search(pattern, text) for pattern in self._expected)
        ]

    def expects(self, *patterns: str) -> None:
        """Expect that this may be logged to the console in this test."""
        self._expected.extend(patterns)

    def publishes(self, name: str, body: str, **options: Any) -> str:
        """Put a page on the server, to be opened later or by htmx, and return its address."""
        views.published[name] = views.Page(body=body, **options)
        return f"{self.server}/pages/{name}/"

    def logs_in(self, user: Any) -> None:
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"].value
        self.page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": self.server}])

    def opens(self, body: str, **options: Any) -> None:
        """Publish a page and go there; its bars are then live."""
        self.page.goto(self.publishes("host", body, **{"htmx": self.htmx} | options))

    def sees(
        self, *, percent: float | None = None, state: str | None = None, within: str = ""
    ) -> None:
        """Wait until the bar, or the one bar in a part of the page, shows this."""
        wanted = {} if state is None else {"data-state": state}
        if percent is not None:
            wanted["data-percent"] = f"{percent:.1f}"
        self._waits_for(f"{within} {BAR}", wanted)
        for name, value in wanted.items():
            expect(self.page.locator(f"{within} {BAR}")).to_have_attribute(name, value)

    def sees_all(self, name: str, value: str) -> None:
        """Wait until each of the bars, and there is at least one, has an attribute."""
        self._waits_for(BAR, {name: value})
        assert set(self.bar.evaluate_all(ATTRIBUTES, name)) == {value}

    def _waits_for(self, selector: str, wanted: dict[str, str]) -> None:
        # The expectation that follows reports better what has not come.
        with suppress(TimeoutError):
            self.page.wait_for_function(SHOWN, arg=[selector, wanted], timeout=PATIENCE)

    def waits_for_polls(self, count: int = 1) -> None:
        """Wait until this many more polls have begun."""
        wanted = len(self.polls) + count
        while len(self.polls) < wanted:
            self.page.wait_for_event("request", predicate=is_poll, timeout=PATIENCE)

    def polls_during(self, intervals: float, interval: float = INTERVAL) -> int:
        """Count the polls that begin during this many intervals: to show that none do."""
        before = len(self.polls)
        self.page.wait_for_timeout(intervals * interval * 1000)
        return len(self.polls) - before

    def leaves(self) -> None:
        """Go to an empty page, so that no bar polls a database that is being emptied."""
        self.page.goto("about:blank")

    def _begun(self, request: Request) -> None:
        if is_poll(request):
            self.polls.append(request)
        elif request.resource_type == "document":
            self.documents.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


def is_poll(request: Request) -> bool:
    return "/progress/" in request.url


def tag(task_id: str, options: str = "", interval: float = INTERVAL) -> str:
    """Return the template source of a bar."""
    return f'{{% progressbar "{task_id}" interval={interval} {options} %}}'
