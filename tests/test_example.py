"""The example, as somebody sees it who comes for the first time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VISIT = """
import django
django.setup()
from django.db import connection
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
connection.creation.create_test_db(verbosity=0)
client = Client(enforce_csrf_checks=True)
def form(page):
    return {"csrfmiddlewaretoken": str(client.get(page).context["csrf_token"])}
"""


@pytest.fixture
def visit(tmp_path: Path):
    """Return what a visitor prints, whose own project is the example."""
    shutil.copytree(ROOT / "example", tmp_path / "example", ignore=shutil.ignore_patterns("run"))
    environment = {
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "example.settings",
        "BROKER_URL": "memory://",
    }

    def visit(deeds: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", VISIT + deeds],
            cwd=tmp_path / "example",
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return visit


def test_visitor_who_goes_back_to_a_form_may_send_it_again(visit):
    statuses = visit(
        """
drying = form("/") | {"items": 5, "seconds": 1}
for _ in range(2):
    print(client.post("/", drying).status_code)
"""
    )

    assert statuses == ["302", "302"]


def test_visitor_who_becomes_a_guest_gets_the_page_with_the_tray(visit):
    said = visit(
        """
several = form("/several/")
for _ in range(2):
    headers = client.post("/several/", several, headers={"HX-Request": "true"}).headers
    print("HX-Refresh" in headers, "HX-Trigger" in headers)
print(b"data-progress-tray" in client.get("/several/").content)
"""
    )

    assert said == ["True", "False", "False", "True", "True"]
