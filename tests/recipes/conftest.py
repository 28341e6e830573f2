from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import path

from tests.recipes import document, project
from tests.recipes.project import Page


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[..., Page]:
    """Return a page of a project that follows a recipe, with further files of the test's own."""

    def page_of(heading: str, path: str = "/harvests/1/", **more: str) -> Page:
        project.write(tmp_path, document.files(heading), more)
        return project.visit(tmp_path, path)

    return page_of


@pytest.fixture
def follow(settings: Any) -> Callable[[str], dict[str, Any]]:
    """Follow a recipe in this process: return the names in its modules; its templates are found."""

    def follow(heading: str) -> dict[str, Any]:
        files = document.files(heading)
        loaders = [
            ("django.template.loaders.locmem.Loader", files),
            "django.template.loaders.app_directories.Loader",
        ]
        engine = dict(settings.TEMPLATES[0], DIRS=[], APP_DIRS=False)
        engine["OPTIONS"] = engine["OPTIONS"] | {"loaders": loaders}
        settings.TEMPLATES = [engine]
        names: dict[str, Any] = {"__name__": "kelp", "path": path, "urlpatterns": []}
        for file in (name for name in files if name.endswith(".py")):
            exec(files[file], names)
            names[file.removesuffix(".py")] = SimpleNamespace(**names)
        return names

    return follow
