"""The panel: what the user has started, above the list and on an object's page."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup

from progress_widget.launch import start_task
from progress_widget.models import State, TaskProgress
from tests.admin.admins import TASK, HarvestAdmin

pytestmark = pytest.mark.django_db
LIST = "/admin/tests/harvest/"
HTMX = {"HX-Request": "true"}
rows = TaskProgress.objects


@pytest.fixture
def started(log_in) -> TaskProgress:
    """A task of a user who may change harvests, and who is logged in."""
    row = start_task(TASK, owner=log_in("changer"), label="Drying kelp", link="/kelp/")
    rows.filter(pk=row.pk).update(state=State.RUNNING, attempt=1)
    return row


def labels(page: Any) -> list[str]:
    return [label.text for label in page.select("[data-progress-tray] .progressbar__label")]


def links(page: Any) -> list[str]:
    return [link.text for link in page.select("section li .progress-tray__link[href='']")]


@pytest.mark.parametrize("page", ["", "{}/change/"])
def test_panel_shows_the_own_tasks(visit, started, harvest, log_in, page):
    url = LIST + page.format(harvest.pk)

    own = visit(url)
    log_in("superuser")
    foreign = visit(url)

    assert labels(own) == ["Drying kelp"]
    assert own.select_one("[data-progress-tray] section")["aria-label"] == "Your background tasks"
    assert labels(foreign) == []


def test_panel_stays_when_the_page_is_left_and_visited_again(visit, started):
    assert labels(visit(LIST)) == labels(visit(LIST)) == ["Drying kelp"]


def test_panel_is_outside_of_the_forms_of_the_admin(visit, started, harvest):
    for url in (LIST, f"{LIST}{harvest.pk}/change/"):
        assert visit(url).select_one("[data-progress-tray]").find_parent("form") is None


def test_no_bar_in_the_forms_of_the_admin_can_be_cancelled(visit, started, harvest):
    rows.filter(task_id="kelp-1").update(owner=started.owner)

    for url in (LIST, f"{LIST}{harvest.pk}/change/"):
        page = visit(url)
        assert page.select("[data-progress-tray] .progressbar__cancel")
        assert not page.select(".field-progress .progressbar__cancel, form form")


def test_panel_can_be_left_out(visit, started, monkeypatch):
    monkeypatch.setattr(HarvestAdmin, "progress_panel", False)

    page = visit(LIST)

    assert not page.select("[data-progress-tray]")
    assert page.select(".progress-admin-button")


def test_form_that_adds_an_object_has_no_panel(log_in, visit):
    log_in("superuser")

    assert not visit(f"{LIST}add/").select("[data-progress-tray]")


def test_dismissed_task_is_gone(visit, client, started):
    rows.update(state=State.SUCCEEDED)
    page = visit(LIST)
    before = labels(page)

    client.post(page.select_one("[data-progress-tray] form")["action"], headers=HTMX)

    assert (before, labels(visit(LIST))) == (["Drying kelp"], [])


def test_list_can_be_reloaded_once_a_task_has_finished(visit, client, started):
    live = visit(LIST)
    rows.update(state=State.SUCCEEDED)
    reloaded = visit(LIST)

    assert (links(live), links(reloaded)) == (["Reload list"], [])
    assert live.select_one(".progress-admin--list")


def test_panel_that_is_drawn_anew_is_the_admins(visit, client, started):
    url = visit(LIST).select_one("[data-progress-tray]")["hx-get"]

    answer = BeautifulSoup(client.get(url, headers=HTMX).content, "html.parser")

    assert answer.section["aria-label"] == "Your background tasks"
    assert links(answer) == ["Reload list"]


@pytest.mark.parametrize("user", ["superuser", "changer", "viewer", "outsider", "anonymous"])
def test_panel_obeys_its_owner_alone(visit, client, started, log_in, user):
    page = visit(LIST)
    cancel, dismiss = [form["action"] for form in page.select("[data-progress-tray] form")]
    log_in(user)

    cancelled = client.post(cancel).status_code
    rows.update(state=State.CANCELLED)
    dismissed = client.post(dismiss).status_code

    row, is_owner = rows.get(), user == "changer"
    assert (cancelled, dismissed) == ((200, 200) if is_owner else (403, 403))
    assert (row.cancel_asked_at is not None, row.seen_at is not None) == (is_owner, is_owner)
