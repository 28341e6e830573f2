"""The recipes of docs/usage.md for an admin that is there already."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.urls import include, path

from progress_widget.admin import ProgressAdminMixin
from progress_widget.models import TaskProgress
from tests.admin.admins import HarvestAdmin
from tests.models import Harvest

pytestmark = pytest.mark.django_db
TEXT = (Path(__file__).parents[2] / "docs" / "usage.md").read_text()
SECTION = TEXT.partition("\n## In the admin\n")[2].partition("\n## ")[0]
COLUMN, ACTION = re.findall(r"^```diff\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
TASK, BUTTONS, ROWS, *_ = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
IMPORTS = "from celery import shared_task\nfrom progress_widget.bars import ProgressBar\n"
LIST = "/admin/tests/harvest/"

# Once, since Celery knows a task by its name.
TASKS = ModuleType("kelp.tasks")
vars(TASKS)["Harvest"] = Harvest
exec(IMPORTS + TASK, vars(TASKS))


def side(diff: str, mark: str) -> str:
    """Return what was there before ("-"), or is there after ("+")."""
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in f"{mark} \n")


@pytest.fixture
def project(monkeypatch, settings, log_in):
    """Return what makes an app ``kelp`` whose admin is this code, for a superuser to visit."""
    log_in("superuser")
    monkeypatch.setattr(Harvest, "dry", lambda harvest: dried.append(harvest.name), raising=False)
    dried: list[str] = []

    def module(name: str, source: str = "", **names: Any) -> ModuleType:
        made = ModuleType(name)
        vars(made).update(names)
        monkeypatch.setitem(sys.modules, name, made)
        exec(source, vars(made))
        return made

    def project(source: str) -> list[str]:
        monkeypatch.delitem(admin.site._registry, Harvest)
        module("kelp", tasks=TASKS)
        module("kelp.models", Harvest=Harvest)
        module("kelp.admin", source)
        urls = [path("admin/", admin.site.urls), path("progress/", include("progress_widget.urls"))]
        module("kelp.urls", urlpatterns=urls)
        settings.ROOT_URLCONF = "kelp.urls"
        return dried

    return project


@pytest.mark.parametrize("diff", [COLUMN, ACTION])
def test_recipe_adds_at_most_five_lines(diff):
    assert len([line for line in diff.splitlines() if line.startswith("+")]) <= 5


def test_list_and_page_without_a_bar_get_a_live_one(project, visit, harvest):
    project(side(COLUMN, "-"))
    before = visit(LIST)
    project(side(COLUMN, "+"))

    after, page = visit(LIST), visit(f"{LIST}{harvest.pk}/change/")

    assert not before.select("[data-state]")
    assert after.select_one(".field-progress [hx-get]")["data-percent"] == "40.0"
    assert page.select_one(".field-progress [hx-get]")["data-percent"] == "40.0"


def test_action_becomes_a_task_with_a_bar(
    project, visit, client, harvest, eager, django_capture_on_commit_callbacks
):
    sent = {"action": "dry", "_selected_action": harvest.pk, "index": 0}
    dried = project(side(ACTION, "-"))
    client.post(LIST, sent)
    before = [*dried]
    project(side(ACTION, "+"))

    with django_capture_on_commit_callbacks(execute=True):
        client.post(LIST, sent)

    bar = visit(LIST).select_one("[data-progress-tray] [data-state]")
    assert (before, dried) == (["Spring"], ["Spring", "Spring"])
    assert (bar["data-state"], bar["data-percent"]) == ("succeeded", "100.0")
    assert TaskProgress.objects.get(label="Drying kelp").owner.username == "superuser"


def test_buttons_start_tasks(rf, log_in, harvest):
    names: dict[str, Any] = {"admin": admin, "ProgressAdminMixin": ProgressAdminMixin}
    names["tasks"] = TASKS
    exec(BUTTONS, names)
    own = names["HarvestAdmin"](Harvest, admin.site)
    request = rf.post("/")
    request.user = log_in("superuser")

    shown = own.get_progress_buttons(request), own.get_progress_buttons(request, harvest)
    own.dry_one(request, harvest)

    assert shown == (["import_all"], ["dry_one"])
    assert TaskProgress.objects.about(harvest).get().task_id == harvest.task_id


def test_objects_whose_rows_are_gone_are_left_out(harvest):
    names: dict[str, Any] = {"HarvestAdmin": HarvestAdmin}
    exec("class Own(HarvestAdmin):\n" + textwrap.indent(ROWS, "    "), names)
    purged = Harvest.objects.create(name="Summer", task_id="purged")

    found = names["Own"](Harvest, admin.site).get_progress_rows(None, [harvest, purged])

    assert list(found) == [harvest.pk]
