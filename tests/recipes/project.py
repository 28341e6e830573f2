"""A project that follows a recipe.

It runs in a process of its own: some packages change Django's template classes for good.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bs4 import BeautifulSoup, Tag

from progress_widget.reading import tickets

ROOT = Path(__file__).parents[2]
BASE = Path(__file__).parent / "kelp"


class Page(NamedTuple):
    """What a user gets."""

    html: str
    user: str
    queries: list[str]
    """Those on the rows, while the page was rendered."""

    @property
    def bars(self) -> list[Tag]:
        return BeautifulSoup(self.html, "html.parser").select("[data-state]")

    @property
    def bound(self) -> list[tuple[str, bool]]:
        """The task of each bar, and whether it is bound to the user of the page."""
        found = [tickets.read(bar["hx-get"].split("/")[2]) for bar in self.bars]
        return [(ticket.task_id, ticket.user == self.user) for ticket in found]


class Site(NamedTuple):
    """A project that is being served."""

    url: str
    session: str
    """That of an administrator."""


def require(*packages: str) -> None:
    """Skip the test where a package is not installed."""
    for package in packages:
        if find_spec(package) is None:
            stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            stop(f"There is no {package}: install the dependency group recipes.")


def installed(*packages: str, **settings: object) -> dict[str, str]:
    """Return the settings that a package needs; where it is not installed, skip the test."""
    require(*packages)
    lines = [f"INSTALLED_APPS += {packages!r}", *(f"{k} = {v!r}" for k, v in settings.items())]
    return {"settings.py": "\n".join(lines)}


def write(folder: Path, *parts: dict[str, str]) -> None:
    """Write the app ``kelp``: its usual files, and those of a recipe, or at the end of them."""
    app = folder / "kelp"
    shutil.copytree(BASE, app, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in chain.from_iterable(files.items() for files in parts):
        file = app / "templates" / name if name.endswith((".html", ".txt")) else app / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as opened:
            opened.write(text)


def visit(folder: Path, path: str) -> Page:
    """Let a user visit the page."""
    return Page(**run(folder, "visit", path))


def run(folder: Path, module: str, argument: str) -> dict[str, Any]:
    """Run a module of the app, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"kelp.{module}", argument],
        cwd=ROOT,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def served(folder: Path) -> Iterator[Site]:
    """Serve the project, and its admin, for a browser."""
    with subprocess.Popen(
        [sys.executable, "-m", "kelp.serve"],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            yield Site(**json.loads(server.stdout.readline()))
        finally:
            server.terminate()


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "kelp.settings"}
