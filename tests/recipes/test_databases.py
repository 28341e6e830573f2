from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

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


@pytest.mark.parametrize(("app", "alias"), [("progress_widget", "progress"), ("kelp", None)])
def test_router_has_no_say_in_other_models(follow, app, alias):
    router = follow(HEADING)["ProgressRouter"]()
    model = SimpleNamespace(_meta=SimpleNamespace(app_label=app))

    assert (router.db_for_read(model), router.db_for_write(model)) == (alias, alias)
