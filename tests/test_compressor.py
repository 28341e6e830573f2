"""django-compressor, which keeps of a block only what is of the block's kind."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from django.template.backends.django import DjangoTemplates


@pytest.fixture
def shown(settings, tmp_path):
    """Render template source with the libraries of both, and return the page."""
    settings.STATICFILES_FINDERS = [
        "django.contrib.staticfiles.finders.AppDirectoriesFinder",
        "compressor.finders.CompressorFinder",
    ]
    settings.COMPRESS_ENABLED = True
    settings.COMPRESS_ROOT = str(tmp_path)
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "compressor"]

    def shown(source: str) -> BeautifulSoup:
        backend = DjangoTemplates({"NAME": "own", "DIRS": [], "APP_DIRS": True, "OPTIONS": {}})
        source = "{% load compress progress_widget %}" + source
        return BeautifulSoup(backend.from_string(source).render(), "html.parser")

    return shown


def content(tmp_path: Path, url: str) -> str:
    return (tmp_path / urlsplit(url).path.removeprefix("/static/")).read_text()


def test_stylesheet_and_scripts_are_compressed_apart(shown, tmp_path):
    page = shown(
        "{% compress css %}{% progress_widget_css %}{% endcompress %}"
        "{% compress js %}{% progress_widget_js %}{% endcompress %}"
    )

    sheet, script = page.select_one("link"), page.select_one("script")
    assert len(page.find_all(True)) == 2
    assert ".progressbar" in content(tmp_path, sheet["href"])
    assert "htmx" in content(tmp_path, script["src"])
    assert "data-progress-widget" in content(tmp_path, script["src"])
    assert script.has_attr("defer")
