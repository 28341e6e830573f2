from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import Permission
from django.urls import reverse

from progress_widget.models import State, TaskProgress

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
LIST = "admin:progress_widget_taskprogress_changelist"
PAGE = "admin:progress_widget_taskprogress_change"


@pytest.fixture
def row() -> TaskProgress:
    return rows.create(task_id="kelp-1", label="Kelp", total=10, progress=5, attempt=1)


@pytest.fixture
def viewer(client, django_user_model):
    user = django_user_model.objects.create_user("ann", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_taskprogress"))
    client.force_login(user)
    return client


def page_of(response) -> BeautifulSoup:
    assert response.status_code == 200
    return BeautifulSoup(response.content, "html.parser")


def test_list_shows_a_live_bar_in_each_row(admin_client, row):
    rows.create(task_id="kelp-2", state=State.SUCCEEDED)

    page = page_of(admin_client.get(reverse(LIST)))

    bars = page.select("#result_list td [data-state]")
    assert [bar["data-state"] for bar in bars] == ["succeeded", "running"]
    assert [bar.has_attr("hx-get") for bar in bars] == [False, True]


def test_list_asks_nothing_more_for_more_bars(admin_client, row, django_assert_max_num_queries):
    for number in range(20):
        rows.create(task_id=f"more-{number}")

    with django_assert_max_num_queries(8):
        admin_client.get(reverse(LIST))


def test_page_of_a_row_shows_its_live_bar(admin_client, row):
    page = page_of(admin_client.get(reverse(PAGE, args=[row.pk])))

    bar = page.select_one(".readonly [data-state]")
    assert bar["data-percent"] == "50.0"
    assert "kelp-1" in page.text


def test_bar_in_the_admin_belongs_to_who_looks_at_it(admin_client, row):
    page = page_of(admin_client.get(reverse(LIST)))
    url = page.select_one("[hx-get]")["hx-get"]

    own = admin_client.get(url)
    admin_client.logout()
    foreign = admin_client.get(url)

    assert (own.status_code, foreign.status_code) == (204, 403)


@pytest.mark.parametrize("name", [LIST, PAGE])
def test_page_loads_what_its_bars_need(admin_client, row, name):
    url = reverse(name, args=[row.pk] if name == PAGE else [])

    page = page_of(admin_client.get(url))

    sheets = [link["href"] for link in page.select("link[rel=stylesheet]")]
    scripts = [script["src"] for script in page.select("script[src]")]
    assert "/static/progress_widget/progress_widget.css" in sheets
    assert "/static/progress_widget/progress_widget.js" in scripts
    assert "/static/django_htmx/htmx-2.min.js" in scripts


def test_nobody_adds_rows(admin_client):
    response = admin_client.get(reverse("admin:progress_widget_taskprogress_add"))

    assert response.status_code == 403


def test_nobody_changes_rows(admin_client, row):
    response = admin_client.post(reverse(PAGE, args=[row.pk]), {"label": "Mine"})

    assert response.status_code == 403
    assert rows.get().label == "Kelp"


def test_permission_to_view_is_enough_to_look(viewer, row):
    assert page_of(viewer.get(reverse(LIST))).select("[data-state]")
    assert page_of(viewer.get(reverse(PAGE, args=[row.pk]))).select("[data-state]")


def test_permission_to_view_is_not_enough_to_delete(viewer, row):
    response = viewer.get(reverse("admin:progress_widget_taskprogress_delete", args=[row.pk]))

    assert response.status_code == 403


def test_rows_can_be_deleted(admin_client, row):
    url = reverse("admin:progress_widget_taskprogress_delete", args=[row.pk])

    admin_client.post(url, {"post": "yes"})

    assert not rows.exists()


@pytest.mark.parametrize(("words", "found"), [("Kelp", 1), ("kelp-1", 1), ("elp-", 0), ("rope", 0)])
def test_rows_are_found_by_label_and_whole_task_id(admin_client, row, words, found):
    page = page_of(admin_client.get(reverse(LIST), {"q": words}))

    assert len(page.select("#result_list tbody tr")) == found


def test_rows_can_be_filtered_by_state(admin_client, row):
    page = page_of(admin_client.get(reverse(LIST), {"state__exact": "failed"}))

    assert page.select("#result_list tbody tr") == []
