"""Pages of Jinja2, in a project without Django's own templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
import pytest
from bs4 import BeautifulSoup
from django.template import TemplateDoesNotExist, engines

from progress_widget.models import TaskProgress
from progress_widget.reading.media import media
from progress_widget.reading.rendering import progressbar
from progress_widget.reading.trays import progress_tray

pytestmark = pytest.mark.django_db


def environment(**options: Any) -> jinja2.Environment:
    """Do as docs/usage.md says."""
    env = jinja2.Environment(**options)
    env.globals.update(progressbar=progressbar, progress_widget_media=media)
    env.globals.update(progress_tray=progress_tray)
    return env


@pytest.fixture(autouse=True)
def only_jinja2(settings) -> None:
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "APP_DIRS": True,
            "OPTIONS": {"environment": "tests.test_jinja2.environment"},
        }
    ]


@pytest.fixture
def draw() -> Callable[..., str]:
    def draw(source: str, request: Any = None, **context: Any) -> str:
        return engines["jinja2"].from_string(source).render(context, request)

    return draw


@pytest.fixture(autouse=True)
def row() -> TaskProgress:
    return TaskProgress.objects.create(task_id="kelp", total=10, progress=5)


def test_bar_is_shown_and_polls(draw, bar_in, poll, rf):
    bar = bar_in(draw("<p>{{ progressbar(task, label='Kelp') }}</p>", rf.get("/"), task="kelp"))
    TaskProgress.objects.update(progress=7)

    news = bar_in(poll(bar))

    assert (bar["data-percent"], news["data-percent"]) == ("50.0", "70.0")


def test_bar_belongs_to_the_user_of_the_request(draw, bar_in, poll, request_of, admin_user, client):
    bar = bar_in(
        draw("{{ progressbar(task, request=request) }}", request_of(admin_user), task="kelp")
    )

    refused = bar_in(poll(bar))
    client.force_login(admin_user)

    assert refused["data-state"] == "refused"
    assert poll(bar).status_code == 204


def test_tray_is_shown(draw, bar_in, request_of, admin_user, row):
    TaskProgress.objects.update(owner=admin_user)

    html = draw("{{ progress_tray(request) }}", request_of(admin_user))

    assert bar_in(html)["data-percent"] == "50.0"
    assert BeautifulSoup(html, "html.parser").form.input["name"] == "csrfmiddlewaretoken"


def test_head_is_loaded(draw):
    html = draw("{{ progress_widget_media(htmx=4, nonce='n0nce') }}")

    tags = BeautifulSoup(html, "html.parser").find_all(["link", "script"])
    assert [tag["nonce"] for tag in tags] == ["n0nce"] * 3


def test_misspelt_variable_is_an_error(draw):
    with pytest.raises(jinja2.UndefinedError, match="tsk"):
        draw("{{ progressbar(tsk) }}", task="kelp")


def test_template_that_no_app_has_is_still_missed(draw):
    with pytest.raises(TemplateDoesNotExist, match=r"no_such\.html"):
        draw("{{ progressbar(task, template='no_such.html') }}", task="kelp")


def test_djangos_templates_that_do_not_look_into_apps_will_do(settings, bar_in):
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {}}
    ]

    assert bar_in(progressbar("kelp"))["data-percent"] == "50.0"
