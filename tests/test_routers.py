"""Bars read where they are written, whatever a router says of reading: a replica may lag."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.utils.connection import ConnectionDoesNotExist

from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress

pytestmark = pytest.mark.django_db


class Router:
    """Sends reads to a replica, of which there is none: to ask it is an error."""

    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"


@pytest.fixture(autouse=True)
def replica(settings):
    settings.DATABASE_ROUTERS = ["tests.test_routers.Router"]


def test_page_and_polls_read_where_bars_write(page_bar, poll, bar_in):
    bar = ProgressBar("kelp", total=10)
    shown = page_bar("kelp")
    unchanged = poll(shown)
    bar.update(progress=5)

    news = bar_in(poll(shown))

    assert (shown["data-percent"], news["data-percent"]) == ("0.0", "50.0")
    assert unchanged.status_code == 204


def test_bar_is_found_where_bars_write():
    ProgressBar("kelp", total=10)

    found = ProgressBar.get("kelp")
    found.update(progress=5)

    assert ProgressBar.get("kelp").progress == 5


def test_dynamic_bar_reads_where_bars_write():
    bar = ProgressBar("kelp", total=10, dynamic=True)

    ProgressBar.get("kelp").update(progress=5)

    assert bar.progress == 5


def test_tray_is_read_where_bars_write():
    otter = get_user_model()(pk=7)
    row = TaskProgress.objects.create(task_id="kelp", owner=otter)

    assert list(TaskProgress.objects.in_tray_of(otter)) == [row]
    assert not TaskProgress.objects.dismiss("kelp", otter)


def test_list_of_tasks_reads_where_bars_write(rf):
    ProgressBar("kelp", total=10)

    rows = admin.site.get_model_admin(TaskProgress).get_queryset(rf.get("/"))

    # The owners are read where users are, and that is the replica.
    assert [row.task_id for row in rows.prefetch_related(None)] == ["kelp"]


def test_rows_are_looked_up_where_they_are_asked_for():
    with pytest.raises(ConnectionDoesNotExist, match="replica"):
        TaskProgress.objects.db_manager("replica").for_tasks(["kelp"])
