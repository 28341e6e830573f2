from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

HEADING = "Several databases and replicas"
SETTINGS = 'DATABASES["progress"] = DATABASES["default"] | {"NAME": BASE_DIR / "own.sqlite3"}'
BAR = "{% load progress_widget %}{% progressbar task_id %}"
TABLES = """
from django.db import connections
from django.http import JsonResponse


def harvests(request):
    tables = {alias: connections[alias].introspection.table_names() for alias in connections}
    return JsonResponse(tables)
"""
ROLLBACK = """
from django.db import transaction
from django.http import JsonResponse
from progress_widget.bars import ProgressBar


def harvests(request):
    with transaction.atomic():
        Harvest.objects.create(name="Bay 3", task_id="kelp-3")
        ProgressBar("kelp-3", total=10).update(progress=5)
        transaction.set_rollback(True)
    return JsonResponse([Harvest.objects.count(), ProgressBar.get("kelp-3").progress], safe=False)
"""

ADMIN_URLS = """
from django.contrib import admin

urlpatterns.append(path("admin/", admin.site.urls))
"""
ADMIN = """
from django.contrib.auth.models import User
from django.http import JsonResponse
from django.test import Client
from progress_widget.models import TaskProgress

TASKS = "/admin/progress_widget/taskprogress/"


def harvests(request):
    user = User.objects.create_superuser("otter")
    rows = TaskProgress.objects.all()
    rows.filter(task_id="kelp-1").update(owner_id=user.pk)
    kelp = rows.get(task_id="kelp-1")
    page = f"{TASKS}{kelp.pk}/"
    client = Client()
    client.force_login(user)

    def get(path, **query):
        return client.get(path, query).content.decode()

    pages = {"list": get(TASKS), "page": get(f"{page}change/")}
    pages |= {"filtered": get(TASKS, owner=user.pk), "found": get(TASKS, q="otter")}
    client.post(f"{page}progress/cancel/")
    pages["asked"] = rows.get(task_id="kelp-1").cancel_asked_at
    pages["history"] = get(f"{page}history/")
    rows.update(state="failed")
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows]}
    client.post(TASKS, chosen | {"post": "yes"})
    pages["left"] = TaskProgress.objects.count()
    return JsonResponse(pages)
"""


def test_database_of_its_own_has_the_rows_and_no_other_tables(page_of):
    page = page_of(HEADING, "/harvests/", **{"settings.py": SETTINGS, "views.py": TABLES})

    tables = json.loads(page.html)
    own = {"progress_widget_taskprogress", "progress_widget_groupmember"}
    assert set(tables["progress"]) == own
    assert "kelp_harvest" in tables["default"]
    assert own & set(tables["default"]) == set()


def test_page_finds_the_row_in_the_database_of_the_rows(page_of):
    page = page_of(HEADING, **{"settings.py": SETTINGS, "harvest.html": BAR})

    assert page.bound == [("kelp-1", True)]
    assert page.bars[0]["data-percent"] == "10.0"
    assert page.queries == []  # in the usual database


def test_what_is_reported_in_a_transaction_of_other_data_remains_after_a_rollback(page_of):
    page = page_of(HEADING, "/harvests/", **{"settings.py": SETTINGS, "views.py": ROLLBACK})

    assert json.loads(page.html) == [2, 5]


def test_admin_brings_rows_and_their_owners_together(page_of):
    files = {"settings.py": SETTINGS, "urls.py": ADMIN_URLS, "views.py": ADMIN}

    pages = json.loads(page_of(HEADING, "/harvests/", **files).html)

    def told(name: str, part: str) -> list[str]:
        page = BeautifulSoup(pages[name], "html.parser")
        return [cell.text for cell in page.select(part)]

    assert told("list", "#result_list .field-owner_link a") == ["otter"]
    assert told("filtered", "#result_list .field-task a") == ["kelp-1"]
    assert told("found", "#result_list .field-task a") == []  # names are in the other database
    assert told("page", ".field-owner_link .readonly a") == ["otter"]
    assert pages["asked"]
    assert "Asked it to stop." in pages["history"]
    assert pages["left"] == 0


@pytest.mark.parametrize(("app", "alias"), [("progress_widget", "progress"), ("kelp", None)])
def test_router_has_no_say_in_other_models(follow, app, alias):
    router = follow(HEADING)["ProgressRouter"]()
    model = SimpleNamespace(_meta=SimpleNamespace(app_label=app))

    assert (router.db_for_read(model), router.db_for_write(model)) == (alias, alias)
