"""How the mixin goes together with other classes, templates and themes."""

from __future__ import annotations

import importlib

import pytest
from django.contrib import admin

import progress_widget.admin
from progress_widget.admin import ProgressAdminMixin
from progress_widget.models import TaskProgress
from tests.admin.admins import HarvestAdmin, Importing

pytestmark = pytest.mark.django_db
LIST = "/admin/tests/harvest/"


def files(page) -> list[str]:
    tags = page.select("link[rel=stylesheet], script[src]")
    urls = [tag.get("href") or tag["src"] for tag in tags]
    return [url.rpartition("/")[2] for url in urls if "progress_" in url or "htmx" in url]


def test_mixin_that_comes_last_is_refused_with_the_line_to_write():
    with pytest.raises(TypeError, match=r"class Late\(ProgressAdminMixin, ModelAdmin\)"):

        class Late(admin.ModelAdmin, ProgressAdminMixin):
            pass


def test_mixin_that_comes_after_an_admin_of_another_name_is_refused():
    class Theme(admin.ModelAdmin):
        pass

    with pytest.raises(TypeError, match=r"class Late\(Importing, ProgressAdminMixin, Theme\)"):

        class Late(Importing, Theme, ProgressAdminMixin):
            pass


def test_mixin_may_come_after_another_and_have_heirs():
    class Mixed(Importing, ProgressAdminMixin):
        pass

    class Whole(Mixed, admin.ModelAdmin):
        pass

    class Heir(Whole):
        pass

    assert issubclass(Heir, ProgressAdminMixin)


@pytest.mark.parametrize("url", [LIST, "/backstage/tests/harvest/"])
def test_template_of_another_is_kept(visit, log_in, harvest, monkeypatch, settings, url):
    settings.ROOT_URLCONF = "tests.admin.urls"
    if url == LIST:
        monkeypatch.setattr(HarvestAdmin, "change_list_template", Importing.change_list_template)
    log_in("superuser")

    page = visit(url)

    tools = [tool.get_text(strip=True) for tool in page.select(".object-tools li")]
    assert tools == ["Import", "Add harvest", "Dry all harvests", "Export", "Look"]
    assert page.select(".field-progress [hx-get]")
    assert page.select("[data-progress-tray]")


@pytest.mark.parametrize("page", ["", "{}/change/", "add/"])
def test_page_loads_what_its_bars_need(visit, log_in, harvest, page):
    log_in("superuser")

    assert files(visit(LIST + page.format(harvest.pk))) == [
        "progress_widget.css",
        "progress_tray.css",
        "progress_admin.css",
        "htmx-2.min.js",
        "progress_widget.js",
    ]


@pytest.mark.parametrize(
    ("htmx", "scripts"),
    [(2, ["htmx-2.min.js"]), (True, ["htmx-2.min.js"]), (4, ["htmx-4.min.js"]), (False, [])],
)
def test_page_loads_the_htmx_that_it_is_told_to(visit, log_in, monkeypatch, htmx, scripts):
    log_in("superuser")
    monkeypatch.setattr(HarvestAdmin, "progress_htmx", htmx)

    assert [name for name in files(visit(LIST)) if "htmx" in name] == scripts


def test_theme_that_has_htmx_gets_no_second_one(visit, log_in, monkeypatch):
    log_in("superuser")
    installed = {"unfold", "django_htmx"}
    monkeypatch.setattr("django.apps.apps.is_installed", installed.__contains__)

    assert [name for name in files(visit(LIST)) if "htmx" in name] == []


def test_project_without_django_htmx_gets_no_file_that_is_not_there(visit, log_in, monkeypatch):
    """Storages with a manifest would raise, and so would the page."""
    log_in("superuser")
    monkeypatch.setattr("django.apps.apps.is_installed", {"tests"}.__contains__)

    assert [name for name in files(visit(LIST)) if "htmx" in name] == []


def test_list_of_tasks_that_a_project_has_registered_is_kept(monkeypatch):
    own = admin.ModelAdmin(TaskProgress, admin.site)
    monkeypatch.setitem(admin.site._registry, TaskProgress, own)

    importlib.reload(progress_widget.admin)

    assert admin.site._registry[TaskProgress] is own
