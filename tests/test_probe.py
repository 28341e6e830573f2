from __future__ import annotations

import time

import pytest

from progress_widget import probe
from progress_widget.models import State, TaskProgress
from tests.celery import app

pytestmark = pytest.mark.django_db


def test_probe_signs_the_row_and_reports():
    TaskProgress.objects.create(task_id="kelp", state=State.WAITING)
    before = time.time()

    app.tasks[probe.NAME].apply(task_id="kelp")

    row = TaskProgress.objects.get(task_id="kelp")
    seconds, _, worker = row.label.partition(" ")
    assert before <= float(seconds) <= time.time()
    assert worker
    assert (row.state, row.progress, row.attempt) == (State.SUCCEEDED, 1, 1)


def test_probe_without_its_row_writes_none_and_names_the_database(caplog):
    app.tasks[probe.NAME].apply(task_id="kelp")

    assert not TaskProgress.objects.exists()
    assert [
        record.getMessage() for record in caplog.records if record.name == "progress_widget"
    ] == [f"The row of progress_doctor is not in the {probe.database()}"]


def test_database_is_named_with_its_host(monkeypatch):
    settings = {"NAME": "kelp", "HOST": "shore"}
    for name, value in settings.items():
        monkeypatch.setitem(probe.connections["default"].settings_dict, name, value)

    assert probe.database().endswith('database "kelp" on shore')


def test_app_may_get_ready_again(settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.humanize"]

    assert probe.NAME in app.tasks  # and a warning would be an error
