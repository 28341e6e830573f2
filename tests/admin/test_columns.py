"""The bars of objects: the column of a list, and the field of a page."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from progress_widget.admin import ProgressAdminMixin
from progress_widget.launch import start_task
from progress_widget.models import State, TaskProgress
from tests.admin.admins import TASK, BayAdmin, HarvestAdmin
from tests.models import Bay, Harvest

pytestmark = pytest.mark.django_db
LIST = "/admin/tests/harvest/"
BAYS = "/admin/tests/bay/"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
rows = TaskProgress.objects


@pytest.fixture(autouse=True)
def superuser(log_in) -> Any:
    return log_in("superuser")


def percents(page: BeautifulSoup) -> list[str]:
    """Return of each cell the percent of its bar, or its text if it has none."""
    cells = page.select("#result_list .field-progress")
    bars = [cell.select_one("[data-state]") for cell in cells]
    return [
        cell.get_text(strip=True) if bar is None else bar["data-percent"]
        for cell, bar in zip(cells, bars, strict=True)
    ]


def field(page: BeautifulSoup) -> Any:
    [found] = page.select(".field-progress .readonly")
    return found


def test_list_has_a_live_bar_for_each_object_with_a_task(visit, harvest):
    Harvest.objects.create(name="Summer")

    page = visit(LIST)

    assert percents(page) == ["-", "40.0"]
    assert page.select_one(".field-progress [data-state]").has_attr("hx-get")
    assert page.select_one("th.column-progress").get_text(strip=True) == "Progress"


def test_task_that_has_no_row_yet_waits(visit):
    Harvest.objects.create(name="Spring", task_id="sent")

    assert visit(LIST).select_one(".field-progress [data-state]")["data-state"] == "waiting"


def test_object_that_keeps_no_id_shows_the_newest_task_about_it(visit):
    bays = [Bay.objects.create(code=code) for code in ("north", "south")]
    for progress in (1, 2):
        row = start_task(TASK, about=bays[0], total=10)
        rows.filter(pk=row.pk).update(progress=progress, state=State.RUNNING)

    page = visit(BAYS)
    pages = [visit(f"{BAYS}{bay.pk}/change/") for bay in bays]

    assert sorted(percents(page)) == ["-", "20.0"]
    assert field(pages[0]).select_one("[data-state]")["data-percent"] == "20.0"
    assert field(pages[1]).get_text(strip=True) == "-"


def test_bar_may_have_another_name(visit, harvest, monkeypatch):
    monkeypatch.setattr(HarvestAdmin, "bar", ProgressAdminMixin.progress, raising=False)
    monkeypatch.setattr(HarvestAdmin, "list_display", ["name", "bar"])

    page = visit(LIST)

    assert page.select_one(".field-bar [data-state]")["data-percent"] == "40.0"
    assert page.select_one("th.column-bar").get_text(strip=True) == "Progress"


def test_page_of_an_object_has_its_live_bar(visit, harvest):
    bar = field(visit(f"{LIST}{harvest.pk}/change/")).select_one("[data-state]")

    assert (bar["data-percent"], bar.has_attr("hx-get")) == ("40.0", True)


def test_page_of_an_object_without_a_task_has_none(visit):
    harvest = Harvest.objects.create(name="Spring")

    assert field(visit(f"{LIST}{harvest.pk}/change/")).get_text(strip=True) == "-"


def test_page_with_an_error_still_has_its_bar(client, harvest):
    response = client.post(f"{LIST}{harvest.pk}/change/", {"name": ""})

    page = BeautifulSoup(response.content, "html.parser")
    assert page.select_one(".errornote")
    assert field(page).select_one("[data-state]")["data-percent"] == "40.0"


@pytest.mark.parametrize("url", [LIST, BAYS])
def test_form_that_adds_an_object_has_no_bar(visit, url):
    assert field(visit(f"{url}add/")).get_text(strip=True) == "-"


def test_object_that_is_to_be_saved_as_a_new_one_has_no_bar(client, harvest, monkeypatch):
    monkeypatch.setattr(HarvestAdmin, "save_as", True)

    response = client.post(f"{LIST}{harvest.pk}/change/", {"name": "", "_saveasnew": "1"})

    page = BeautifulSoup(response.content, "html.parser")
    assert page.select_one(".errornote")
    assert field(page).get_text(strip=True) == "-"


def test_empty_value_is_that_of_the_admin(visit, monkeypatch):
    monkeypatch.setattr(admin.site, "empty_value_display", "none")
    Harvest.objects.create(name="Spring")

    assert percents(visit(LIST)) == ["none"]


def test_popup_has_bars_and_nothing_else_of_ours(visit, harvest, superuser):
    start_task(TASK, owner=superuser, label="Drying kelp")

    pages = [visit(LIST, data={"_popup": 1}), visit(f"{LIST}{harvest.pk}/change/?_popup=1")]

    assert percents(pages[0]) == ["40.0"]
    assert field(pages[1]).select_one("[data-state]")["data-percent"] == "40.0"
    for page in pages:
        assert not page.select("[data-progress-tray], .progress-admin-button")


def test_list_that_is_edited_has_its_bars(visit, harvest, monkeypatch):
    monkeypatch.setattr(HarvestAdmin, "list_display", ["pk", "name", "progress"])
    monkeypatch.setattr(HarvestAdmin, "list_editable", ["name"])

    page = visit(LIST)

    assert percents(page) == ["40.0"]
    assert page.select_one("input[name=form-0-name]")["value"] == "Spring"


def test_list_that_is_drawn_again_for_an_error_has_its_bars(client, harvest, monkeypatch):
    monkeypatch.setattr(HarvestAdmin, "list_display", ["pk", "name", "progress"])
    monkeypatch.setattr(HarvestAdmin, "list_editable", ["name"])
    management = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1}
    sent = management | {"form-0-id": harvest.pk, "form-0-name": "", "_save": "Save"}

    response = client.post(LIST, sent)

    page = BeautifulSoup(response.content, "html.parser")
    assert page.select_one(".errornote")
    assert percents(page) == ["40.0"]


def test_action_that_is_refused_leads_back_to_the_list(client, harvest):
    response = client.post(LIST, {"action": "dry", "index": 0}, follow=True)

    page = BeautifulSoup(response.content, "html.parser")
    assert response.redirect_chain == [(LIST, 302)]
    assert "Items must be selected" in page.select_one(".messagelist").text
    assert percents(page) == ["40.0"]


def test_page_that_an_action_shows_is_left_alone(client, harvest):
    sent = {"action": "delete_selected", "_selected_action": harvest.pk, "index": 0}

    response = client.post(LIST, sent)

    assert response.status_code == 200
    assert b"Are you sure" in response.content
    assert b"progress-tray" not in response.content


def test_list_with_an_unknown_filter_leads_to_the_list_without(client):
    response = client.get(LIST, {"nothing": 1})

    assert (response.status_code, response["Location"]) == (302, f"{LIST}?e=1")


def test_object_that_is_gone_leads_to_the_index(client):
    response = client.get(f"{LIST}7/change/")

    assert (response.status_code, response["Location"]) == (302, "/admin/")


def test_list_without_the_column_looks_up_no_rows(client, harvest, monkeypatch):
    monkeypatch.setattr(HarvestAdmin, "list_display", ["name"])
    monkeypatch.setattr(HarvestAdmin, "progress_panel", False)

    with CaptureQueriesContext(connection) as captured:
        client.get(LIST)

    assert [query["sql"] for query in captured if "taskprogress" in query["sql"]] == []


@pytest.mark.parametrize("model", [Harvest, Bay])
def test_list_of_a_hundred_costs_three_queries_more(rf, superuser, model):
    things = [model.objects.create(pk=number) for number in range(1, 101)]
    for thing in things:
        thing.task_id = start_task(TASK, about=thing, owner=superuser).task_id
        thing.save()

    class Plain(admin.ModelAdmin):
        list_display = ["__str__"]

    class Live({Harvest: HarvestAdmin, Bay: BayAdmin}[model]):
        list_filter = actions = ()

    counts, bars = [], []
    for shown in (Plain, Live):
        ContentType.objects.clear_cache()
        request = rf.get("/")
        request.user, request.session = superuser, {}
        request._dont_enforce_csrf_checks = True
        with CaptureQueriesContext(connection) as captured:
            response = shown(model, admin.site).changelist_view(request).render()
        counts.append(len(captured))
        bars.append(len(BeautifulSoup(response.content, "html.parser").select("td [hx-get]")))

    assert bars == [0, 100]
    assert counts[1] <= counts[0] + 3


def test_rows_can_be_others_than_those_of_the_field(visit, monkeypatch):
    monkeypatch.setattr(
        HarvestAdmin,
        "get_progress_rows",
        lambda self, request, objects: {
            obj.pk: TaskProgress(task_id=obj.name, total=10, progress=9) for obj in objects
        },
    )
    Harvest.objects.create(name="Spring")

    assert percents(visit(LIST)) == ["90.0"]


@pytest.mark.parametrize(("values", "text"), [({}, "40.0%"), ({"total": None}, "Running")])
def test_elsewhere_it_is_plain_text(harvest, values, text):
    rows.update(**values)

    shown = HarvestAdmin(Harvest, admin.site).progress(Harvest.objects.get())

    assert shown == text


def test_elsewhere_an_object_without_a_task_has_the_empty_value():
    shown = HarvestAdmin(Harvest, admin.site).progress(Harvest.objects.create(name="Spring"))

    assert shown == "-"


def test_object_that_is_not_saved_has_the_empty_value(harvest):
    shown = HarvestAdmin(Harvest, admin.site).progress(Harvest(task_id=harvest.task_id))

    assert shown == "-"


def test_bar_is_bound_to_who_looks_at_it(visit, client, harvest, log_in):
    url = visit(LIST).select_one(".field-progress [hx-get]")["hx-get"]

    own = client.get(url)
    log_in("changer")
    foreign = client.get(url)

    assert (own.status_code, foreign.status_code) == (204, 403)


@pytest.mark.parametrize("middleware", [[], [LOGIN]])
def test_bar_of_somebody_who_has_logged_out_ends_with_a_sentence(
    visit, client, harvest, settings, middleware
):
    settings.MIDDLEWARE = settings.MIDDLEWARE + middleware
    url = visit(LIST).select_one(".field-progress [hx-get]")["hx-get"]
    client.logout()

    response = client.get(url, headers={"HX-Request": "true"})

    answer = BeautifulSoup(response.content, "html.parser")
    assert response.status_code == 200
    assert answer.select_one("[data-state]")["data-state"] == "refused"
    assert "This progress can't be shown" in answer.text
    assert not answer.select("[hx-get], form, input")


def test_bar_that_can_view_refuses_is_not_shown(visit, harvest, settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.browser.views.may_view"
    Harvest.objects.update(task_id="refused")

    assert visit(LIST).select_one(".field-progress [data-state]")["data-state"] == "refused"
