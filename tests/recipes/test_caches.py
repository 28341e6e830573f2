from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.test import Client
from django.urls import include, path
from django.views.decorators.cache import cache_page

from progress_widget.bars import ProgressBar
from progress_widget.reading import tickets
from tests.recipes import document

pytestmark = pytest.mark.django_db
VARIED = "{% cache 600 harvest harvest.pk request.user.pk %}"
HARVEST = SimpleNamespace(pk=5, name="Bay 5", task_id="kelp")


def page(request: HttpRequest) -> HttpResponse:
    """Answer with a bar, with no thought of caches."""
    return render(request, "bar.html", {"task_id": "kelp"})


urlpatterns = [
    path("progress/", include("progress_widget.urls")),
    path("page/", page),
    path("cached/", cache_page(600)(page)),
]


@pytest.fixture(autouse=True)
def memory(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def per_site_cache(settings):
    before = "django.middleware.cache.UpdateCacheMiddleware"
    after = "django.middleware.cache.FetchFromCacheMiddleware"
    settings.MIDDLEWARE = [before, *settings.MIDDLEWARE, after]


@pytest.fixture
def people(django_user_model) -> list[Client]:
    """Return the browsers of two users."""
    clients = [Client(), Client()]
    for number, client in enumerate(clients):
        client.user = django_user_model.objects.create_user(f"user-{number}")
        client.force_login(client.user)
    return clients


@pytest.fixture
def bar() -> ProgressBar:
    return ProgressBar("kelp", total=10)


@pytest.fixture
def site(follow, settings, monkeypatch) -> None:
    """Serve the recipe for pages beside the pages above."""
    names = follow("Cached pages")
    urls = ModuleType("kelp.urls")
    urls.urlpatterns = [*urlpatterns, path("harvests/", names["harvests"]), *names["urlpatterns"]]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    settings.ROOT_URLCONF = urls.__name__


def user_of(bar: Any) -> str:
    """Return the user that a bar is bound to."""
    return tickets.read(bar["hx-get"].split("/")[2]).user


def test_bar_beside_a_cached_part_is_each_users_own(follow, request_of, bar, bar_in, people):
    follow("Cached templates")
    names = iter(["Bay 5", "Bay 6"])

    for client in people:
        harvest = SimpleNamespace(pk=5, name=next(names), task_id="kelp")
        html = render(request_of(client.user), "harvest.html", {"harvest": harvest})

        assert user_of(bar_in(html)) == str(client.user.pk)
        assert b"<h1>Bay 5</h1>" in html.content


def test_bar_in_a_part_that_varies_on_the_user_is_mended_by_the_first_poll(
    draw, request_of, bar, bar_in, people
):
    source = f"{{% load cache %}}{VARIED}{{% progressbar 'kelp' %}}{{% endcache %}}"
    for client in people:
        draw(source, request_of(client.user), harvest=HARVEST)
    bar.update(progress=5)

    for client in people:
        cached = bar_in(draw(source, request_of(client.user), harvest=HARVEST))
        polled = client.get(cached["hx-get"], headers={"HX-Request": "true"})

        assert user_of(cached) == str(client.user.pk)
        assert (cached["data-percent"], bar_in(polled)["data-percent"]) == ("0.0", "50.0")
    assert VARIED in document.SECTIONS["Cached templates"]


@pytest.mark.usefixtures("site", "per_site_cache")
def test_cached_page_is_the_same_for_all_and_its_bar_is_each_users_own(bar, bar_in, people):
    pages = [client.get("/harvests/").content for client in people]
    assert pages[0] == pages[1]
    assert b'hx-get="/bar/"' in pages[0]

    for client in people:
        session = client.session
        session["task_id"] = "kelp"
        session.save()
        for progress in (1, 2):
            bar.update(progress=progress)
            shown = bar_in(client.get("/bar/"))

            assert user_of(shown) == str(client.user.pk)
            assert shown["data-percent"] == f"{progress}0.0"


@pytest.mark.usefixtures("site")
def test_stranger_gets_no_bar_from_the_view_that_a_cached_page_asks(client, bar):
    assert client.get("/bar/").content.strip() == b""


@pytest.mark.usefixtures("site", "per_site_cache")
def test_per_site_cache_keeps_the_page_of_a_user_for_that_session(bar, bar_in, people):
    for client in people:
        first, second = client.get("/page/"), client.get("/page/")

        assert user_of(bar_in(first)) == str(client.user.pk)
        assert first.content == second.content  # from the cache: a new one would have a new key


@pytest.mark.usefixtures("site")
def test_cache_page_gives_the_page_of_a_user_to_others(bar, bar_in, people):
    one, other = people
    bar_of_one = bar_in(one.get("/cached/"))

    bar_of_other = bar_in(other.get("/cached/"))

    assert bar_of_other["hx-get"] == bar_of_one["hx-get"]
    polled = other.get(bar_of_other["hx-get"], headers={"HX-Request": "true"})
    assert bar_in(polled)["data-state"] == "refused"


@pytest.mark.usefixtures("site", "per_site_cache")
def test_no_poll_is_stored_by_the_per_site_cache(client, bar, bar_in, poll):
    shown = bar_in(client.get("/page/"))
    seen = []
    for progress in (1, 2):
        bar.update(progress=progress)
        seen.append(bar_in(poll(shown))["data-percent"])

    assert seen == ["10.0", "20.0"]
