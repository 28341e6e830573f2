"""A new project that has followed the README: what the package adds, Django has no objection to."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^   ```python\n(.*?)^   ```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    run(tmp_path, "-m", "django", "startproject", "fresh", ".")
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run Python there, and return its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


def install(project: Path) -> None:
    """Add to the project's lists what the README adds."""
    apps, urls = map(textwrap.dedent, BLOCK.findall((ROOT / "README.md").read_text())[:2])
    with (project / "fresh" / "settings.py").open("a") as settings:
        settings.write(apps.replace("INSTALLED_APPS =", "INSTALLED_APPS +="))
    with (project / "fresh" / "urls.py").open("a") as patterns:
        patterns.write("from django.urls import include\n\n")
        patterns.write(urls.replace("urlpatterns =", "urlpatterns +="))


def test_check_for_deployment_says_no_more_than_without_the_package(project):
    check = ("manage.py", "check", "--deploy")
    without = run(project, *check)
    install(project)

    found = run(project, *check)

    assert found == without
    assert "security.W004" in found[1]


def test_no_migration_is_missing(project):
    install(project)

    assert run(project, "manage.py", "makemigrations", "--check") == (0, "No changes detected\n")
