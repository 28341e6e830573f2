"""The tray on a page, and its two views."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from django.contrib.auth import get_user_model
from django.db import Error
from django.middleware.csrf import CsrfViewMiddleware
from django.test import Client
from django.utils import timezone, translation

from progress_widget.models import State, TaskProgress
from progress_widget.reading import tickets, trays
from progress_widget.reading.rendering import progressbar

pytestmark = pytest.mark.django_db
TRAY = "{% progress_tray %}"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
HTMX = {"HX-Request": "true", "Referer": "http://testserver/harvests/"}


@pytest.fixture
def otter(client):
    """A user, who is logged in."""
    user = get_user_model().objects.create_user("otter")
    client.force_login(user)
    return user


@pytest.fixture
def row_of(otter):
    """Make a row of the otter's task."""

    def row_of(task_id="kelp", **values):
        return TaskProgress.objects.create(
            **{"task_id": task_id, "total": 10, "owner": otter} | values
        )

    return row_of


@pytest.fixture
def page(draw, request_of, otter):
    """Return the otter's page."""

    def page(source=TRAY, user=None):
        return soup(draw(source, request_of(user or otter)))

    return page


def soup(html: Any) -> BeautifulSoup:
    text = html.content.decode() if hasattr(html, "content") else html
    return BeautifulSoup(text, "html.parser")


def labels(html: BeautifulSoup) -> list[str]:
    return [label.get_text() for label in html.select(".progressbar__label")]


def place_of(html: BeautifulSoup) -> Tag:
    [place] = html.select("[data-progress-tray]")
    return place


def names(html: BeautifulSoup, selector: str) -> list[str]:
    return [" ".join(one.get_text().split()) for one in html.select(selector)]


def test_tray_shows_what_the_user_has_started(page, row_of):
    row_of("dry", label="Kelp drying", progress=4)
    row_of("pack", label="Kelp packing", state=State.FAILED)

    html = page()

    assert labels(html) == ["Kelp packing", "Kelp drying"]
    buttons = names(html, ".progress-tray__actions button")
    assert buttons == ["Dismiss Kelp packing", "Dismiss Kelp drying"]
    assert html.section["aria-label"] == "Your tasks"
    states = [bar["data-state"] for bar in html.select("[data-progress-widget] > [data-state]")]
    assert states == ["failed", "running"]


def test_row_without_a_label_is_shown_as_any_bar_without(page, row_of):
    row_of()

    html = page()

    assert labels(html) == []
    assert names(html, ".progress-tray__actions button") == ["Dismiss"]


def test_empty_tray_is_a_place_and_no_more(page):
    place = place_of(page())

    assert not place.find_all(True)
    assert place["hx-trigger"] == "progressbar:started from:document"


@pytest.mark.parametrize("count", [0, 5, 6])
def test_tray_takes_one_query(page, row_of, count, django_assert_num_queries):
    for number in range(count):
        row_of(f"kelp-{number}")

    with django_assert_num_queries(1):
        html = page()

    assert len(html.select("li")) == min(count, 5)


def test_visitor_who_is_not_logged_in_gets_nothing(draw, request_of, django_assert_num_queries):
    TaskProgress.objects.create(task_id="nobody's")

    with django_assert_num_queries(0):
        assert draw(TRAY, request_of()) == ""


def test_page_without_request_or_user_gets_nothing(draw, rf, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert draw(TRAY) == draw(TRAY, rf.get("/")) == ""


def test_tasks_of_others_are_never_shown(page, row_of, client, admin_user):
    row_of(label="Kelp harvest")

    assert "Kelp" not in str(page(user=admin_user))
    client.force_login(admin_user)
    assert client.get(place_of(page())["hx-get"], headers=HTMX).content.strip() == b""


def test_task_that_can_view_refuses_is_left_out(page, row_of, settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.browser.views.may_view"
    row_of("refused", label="Secret kelp")
    row_of("dry", label="Kelp drying")

    html = page()

    assert labels(html) == ["Kelp drying"]
    assert "Secret" not in str(html)


def test_owner_or_staff_sees_the_own_tasks(page, row_of, settings, django_assert_num_queries):
    settings.PROGRESS_WIDGET_CAN_VIEW = "progress_widget.reading.access.owner_or_staff"
    row_of(label="Kelp harvest")

    with django_assert_num_queries(1):
        assert labels(page()) == ["Kelp harvest"]


@pytest.mark.parametrize(
    ("link", "shown"), [("/bays/3/", ["/bays/3/"]), ("javascript:alert(1)", []), ("", [])]
)
def test_link_leads_to_the_result_or_is_not_there(page, row_of, link, shown):
    row_of(label="Kelp harvest", state=State.SUCCEEDED, link=link)

    html = page()

    assert [one["href"] for one in html.select("li a")] == shown
    assert names(html, "li a") == ["Open Kelp harvest"] * len(shown)


@pytest.mark.parametrize(
    ("is_asked", "minutes", "is_stuck"),
    [(True, 10, True), (True, 0, False), (False, 10, False)],
)
def test_cancelled_task_that_is_silent_is_marked(page, row_of, is_asked, minutes, is_stuck):
    now = timezone.now()
    heard_of = now - timedelta(minutes=minutes)
    row_of(updated_at=heard_of, cancel_asked_at=now if is_asked else None)

    [item] = page().select("li")

    assert ("progress-tray__item--stuck" in item["class"]) == is_stuck


def test_labels_are_escaped(page, row_of):
    row_of(label="<script>alert(1)</script>", link='/"><script>alert(1)</script>')

    assert not page().select("script")


@pytest.mark.parametrize("tag", ["progress_widget_media", "progress_widget_css"])
def test_stylesheet_is_loaded_in_the_head_of_a_page_with_a_tray(draw, tag):
    html = soup(draw(f"{{% {tag} tray=True %}}", csp_nonce="n0nce"))
    without = soup(draw(f"{{% {tag} %}}"))

    assert [one["href"].rpartition("/")[2] for one in html.select("link[nonce=n0nce]")] == [
        "progress_widget.css",
        "progress_tray.css",
    ]
    assert len(without.select("link")) == 1


@pytest.mark.parametrize("is_debug", [True, False])
def test_missing_stylesheet_is_told_of_under_debug(page, row_of, settings, is_debug):
    settings.DEBUG = is_debug
    row_of()

    assert [hint.get_text() for hint in page().select(".progress-tray__hint")] == [
        "This page has a tray, but not {% progress_widget_media tray=True %}."
    ] * is_debug


def test_tray_within_progressbars_is_drawn(page, row_of, django_assert_num_queries):
    row_of(label="Kelp harvest")
    around = "{% progressbars %}{% progressbar 'kelp' %}" + TRAY + "{% endprogressbars %}"

    with django_assert_num_queries(2):
        html = page(around)

    assert labels(html) == ["Kelp harvest"] * 2


def test_tray_in_a_cache_is_for_its_user_only(draw, request_of, row_of, otter, admin_user):
    row_of(label="Kelp harvest")
    source = "{% load cache %}{% cache 9 tray request.user.pk %}" + TRAY + "{% endcache %}"

    again = [draw(source, request_of(user)) for user in (otter, otter, admin_user)]

    assert ["Kelp" in html for html in again] == [True, True, False]


def test_own_template_replaces_a_block_here_and_when_the_tray_is_drawn_anew(page, row_of, client):
    row_of(label="Kelp harvest")

    html = page("{% progress_tray template='tests/tray.html' %}")
    anew = soup(client.get(place_of(html)["hx-get"], headers=HTMX))
    after = soup(client.post(html.select_one("[action*=dismiss]")["action"], headers=HTMX))

    firsts = [next(one.li.stripped_strings) for one in (html, anew, after)]
    assert firsts == ["Just Kelp harvest"] * 3


def test_htmx_draws_the_tray_anew(page, row_of, client):
    url = place_of(page())["hx-get"]
    row_of(label="Kelp harvest")

    answer = client.get(url, headers=HTMX)

    assert labels(soup(answer)) == ["Kelp harvest"]
    assert not soup(answer).select("[data-progress-tray], [autofocus]")
    assert answer["Cache-Control"] == "private, no-store"
    assert "Cookie" in answer["Vary"]


def test_tray_of_somebody_who_has_logged_out_is_emptied(page, row_of, client):
    row_of(label="Kelp harvest")
    url = place_of(page())["hx-get"]
    client.logout()

    answer = client.get(url, headers=HTMX)

    assert (answer.status_code, answer.content.strip()) == (200, b"")


@pytest.mark.parametrize("name", ["tray", "dismiss"])
def test_forged_token_is_refused(otter, client, name):
    answer = client.generic("GET" if name == "tray" else "POST", f"/progress/{name}/forged/")

    assert (answer.status_code, answer.content) == (403, b"")


@pytest.mark.parametrize(("name", "method"), [("tray", "POST"), ("dismiss", "GET")])
def test_no_other_method_is_allowed(client, name, method):
    assert client.generic(method, f"/progress/{name}/any/").status_code == 405


def test_refresh_prolongs_no_session(page, client, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = True
    url = place_of(page())["hx-get"]

    assert "sessionid" not in client.get(url, headers=HTMX).cookies


def test_tray_stays_as_it_is_where_the_database_can_not_be_asked(page, client, refusing_database):
    url = place_of(page())["hx-get"]

    with refusing_database():
        answer = client.get(url, headers=HTMX)

    assert answer.status_code == 204


def test_page_outlives_a_tray_whose_database_can_not_be_asked(page, monkeypatch, caplog):
    def fail(request):
        raise Error

    monkeypatch.setattr(trays, "_rows_of", fail)

    assert not place_of(page()).find_all(True)
    assert [record.message for record in caplog.records] == [trays.OUTAGE]


def test_dismissed_task_is_gone_and_a_sixth_moves_up(page, row_of, client):
    for number in range(6):
        row_of(f"kelp-{number}", label=f"Kelp {number}", state=State.SUCCEEDED)

    answer = client.post(page().form["action"], headers=HTMX)

    assert labels(soup(answer)) == [f"Kelp {number}" for number in (4, 3, 2, 1, 0)]
    assert labels(page()) == labels(soup(answer))
    assert answer["Cache-Control"] == "private, no-store"


def test_focus_goes_to_the_head_of_the_tray_or_to_what_says_that_it_is_empty(page, row_of, client):
    row_of("dry", state=State.SUCCEEDED)
    row_of("pack", state=State.SUCCEEDED)
    first, second = [form["action"] for form in page().select("form")]

    focused = [
        soup(client.post(url, headers=HTMX)).select("[autofocus]") for url in (first, second)
    ]

    assert [[one.name for one in found] for found in focused] == [["summary"], ["p"]]
    assert focused[1][0].get_text() == "There are no more tasks here."


def test_task_that_still_runs_stays(page, row_of, client):
    row_of(label="Kelp harvest", progress=4)

    answer = client.post(page().form["action"], headers=HTMX)

    assert labels(soup(answer)) == ["Kelp harvest"]


def test_another_user_can_not_dismiss(page, row_of, client, admin_user):
    row_of(state=State.SUCCEEDED)
    url = page().form["action"]

    client.force_login(admin_user)
    assert client.post(url, headers=HTMX).status_code == 403
    client.logout()
    assert client.post(url, headers=HTMX).status_code == 403
    assert TaskProgress.objects.get().seen_at is None


def test_token_of_a_bar_of_nobody_dismisses_nothing(row_of, client):
    row_of(state=State.SUCCEEDED)
    token = tickets.sign(tickets.Ticket(task_id="kelp"))

    assert client.post(f"/progress/dismiss/{token}/").status_code == 403
    client.logout()
    assert client.post(f"/progress/dismiss/{token}/").status_code == 403
    assert TaskProgress.objects.get().seen_at is None


def test_site_that_wants_a_login_redirects_neither_view(page, row_of, client, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN]
    row_of(label="Kelp harvest", state=State.SUCCEEDED)
    html = page()

    assert labels(soup(client.get(place_of(html)["hx-get"], headers=HTMX))) == ["Kelp harvest"]
    assert client.post(html.form["action"], headers=HTMX).status_code == 200
    client.logout()
    assert client.get(place_of(html)["hx-get"], headers=HTMX).status_code == 200
    assert client.post(html.form["action"], headers=HTMX).status_code == 403


@pytest.mark.parametrize("has_middleware", [True, False])
def test_dismissal_needs_the_token_against_forgery(
    row_of, otter, draw, request_of, settings, has_middleware
):
    if not has_middleware:
        without = f"{CsrfViewMiddleware.__module__}.{CsrfViewMiddleware.__name__}"
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != without]
    row_of(state=State.SUCCEEDED)
    request = request_of(otter)
    form = soup(draw(TRAY, request)).form
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(otter)
    strict.cookies["csrftoken"] = request.META["CSRF_COOKIE"]

    assert strict.post(form["action"], headers=HTMX).status_code == 403
    assert TaskProgress.objects.get().seen_at is None
    sent = {form.input["name"]: form.input["value"]}
    assert strict.post(form["action"], sent, headers=HTMX).status_code == 200
    assert TaskProgress.objects.get().seen_at is not None


@pytest.mark.parametrize(
    ("referer", "leads_to"),
    [
        ("http://testserver/harvests/?page=2", "http://testserver/harvests/?page=2"),
        ("https://evil.example/", None),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
def test_without_htmx_the_user_comes_back_to_a_page_of_this_site(
    page, row_of, client, referer, leads_to
):
    row_of(state=State.SUCCEEDED)
    headers = {"Referer": referer} if referer else {}

    answer = client.post(page().form["action"], headers=headers)

    assert answer.get("Location") == leads_to
    assert answer.status_code == (303 if leads_to else 200)
    assert TaskProgress.objects.get().seen_at is not None


@pytest.mark.parametrize(("language", "name"), [("de", "Ihre Aufgaben"), ("ar", "مهامك")])
def test_tray_keeps_the_language_of_its_page(page, row_of, client, language, name):
    row_of(state=State.SUCCEEDED)
    row_of("dry")
    with translation.override(language):
        html = page()

    headers = HTMX | {"Accept-Language": "en"}
    anew = soup(client.get(place_of(html)["hx-get"], headers=headers))
    after = soup(client.post(html.select("form")[1]["action"], headers=headers))

    assert [one.section["aria-label"] for one in (html, anew, after)] == [name] * 3
    assert not re.search("Dismiss|Your tasks", str(html) + str(anew) + str(after))


def test_token_of_the_tray_opens_no_bar(page, row_of, client):
    row_of(label="Kelp harvest")
    token = place_of(page())["hx-get"].split("/")[-2]

    assert "Kelp" not in client.get(f"/progress/{token}/?k=&v=", headers=HTMX).content.decode()


def test_bar_of_the_page_and_that_of_the_tray_are_told_apart(page, row_of):
    row = row_of()

    html = soup(str(page()) + progressbar(row))

    keys = [bar["id"] for bar in html.select("[data-state]")]
    assert len(set(keys)) == 2
