"""A visitor who clicks twice, opens two tabs, and logs out in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from progress_widget import launch
from progress_widget.models import State, TaskProgress
from progress_widget.reading import stopping
from tests.browser import views
from tests.browser.test_accessibility import ONE_HTMX
from tests.browser.test_cancelling import question, yes
from tests.browser.test_tray import TRAY, WITHIN, box, button, start
from tests.browser.visitor import BAR, INTERVAL, Visitor, tag

__all__ = ["start"]  # a fixture

FORM = """
<form method="post" action="/launch/">{% csrf_token %}
<input type="hidden" name="task_id" value="kelp"><button>Start</button></form>"""
# By script, since a browser gives up the first of two navigations.
SEND_TWICE = """async () => {
  const { action, method } = document.forms[0];
  const send = () => fetch(action, { method, body: new FormData(document.forms[0]) });
  return (await Promise.all([send(), send()])).map((answer) => answer.url);
}"""
KELP = tag("kelp", "cancel=True")
Start = Callable[..., TaskProgress]
rows = TaskProgress.objects


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record what the queue is told."""
    told: list[Any] = []
    monkeypatch.setattr(launch.queues, "publish", lambda work, task_id: told.append(task_id))
    monkeypatch.setattr(stopping.queues, "cancel", lambda ids, **options: told.extend(ids))
    return told


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    both = Barrier(2, timeout=10)
    monkeypatch.setattr(views, "at_once", both)
    yield
    both.abort()


def second_tab(visitor: Visitor) -> Visitor:
    """Open the same page once more."""
    tab = Visitor(visitor.page.context.new_page(), visitor.server, visitor.htmx)
    tab.page.goto(f"{visitor.server}/pages/host/")
    return tab


def log_out(visitor: Visitor) -> None:
    visitor.page.context.clear_cookies(name="sessionid")


@ONE_HTMX
def test_form_that_is_sent_twice_at_once_starts_one_task(
    visitor: Visitor, start: Start, queue: list[Any], two_at_once: None
) -> None:
    started = visitor.publishes("started", KELP, htmx=visitor.htmx)
    visitor.opens(FORM)

    assert visitor.page.evaluate(SEND_TWICE) == [started, started]
    visitor.page.goto(started)

    visitor.sees(state="waiting")
    assert queue == ["kelp"]
    assert rows.get().owner == get_user_model().objects.get()


def test_second_tab_shows_what_the_first_has_cancelled(
    visitor: Visitor, start: Start, queue: list[Any]
) -> None:
    start("kelp", progress=4)
    visitor.opens(KELP)
    other = second_tab(visitor)
    question(other).click()

    question(visitor).click()
    yes(visitor).click()
    visitor.sees(state="cancelling")
    other.page.bring_to_front()
    other.sees(state="cancelling")

    expect(yes(other)).to_be_hidden()
    rows.end("kelp", None, State.CANCELLED)
    other.sees(state="cancelled")
    assert queue == ["kelp"]
    assert visitor.complaints + other.complaints == []
    other.page.close()


def test_tray_of_a_second_tab_may_be_stale(visitor: Visitor, start: Start) -> None:
    visitor.expects("Autofocus processing was blocked")
    start("kelp", state=State.SUCCEEDED, progress=10)
    visitor.opens(TRAY)
    other = second_tab(visitor)

    button(visitor).click()
    expect(box(visitor)).to_have_count(0)
    button(other).click()

    expect(box(other)).to_have_count(0)
    other.page.close()


def test_visitor_who_has_logged_out_cancels_nothing_and_sees_no_more(
    visitor: Visitor, start: Start, queue: list[Any]
) -> None:
    start("kelp", progress=4)
    visitor.opens(tag("kelp", "cancel=True", interval=3600))
    question(visitor).click()
    log_out(visitor)

    yes(visitor).click()
    visitor.sees(state="refused")

    assert visitor.polls_during(intervals=3) == 0
    assert (queue, rows.get().cancel_asked_at) == ([], None)
    assert len(visitor.documents) == 1


def test_bars_in_the_tray_stop_when_their_user_has_logged_out(
    visitor: Visitor, start: Start
) -> None:
    start("dry", progress=4)
    start("pack", progress=5)
    visitor.opens(TRAY)
    visitor.waits_for_polls(1)

    log_out(visitor)
    visitor.sees_all("data-state", "refused")

    expect(visitor.page.locator(f"{WITHIN} {BAR}")).to_have_count(2)
    assert visitor.polls_during(intervals=5, interval=INTERVAL) == 0
    assert len(visitor.documents) == 1
