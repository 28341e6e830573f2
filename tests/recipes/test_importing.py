"""An import of django-import-export that is run as a task: uploaded, confirmed, and worked on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from progress_widget.models import has_heartbeat
from tests.recipes import document, project

HEADING = "django-import-export"
SETTINGS = """
DATABASES = {"default": database(os.environ.get("DATABASE_URL", ""))}
"""
URLS = """
from django.contrib import admin

urlpatterns += [path("admin/", admin.site.urls)]
"""
GOOD = [f",Bay {number},kelp-{number}" for number in range(1, 151)]
FAULTY = "x,Bay 151,kelp-151"  # further down than the preview looks


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Let a user import rows in a project that follows the recipe; return what comes of it."""

    def imported(rows: list[str], **story: Any) -> dict[str, Any]:
        own = {"settings.py": SETTINGS, "urls.py": URLS}
        project.write(tmp_path, project.installed("import_export"), own, document.files(HEADING))
        file = tmp_path / "bays.csv"
        file.write_text("\n".join(["id,name,task_id", *rows]))
        usual = {"file": str(file), "permission": "add_harvest", "gate": "", "cancel": False}
        return project.run(tmp_path, "importing", json.dumps(usual | story))

    return imported


def test_import_is_a_task_whose_bar_moves_within_its_transaction(imported):
    done = imported(GOOD, gate="Bay 150")

    assert done["answers"] == [302, 302]  # confirmed twice
    assert done["seen"]["harvests"] == 0
    assert done["seen"]["progress"] == (149 if has_heartbeat() else 0)
    assert ["Import of bays.csv" in bar for bar in done["seen"]["bars"]] == [True]
    assert done["rows"] == [
        {"label": "Import of bays.csv", "state": "succeeded", "message": "", "progress": 150}
    ]
    assert done["is_own"]
    assert (done["harvests"], done["files"]) == (150, [])


def test_faulty_row_lets_the_task_fail_with_its_number(imported):
    done = imported([*GOOD, FAULTY])

    [row] = done["rows"]
    assert row["state"] == "failed"
    assert "faulty rows: 151." in row["message"]
    assert (done["harvests"], done["files"]) == (0, [])


def test_user_without_permission_starts_no_task(imported):
    done = imported(GOOD, permission="change_harvest")

    assert done["form"]["import_file_name"]
    assert done["answers"] == [403, 403]
    assert (done["rows"], done["harvests"]) == ([], 0)


def test_import_that_is_cancelled_imports_nothing(imported):
    if not has_heartbeat():
        pytest.skip("On SQLite, nothing else is written during the import, nor is a wish to stop.")

    done = imported(GOOD, gate="Bay 140", cancel=True)

    assert [row["state"] for row in done["rows"]] == ["cancelled"]
    assert (done["harvests"], done["files"]) == (0, [])
