"""Bars on pages whose own htmx would interfere with them."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from progress_widget.bars import ProgressBar
from tests.browser import views
from tests.browser.test_network import LOGGED, POLLS, answers
from tests.browser.visitor import MANY_BARS_INTERVAL, Visitor, tag

BAR = tag("kelp")
ONE_OF_MANY = tag("kelp", interval=MANY_BARS_INTERVAL)
ONE_AND_MANY = pytest.mark.parametrize("body", [BAR, ONE_OF_MANY * 3], ids=["one", "many"])
HTMX_4 = [htmx for htmx in views.HTMX_TAGS if htmx != "2"]
# What an element can hand down to a bar inside it, with values that would do harm.
HANDED_DOWN = {
    "hx-boost": "true",
    "hx-config": "timeout:1ms",
    "hx-confirm": "Sure?",
    "hx-disabled-elt": "#login input",
    "hx-encoding": "multipart/form-data",
    "hx-ext": "none-such",
    "hx-get": "/pages/panel/",
    "hx-include": "#login",
    "hx-indicator": "#spinner",
    "hx-params": "none",
    "hx-prompt": "Why?",
    "hx-push-url": "true",
    "hx-replace-url": "true",
    "hx-request": '{"timeout": 1}',
    "hx-select": "#none-such",
    "hx-select-oob": "#target",
    "hx-swap": "delete",
    "hx-sync": "#login:abort",
    "hx-target": "#target",
    "hx-trigger": "none-such",
    "hx-validate": "true",
    "hx-vals": '{"secret": "sesame"}',
}
COUNT_TRANSITIONS = """
window.transitions = 0;
const start = document.startViewTransition;
document.startViewTransition = (...given) => {
  transitions += 1;
  return start.apply(document, given);
};
"""
# In htmx 2, this one switches htmx off: see below.
HANDED_DOWN_4 = HANDED_DOWN | {"hx-disable": "#login input"}
IMPLICITLY = """<meta name="htmx-config" content='{"implicitInheritance": true}'>"""
HOST = """
<form id="login"><input name="password" value="sesame"><textarea name="note"></textarea></form>
<p id="spinner">Text of the host page</p>
<p id="target">More of it</p>
"""
SPACE = '<div style="height: 3000px"></div>'
# The event before each request of one version, which then leaves the bar to the other.
HELD_UP = {"older": "htmx:configRequest", "newer": "htmx:config:request"}
HOLD_UP = """document.addEventListener("{}", (event) => {{
  if (document.querySelector("[data-state=running]")) event.preventDefault();
}}, true)"""
WATCH_THE_HOST = """() => {
  window.meddled = [];
  const watch = new MutationObserver((changes) => {
    for (const {target, type, attributeName} of changes) {
      const element = target instanceof Element ? target : target.parentElement;
      // htmx 4 keeps something beside head and body for a moment.
      if (element === document.documentElement || !element.isConnected) continue;
      if (!element.closest("[data-progress-widget]")) {
        meddled.push(`${type} ${attributeName} of ${element.outerHTML.slice(0, 80)}`);
      }
    }
  });
  const all = {subtree: true, childList: true, attributes: true, characterData: true};
  watch.observe(document.documentElement, all);
}"""
BE_BUSY = """() => {
  scrollTo(0, 20);
  getSelection().selectAllChildren(document.querySelector("#spinner"));
  const note = document.querySelector("textarea");
  note.focus({preventScroll: true});
}"""
BUSY_WITH = """() => [
  scrollY,
  document.activeElement.name,
  document.querySelector("textarea").value,
  document.querySelector("textarea").selectionStart,
  document.querySelector("#login input").value,
  document.title,
  location.href,
  history.length,
]"""


def test_attributes_of_ancestors_do_no_harm_singly(visitor: Visitor) -> None:
    parts = [
        f"<div {handed_down({name: value}, visitor)}>{ONE_OF_MANY}</div>"
        for name, value in attributes_for(visitor).items()
    ]

    assert_bars_are_unmoved(visitor, "".join(parts))


@ONE_AND_MANY
def test_attributes_of_the_body_do_no_harm_all_at_once(visitor: Visitor, body: str) -> None:
    attributes = handed_down(attributes_for(visitor), visitor)

    assert_bars_are_unmoved(visitor, body, attributes=attributes)


@pytest.mark.parametrize("htmx", HTMX_4, indirect=True)
def test_attributes_that_are_inherited_implicitly_do_no_harm_singly(visitor: Visitor) -> None:
    parts = [
        f"<div {plain({name: value})}>{ONE_OF_MANY}</div>"
        for name, value in attributes_for(visitor).items()
    ]

    assert_bars_are_unmoved(visitor, "".join(parts), head=IMPLICITLY)


@ONE_AND_MANY
@pytest.mark.parametrize("htmx", HTMX_4, indirect=True)
def test_attributes_that_are_inherited_implicitly_do_no_harm_all_at_once(
    visitor: Visitor, body: str
) -> None:
    attributes = plain(attributes_for(visitor))

    assert_bars_are_unmoved(visitor, body, attributes=attributes, head=IMPLICITLY)


def test_surroundings_do_no_harm(visitor: Visitor) -> None:
    surroundings = [
        '<form method="get">{}<input name="password" value="sesame" required></form>',
        '<form method="post">{}<input type="hidden" name="v" value="sesame"></form>',
        "<table><tr><td>{}</td></tr></table>",
        "<p>{}</p>",
        "<details open><summary>More</summary>{}</details>",
        '<button type="button">{}</button>',
        '<ul><li><a href="/pages/host/">{}</a></ul>',
        "{0}{0}",
    ]

    assert_bars_are_unmoved(visitor, "".join(part.format(ONE_OF_MANY) for part in surroundings))


def test_loading_htmx_twice_does_no_harm(visitor: Visitor) -> None:
    again = views.HTMX_TAGS[visitor.htmx]

    assert_bars_are_unmoved(visitor, BAR, head=again)


@ONE_AND_MANY
def test_headers_of_the_host_are_handed_down(visitor: Visitor, body: str) -> None:
    attributes = handed_down({"hx-headers": '{"x-host": "seaweed"}'}, visitor)

    assert_bars_are_unmoved(visitor, body, attributes=attributes)

    assert {poll.headers.get("x-host") for poll in visitor.polls} == {"seaweed"}


@pytest.mark.parametrize("preserve", ["", 'id="kept" hx-preserve="true"'])
def test_bar_in_an_element_that_is_swapped_itself(visitor: Visitor, preserve: str) -> None:
    bar = ProgressBar("kelp", total=10)
    panel = f"<div {preserve}>{BAR}</div>"
    visitor.publishes("panel", panel)
    visitor.opens(f'<div id="panel" hx-get="/pages/panel/" hx-trigger="every 200ms">{panel}</div>')
    visitor.page.locator("#panel > div").evaluate("part => { part.mark = true }")
    swaps: list[str] = []
    visitor.page.on("response", lambda answer: swaps.append(answer.url))

    bar.update(progress=5)
    visitor.sees(percent=50)
    while sum("/panel/" in url for url in swaps) < 4:
        visitor.page.wait_for_event("response")
    visitor.sees(percent=50)
    bar.finalize()
    visitor.sees(state="succeeded")

    assert visitor.polls_during(intervals=4) == 0
    kept = visitor.page.locator("#panel > div").evaluate("part => Boolean(part.mark)")
    assert kept == bool(preserve)


def test_host_that_switches_htmx_off_gets_a_bar_that_stands_still(visitor: Visitor) -> None:
    bar = ProgressBar("kelp", total=10)
    bar.update(progress=4)
    attribute = "hx-disable" if visitor.is_on_htmx_2 else "hx-ignore"
    visitor.opens(f"<div {attribute}>{tag('kelp')}</div>{HOST}")
    visitor.page.evaluate(WATCH_THE_HOST)

    bar.finalize()

    assert visitor.polls_during(intervals=3) == 0
    visitor.sees(percent=40, state="running")
    assert visitor.page.evaluate("meddled") == []


@pytest.mark.parametrize("htmx", HTMX_4, indirect=True)
def test_host_with_its_own_rule_for_500_loses_the_bar_and_no_more(visitor: Visitor) -> None:
    assert_error_replaces_the_bar(visitor, attributes='hx-status:500:inherited="swap:outerHTML"')


@pytest.mark.parametrize("htmx", ["2"], indirect=True)
def test_host_that_swaps_errors_loses_the_bar_and_no_more(visitor: Visitor) -> None:
    rules = '[{"code": "204", "swap": false}, {"code": ".*", "swap": true}]'
    config = f'{{"responseHandling": {rules}, "includeIndicatorStyles": false}}'

    assert_error_replaces_the_bar(visitor, head=f"<meta name=\"htmx-config\" content='{config}'>")


@pytest.mark.parametrize("held", ["nothing", *HELD_UP])
@pytest.mark.parametrize("htmx", HTMX_4, indirect=True)
def test_two_major_versions_at_once_leave_bar_and_page_right(visitor: Visitor, held: str) -> None:
    # Either may find that the other has replaced the bar.
    visitor.expects("insertBefore")
    bar = ProgressBar("kelp", total=10)
    # From the first poll on: the other one does not know what this one has put into the page.
    visitor.page.add_init_script(HOLD_UP.format(HELD_UP.get(held, "")))
    visitor.opens(tag("kelp") + HOST, head=views.HTMX_TAGS["2"])
    visitor.page.evaluate(WATCH_THE_HOST)

    bar.update(progress=5)
    visitor.sees(percent=50)
    bar.finalize()
    visitor.sees(state="succeeded")

    assert visitor.polls_during(intervals=3) == 0
    assert visitor.page.evaluate("meddled") == []


def assert_bars_are_unmoved(
    visitor: Visitor, body: str, *, attributes: str = "", head: str = ""
) -> None:
    """Run a bar to its end on a page that is in use, and compare before and after."""
    bar = ProgressBar("kelp", total=10)
    visitor.opens(HOST + body + SPACE, attributes=attributes, head=head)
    visitor.page.evaluate(BE_BUSY)
    visitor.page.keyboard.type("Dear")
    before = visitor.page.evaluate(BUSY_WITH)
    visitor.page.evaluate(WATCH_THE_HOST)

    bar.update(progress=5)
    visitor.sees_all("data-percent", "50.0")
    bar.finalize()
    visitor.sees_all("data-state", "succeeded")

    assert visitor.polls_during(intervals=3, interval=MANY_BARS_INTERVAL) == 0
    assert visitor.page.evaluate(BUSY_WITH) == before
    assert before[1:3] == ["note", "Dear"]
    assert visitor.page.evaluate("meddled") == []
    assert visitor.dialogs == []
    urls = [url for poll in visitor.polls for url in (poll.post_data or poll.url).split("\n")]
    queries = [urlsplit(url).query for url in urls if not re.fullmatch(r"\d+ \d+", url)]
    assert {tuple(parse_qs(query)) for query in queries} == {("k", "v")}
    assert not any("sesame" in url for url in urls)
    assert {poll.method for poll in visitor.polls} <= {"GET", "POST"}


@ONE_AND_MANY
def test_page_whose_htmx_uses_view_transitions_has_none_for_a_bar(
    visitor: Visitor, body: str
) -> None:
    config = {"globalViewTransitions": True, "transitions": True, "includeIndicatorStyles": False}
    visitor.page.add_init_script(COUNT_TRANSITIONS)
    bar = ProgressBar("kelp", total=10)
    visitor.opens(body, head=f"<meta name='htmx-config' content='{json.dumps(config)}'>")

    for progress in (4, 8):
        bar.update(progress=progress)
        expect(visitor.bar.first).to_have_attribute("data-percent", f"{progress}0.0")

    assert visitor.page.evaluate("transitions") == 0


def assert_error_replaces_the_bar(
    visitor: Visitor, *, attributes: str = "", head: str = ""
) -> None:
    visitor.expects(*LOGGED)
    ProgressBar("kelp", total=10)
    visitor.opens(tag("kelp") + HOST, attributes=attributes, head=head)
    visitor.sees(percent=0)
    visitor.page.evaluate(WATCH_THE_HOST)

    visitor.page.route(POLLS, answers(500))
    expect(visitor.page.locator("[data-progress-widget]")).to_contain_text("Something is broken")

    expect(visitor.bar).to_have_count(0)
    assert visitor.polls_during(intervals=3) == 0
    meddled = visitor.page.evaluate("meddled")
    assert [change for change in meddled if "<title" not in change and "<head" not in change] == []


def plain(given: dict[str, str]) -> str:
    return " ".join(f"{name}='{value}'" for name, value in given.items())


def handed_down(given: dict[str, str], visitor: Visitor) -> str:
    """Write attributes so that the visitor's htmx hands them down."""
    if visitor.is_on_htmx_2:
        return plain(given)
    return plain({f"{name}:inherited": value for name, value in given.items()})


def attributes_for(visitor: Visitor) -> dict[str, str]:
    return HANDED_DOWN if visitor.is_on_htmx_2 else HANDED_DOWN_4
