"""Bars survive whatever happens on the way to the server."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Route

from progress_widget.bars import ProgressBar
from tests.browser.visitor import Visitor, tag

POLLS = "**/progress/**"
ERROR_PAGE = "<!doctype html><title>Bad Gateway</title><h1>Something is broken</h1>"


def answers(status: int) -> Callable[[Route], None]:
    return lambda route: route.fulfill(
        status=status, body=ERROR_PAGE, content_type="text/html; charset=utf-8"
    )


def refuses(route: Route) -> None:
    route.abort("connectionrefused")


TROUBLES = [*(answers(status) for status in (403, 404, 500, 502)), refuses]
LOGGED = (
    r"Failed to load resource",
    r"Response Status Error Code",
    r"htmx:(error|sendError|timeout|afterRequest)",
    r"Failed to fetch",
)


def test_bar_stays_and_recovers_after_each_kind_of_error(visitor: Visitor) -> None:
    visitor.expects(*LOGGED)
    bar = ProgressBar("kelp", total=10)
    visitor.opens(tag("kelp"))
    visitor.sees(percent=0)

    for progress, trouble in enumerate(TROUBLES, 1):
        visitor.page.route(POLLS, trouble)
        # A poll on its way may still bring the change; the next one begins when it is over.
        visitor.waits_for_polls(1)
        bar.update(progress=progress)
        visitor.waits_for_polls(2)
        visitor.sees(percent=progress * 10 - 10, state="running")
        visitor.page.unroute(POLLS)
        visitor.sees(percent=progress * 10)
    bar.finalize()
    visitor.sees(state="succeeded")

    assert visitor.page.title() == "Host page"
    assert visitor.page.get_by_text("Something is broken").count() == 0
    assert visitor.most_at_once == 1
    assert visitor.polls_during(intervals=3) == 0


def test_bar_stays_and_recovers_after_being_offline(visitor: Visitor) -> None:
    visitor.expects(*LOGGED)
    bar = ProgressBar("kelp", total=10)
    visitor.opens(tag("kelp"))
    visitor.sees(percent=0)

    # A poll that is on its way may still bring the change.
    with visitor.page.expect_event("requestfailed"):
        visitor.page.context.set_offline(True)
    bar.update(progress=6)
    visitor.waits_for_polls(4)
    visitor.sees(percent=0, state="running")
    visitor.page.context.set_offline(False)

    visitor.sees(percent=60)
    assert visitor.most_at_once == 1


def test_slow_answers_do_not_pile_up(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    held: list[Route] = []
    visitor.page.route(POLLS, lambda route: held.append(route), times=3)
    visitor.opens(tag("kelp"))

    for number, progress in enumerate((2, 5, 8), 1):
        bar.update(progress=progress)
        visitor.waits_for_polls(number - len(visitor.polls))
        assert visitor.polls_during(intervals=3) == 0
        held.pop().continue_()
        visitor.sees(percent=progress * 10)
    bar.finalize()
    visitor.sees(state="succeeded")

    assert held == []
    assert visitor.most_at_once == 1
    assert visitor.polls_during(intervals=3) == 0


def test_hung_request_is_given_up(visitor: Visitor) -> None:
    visitor.expects(*LOGGED, "abort")
    bar = ProgressBar("kelp", total=10)
    hung: list[Route] = []
    visitor.page.route(POLLS, lambda route: hung.append(route), times=1)
    # The package waits for ten seconds, which is too long for the test.
    visitor.opens(
        tag("kelp"),
        instead=(('"timeout":10000', '"timeout":400'), ("timeout:10s", "timeout:400ms")),
    )

    bar.update(progress=6)
    visitor.sees(percent=60)

    assert len(hung) == 1
    assert "aborted" in visitor.polls[0].failure.lower()
    assert visitor.most_at_once == 1


def test_bar_gives_up_a_request_after_ten_seconds(visitor: Visitor) -> None:
    ProgressBar("kelp", total=10)

    visitor.opens(tag("kelp"))

    assert visitor.bar.get_attribute("hx-request") == '"timeout":10000'
    assert visitor.bar.get_attribute("hx-config") == "timeout:10s"
