"""The buttons that start something: who sees them, and who may press them."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from django.contrib.admin.models import LogEntry
from django.test import Client

from progress_widget.models import TaskProgress
from tests.admin.admins import TASK, HarvestAdmin
from tests.models import Bay, Harvest

pytestmark = pytest.mark.django_db
LIST = "/admin/tests/harvest/"
USERS = ["superuser", "changer", "viewer", "outsider", "anonymous"]
rows = TaskProgress.objects


def buttons(page) -> list[str]:
    return [button.text for button in page.select(".object-tools button")]


def door(name: str, harvest: Harvest) -> str:
    """Return the URL of a button, of the list or of an object."""
    return f"{LIST}{'' if name == 'dry_all' else f'{harvest.pk}/'}progress/{name}/"


@pytest.mark.parametrize(
    ("user", "on_list", "on_page"),
    [
        ("superuser", ["Dry all harvests", "Export", "Look"], ["Dry this", "Export one"]),
        ("changer", ["Dry all harvests", "Export", "Look"], ["Dry this", "Export one"]),
        ("viewer", ["Look"], []),
    ],
)
def test_user_sees_the_buttons_that_work(visit, log_in, harvest, user, on_list, on_page):
    log_in(user)

    assert buttons(visit(LIST)) == on_list
    assert buttons(visit(f"{LIST}{harvest.pk}/change/")) == on_page


@pytest.mark.parametrize(
    ("user", "status"),
    [("superuser", 200), ("changer", 200), ("viewer", 200), ("outsider", 403), ("anonymous", 302)],
)
@pytest.mark.parametrize("page", ["", "{}/change/"])
def test_page_is_for_those_who_may_view(client, log_in, harvest, user, status, page):
    log_in(user)

    response = client.get(LIST + page.format(harvest.pk))

    assert response.status_code == status
    assert response.get("Location", "/admin/login/").startswith("/admin/login/")


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", ["dry_all", "dry_one"])
def test_button_works_for_those_who_may_change(client, log_in, harvest, user, name):
    owner = log_in(user)
    page_of = {"dry_all": LIST, "dry_one": f"{LIST}{harvest.pk}/change/"}

    response = client.post(door(name, harvest))

    may = user in ("superuser", "changer")
    started = [(row.task_name, row.owner) for row in rows.exclude(task_id="kelp-1")]
    assert started == [(TASK, owner)] * may
    assert response.status_code == (302 if may or user == "anonymous" else 403)
    if user == "anonymous":
        assert response["Location"].startswith("/admin/login/")
        assert client.get(response["Location"]).context["next"] == page_of[name]


@pytest.mark.parametrize("user", ["viewer", "outsider"])
def test_button_has_the_permission_of_its_action(client, log_in, user):
    log_in(user)

    status = client.post(f"{LIST}progress/look/").status_code

    assert status == (302 if user == "viewer" else 403)


def test_button_that_is_not_shown_is_refused(visit, client, log_in, harvest, monkeypatch):
    log_in("superuser")
    monkeypatch.setattr(HarvestAdmin, "get_progress_buttons", lambda *_: [])

    statuses = [client.post(door(name, harvest)).status_code for name in ("dry_all", "dry_one")]

    assert statuses == [403, 403]
    assert not visit(LIST).select("#progress-admin-form, .progress-admin-button")


@pytest.mark.parametrize("name", ["dry_all", "dry_one"])
def test_button_is_no_link(client, log_in, harvest, name):
    log_in("superuser")

    response = client.get(door(name, harvest))

    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert rows.count() == 1


@pytest.mark.parametrize("name", ["dry_all", "dry_one"])
def test_button_needs_the_csrf_token_of_its_page(log_in, harvest, name):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(log_in("superuser"))
    page = BeautifulSoup(strict.get(LIST).content, "html.parser")
    token = page.select_one("#progress-admin-form input")["value"]

    without = strict.post(door(name, harvest))
    with_it = strict.post(door(name, harvest), {"csrfmiddlewaretoken": token})

    assert (without.status_code, with_it.status_code) == (403, 302)


@pytest.mark.parametrize("name", ["dry_one", "delete_queryset", "nothing", "__class__"])
def test_what_is_no_button_of_the_list_is_not_found(client, log_in, name):
    log_in("superuser")

    response = client.post(f"{LIST}progress/{name}/", follow=True)

    assert response.redirect_chain[-1] == ("/admin/", 302)  # as for any object that is not there
    assert "doesn’t exist" in response.text


@pytest.mark.parametrize("name", ["dry_all", "delete_model", "nothing"])
def test_what_is_no_button_of_an_object_is_not_found(client, log_in, harvest, name):
    log_in("superuser")

    assert client.post(f"{LIST}{harvest.pk}/progress/{name}/").status_code == 404


@pytest.mark.parametrize("pk", ["7", "nonsense"])
def test_object_that_is_gone_leads_to_the_index_with_a_message(client, log_in, pk):
    log_in("changer")

    response = client.post(f"{LIST}{pk}/progress/dry_one/", follow=True)

    assert response.redirect_chain == [("/admin/", 302)]
    assert "doesn’t exist" in response.text


def test_object_that_is_gone_is_refused_to_those_who_may_not_view(client, log_in):
    log_in("outsider")

    assert client.post(f"{LIST}7/progress/dry_one/").status_code == 403


def test_object_that_the_queryset_hides_has_no_button(client, log_in, harvest, monkeypatch):
    log_in("superuser")
    monkeypatch.setattr(HarvestAdmin, "get_queryset", lambda *_: Harvest.objects.none())

    response = client.post(door("dry_one", harvest))

    assert (response.status_code, response["Location"]) == (302, "/admin/")
    assert rows.count() == 1


def test_method_may_answer_itself(client, log_in, harvest):
    log_in("superuser")

    doors = (f"{LIST}progress/export/", f"{LIST}{harvest.pk}/progress/export_one/")
    answers = [client.post(url) for url in doors]

    assert [answer.content for answer in answers] == [b"name", b"Spring"]


def test_button_of_the_list_leads_back_to_the_list_with_its_filters(visit, client, log_in, harvest):
    log_in("superuser")
    url = f"{LIST}?name=Spring&q=pri"

    [button] = [one for one in visit(url).select("button") if one.text == "Dry all harvests"]
    response = client.post(button["formaction"])

    assert response["Location"] == url


def test_button_of_an_object_leads_back_to_its_page_with_the_filters_of_the_list(
    visit, client, log_in, harvest
):
    log_in("superuser")
    url = f"{LIST}{harvest.pk}/change/?_changelist_filters=name%3DSpring"

    [button] = [one for one in visit(url).select("button") if one.text == "Dry this"]
    response = client.post(button["formaction"])

    assert response["Location"] == url


def test_buttons_are_in_a_form_of_their_own(visit, log_in, harvest):
    log_in("superuser")

    for url in (LIST, f"{LIST}{harvest.pk}/change/"):
        page = visit(url)
        [form] = page.select("#progress-admin-form")
        [button, *_] = page.select(".object-tools button")
        assert (form["method"], button["form"]) == ("post", form["id"])
        assert [one["name"] for one in form.select("input")] == ["csrfmiddlewaretoken"]
        assert not page.select("form form")


def test_task_that_is_about_an_object_is_in_its_history(client, log_in, harvest):
    user = log_in("changer")

    client.post(door("dry_one", harvest))

    [entry] = LogEntry.objects.all()
    assert (entry.get_change_message(), entry.user) == ("Started “Drying Spring”.", user)
    assert entry.get_edited_object() == harvest
    assert "Drying Spring" in client.get(f"{LIST}{harvest.pk}/history/").text


def test_task_that_is_about_nothing_is_in_no_history(client, log_in):
    log_in("changer")

    client.post(f"{LIST}progress/dry_all/")

    assert rows.get().label == "Drying all"
    assert not LogEntry.objects.exists()


def test_action_over_ticked_rows_starts_a_task(client, log_in, harvest, visit):
    user = log_in("changer")

    sent = {"action": "dry", "_selected_action": harvest.pk, "index": 0}
    response = client.post(LIST, sent, follow=True)

    row = rows.exclude(task_id="kelp-1").get()
    assert (row.label, row.owner) == ("Drying kelp", user)
    assert "Drying kelp" in response.text


def test_button_finds_an_object_whose_key_has_to_be_quoted(visit, client, log_in):
    log_in("superuser")
    bay = Bay.objects.create(code="north_1/change")

    [button] = visit("/admin/tests/bay/north_5F1_2Fchange/change/").select(".object-tools button")
    response = client.post(button["formaction"])

    assert rows.about(bay).exists()
    assert response["Location"] == "/admin/tests/bay/north_5F1_2Fchange/change/"


def test_admin_of_another_name_has_its_own_buttons(visit, client, log_in, harvest, settings):
    settings.ROOT_URLCONF = "tests.admin.urls"
    log_in("superuser")

    [button, *_] = visit("/backstage/tests/harvest/?q=Spring").select(".object-tools button")
    response = client.post(button["formaction"])

    assert button["formaction"].startswith("/backstage/tests/harvest/progress/dry_all/")
    assert response["Location"] == "/backstage/tests/harvest/?q=Spring"
