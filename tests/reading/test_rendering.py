from __future__ import annotations

import re

import pytest
from asgiref.sync import async_to_sync
from bs4 import BeautifulSoup
from django.template import engines
from django.urls import clear_url_caches
from django.utils import translation

from progress_widget.models import TaskProgress
from progress_widget.reading.rendering import (
    aprogressbar,
    new_key,
    progressbar,
    render,
    valid_key,
)
from tests import urls_elsewhere
from tests.builders import KEY, fragment, saved


def poll_url() -> str:
    html = progressbar(saved(progress=5))
    return str(BeautifulSoup(html, "html.parser").select_one("[hx-get]")["hx-get"])


def test_poll_has_the_path_that_the_project_gives_it(settings):
    settings.ROOT_URLCONF = "tests.urls_elsewhere"

    assert re.match(r"/MY_TOKEN/[^/]+:[^/]+:[^/]+/\?k=", poll_url())


def test_poll_follows_when_the_urls_change(settings, monkeypatch):
    settings.ROOT_URLCONF = "tests.urls_elsewhere"
    before = poll_url()
    from django.urls import include, path

    monkeypatch.setattr(
        urls_elsewhere, "urlpatterns", [path("new/", include("progress_widget.urls"))]
    )
    clear_url_caches()

    after = poll_url()

    assert (before[:10], after[:5]) == ("/MY_TOKEN/", "/new/")
    monkeypatch.undo()
    clear_url_caches()


def test_keys_differ_and_can_be_read_back():
    keys = {new_key() for _ in range(1000)}

    assert len(keys) == 1000
    assert {valid_key(key) for key in keys} == keys


def test_label_of_a_projects_own_keeps_the_percentage(tmp_path, settings):
    (tmp_path / "slim.html").write_text(
        '{% extends "progress_widget/progressbar.html" %}'
        "{% block progressbar.label %}<b>{{ fragment.label }}</b>{% endblock %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    engines._templates = None

    html = render(fragment(saved(progress=5), label="Kelp"), KEY, token="t", template="slim.html")

    bar = BeautifulSoup(html, "html.parser")
    assert bar.b.text == "Kelp"
    assert bar.select_one(".progressbar__percent").text == "50.0%"


@pytest.mark.django_db
def test_async_code_awaits_the_same_bar():
    row = TaskProgress.objects.create(task_id="kelp", total=10, progress=5)

    awaited, usual = (
        BeautifulSoup(html, "html.parser").select_one("[data-state]")
        for html in (
            async_to_sync(aprogressbar)("kelp", label="Kelp", interval=2),
            progressbar(row, label="Kelp", interval=2),
        )
    )

    for name in ("data-percent", "hx-trigger"):
        assert awaited[name] == usual[name]
    assert awaited.get_text() == usual.get_text()


@pytest.mark.django_db
def test_page_without_a_language_is_polled_without_one(client, settings, poll, page_bar):
    row = TaskProgress.objects.create(task_id="kelp", total=10)
    with translation.override(None):
        bar = page_bar(row)

    unchanged = poll(bar, **{"Accept-Language": "de"})

    assert unchanged.status_code == 204
