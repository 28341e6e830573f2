"""``{% progressbars %}``: one query for all bars in it, and no other meaning."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from bs4 import BeautifulSoup
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import Error, connections
from django.http import HttpRequest
from django.template import Library, engines
from django.utils import translation
from django.utils.html import strip_spaces_between_tags

from progress_widget.models import State, TaskProgress
from progress_widget.reading import rendering, tickets

pytestmark = pytest.mark.django_db
IDS = ["kelp-0", "kelp-1", "kelp-2"]
BAR = "{% load progress_widget %}{% progressbar task_id %}"
PARTS = {
    "bar.html": BAR,
    "block.html": "{% load progress_widget %}{% progressbars %}{% progressbar task_id %}"
    "{% endprogressbars %}",
    "base.html": "{% load progress_widget %}{% progressbars %}<table>{% block rows %}{% endblock %}"
    "</table>{% endprogressbars %}",
}
LOOP = "{% for task_id in ids %}<td>\n BAR </td>{% endfor %}"
BETWEEN = {
    "loop": LOOP,
    "include": LOOP.replace("BAR", "{% include 'bar.html' %}"),
    "include only": LOOP.replace("BAR", "{% include 'bar.html' with task_id=task_id only %}"),
    "inclusion tag": LOOP.replace("BAR", "{% bar_of task_id %}"),
    "template with a context of its own": LOOP.replace("BAR", "{% apart task_id %}"),
    "Python that draws a bar": "{% for bar in bars %}{{ bar }}{% endfor %}",
    "variable": LOOP.replace(
        "BAR", "{% progressbar task_id as bar %}{% if bar %}{{ bar }}{% endif %}"
    ),
    "autoescape": "{% autoescape off %}" + LOOP + "{% endautoescape %}",
    "spaceless": "{% spaceless %}" + LOOP + "{% endspaceless %}",
    "filter": "{% filter cut:'#' %}" + LOOP + "{% endfilter %}",
    "block": "{% progressbars %}" + LOOP + "{% endprogressbars %}",
    "included block": LOOP.replace("BAR", "{% include 'block.html' %}"),
    "options": LOOP.replace(
        "BAR", "{% progressbar task_id label='<Kelp>' interval=3 template='tests/loud.html' %}"
    ),
    "language": "{% language 'de' %}" + LOOP + "{% endlanguage %}" + LOOP,
    "nothing": "",
}


@pytest.fixture(autouse=True)
def site(settings, monkeypatch) -> None:
    """Have templates to include, tags with a context of their own, and a cache."""
    loaders = [
        ("django.template.loaders.locmem.Loader", PARTS),
        "django.template.loaders.filesystem.Loader",
        "django.template.loaders.app_directories.Loader",
    ]
    engine = settings.TEMPLATES[0] | {"APP_DIRS": False}
    builtins = ["django.templatetags.cache", "django.templatetags.i18n"]
    engine["OPTIONS"] = engine["OPTIONS"] | {"loaders": loaders, "builtins": builtins}
    settings.TEMPLATES = [engine]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()
    library = Library()
    library.inclusion_tag("bar.html", name="bar_of")(lambda task_id: {"task_id": task_id})
    library.simple_tag(apart, name="apart", takes_context=True)
    library.simple_tag(stop, name="stop")
    engines["django"].engine.template_builtins.append(library)


def apart(context: Any, task_id: str) -> str:
    """Draw a bar as components do, which make a context of their own."""
    return engines["django"].from_string(BAR).render({"task_id": task_id}, context.request)


def stop() -> None:
    raise LookupError


@pytest.fixture
def page(draw, request_of) -> Callable[..., str]:
    """Render a page of bars, in a block unless it is said otherwise."""

    def page(source: str = LOOP, *, block: bool = True, **context: Any) -> str:
        source = source.replace("BAR", "{% progressbar task_id %}")
        if block:
            source = "{% progressbars %}" + source + "{% endprogressbars %}"
        bars = (rendering.progressbar(task_id) for task_id in IDS)  # drawn where they are shown
        return draw(source, request_of(), **{"ids": IDS, "task_id": IDS[1], "bars": bars} | context)

    return page


@pytest.fixture(autouse=True)
def rows() -> list[TaskProgress]:
    """Make a row for all tasks but the last."""
    return [
        TaskProgress.objects.create(task_id=task_id, total=10, progress=number, label=task_id)
        for number, task_id in enumerate(IDS[:2], 1)
    ]


@pytest.fixture
def count(django_assert_num_queries) -> Any:
    return django_assert_num_queries


def bars_in(html: str) -> list[Any]:
    return BeautifulSoup(html, "html.parser").select("[data-state]")


def progress_in(html: str) -> list[str]:
    return [bar.get("data-percent", bar["data-state"]) for bar in bars_in(html)]


def neutral(html: str) -> str:
    """Return what does not differ from one rendering to the next, tokens as what they say.

    Nor does it matter that ``{% spaceless %}`` sees no bar in a block.
    """

    def said(found: re.Match[str]) -> str:
        ticket = tickets.read(found[1])
        return f"/progress/{vars(ticket) | {'rendered_at': 0}}/?k=KEY"

    html = re.sub(r"/progress/([^/]+)/[?]k=[\w-]{7}", said, html)
    return strip_spaces_between_tags(re.sub(r'(?<=id="|by=")p[\w-]{6}', "KEY", html))


@pytest.mark.parametrize("source", BETWEEN.values(), ids=BETWEEN)
def test_bars_cost_one_query_whatever_lies_between(page, count, source):
    with count(1 if source else 0):
        html = page(source)

    expected = ["10.0", "20.0", "waiting"] * source.count("{% for")
    assert progress_in(html) == expected


@pytest.mark.parametrize("source", BETWEEN.values(), ids=BETWEEN)
def test_block_has_no_other_meaning(page, source):
    assert neutral(page(source)) == neutral(page(source, block=False))


def test_bars_of_a_template_that_extends_another_cost_one_query(draw, count):
    source = "{% for task_id in ids %}{% progressbar task_id %}{% endfor %}"
    child = engines["django"].from_string(
        "{% extends 'base.html' %}{% load progress_widget %}{% block rows %}"
        + source
        + "{% endblock %}"
    )

    with count(1):
        html = child.render({"ids": IDS})

    assert progress_in(html) == ["10.0", "20.0", "waiting"]


def test_page_of_a_hundred_bars_is_small(page, count):
    ids = [f"wrack-{number}" for number in range(100)]
    TaskProgress.objects.bulk_create(
        TaskProgress(task_id=task_id, total=1000, progress=420, step="Drying") for task_id in ids
    )

    with count(1):
        html = page(ids=ids)

    assert progress_in(html) == ["42.0"] * 100
    assert len(gzip.compress(html.encode())) <= 14_000


def test_bars_of_one_task_have_different_ids(page):
    html = page("BARBAR{% progressbar task_id as bar %}{{ bar }}{{ bar }}")

    ids = [tag["id"] for tag in BeautifulSoup(html, "html.parser").select("[id]")]
    assert len(ids) == len(set(ids)) > 8


def test_bar_without_a_task_renders_nothing_and_asks_nothing(page, count):
    with count(0):
        assert page("<td>BAR{% progressbar nothing %}</td>", task_id=None) == "<td></td>"


def test_bar_whose_row_is_given_asks_nothing(page, count, rows):
    with count(0):
        html = page("{% for task_id in rows %}BAR{% endfor %}", rows=rows)

    assert progress_in(html) == ["10.0", "20.0"]


def test_refused_bar_is_refused_without_a_query(page, count, settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_progressbars.may_see_kelp_1"

    with count(1) as queries:
        html = page()

    assert progress_in(html) == ["refused", "20.0", "refused"]
    assert "kelp-0" not in queries[0]["sql"]


def may_see_kelp_1(request: HttpRequest, task_id: str) -> bool:
    return task_id == "kelp-1"


def test_bar_is_bound_to_the_user_of_its_page(draw, request_of, django_user_model):
    ann = django_user_model.objects.create_user("ann")

    html = draw(
        "{% progressbars %}{% progressbar 'kelp-1' %}{% endprogressbars %}", request_of(ann)
    )

    assert tickets.read(bars_in(html)[0]["hx-get"].split("/")[2]).user == str(ann.pk)


def test_bar_speaks_the_language_where_it_stands(page):
    with translation.override("en"):
        html = page("BAR{% language 'de' %}BAR{% endlanguage %}", task_id="kelp-2")

    english, german = (bar.select_one(".progressbar__text").text for bar in bars_in(html))
    assert (english, german) == ("No progress reported yet", "Noch kein Fortschritt gemeldet")


def test_row_that_can_not_be_read_is_an_error_as_any_of_the_page(page, refusing_database):
    with refusing_database(), pytest.raises(Error):
        page()


# What is around the block, and beside it


@pytest.mark.parametrize(
    "source", ["BAR{% stop %}", "{% progressbars %}BAR{% stop %}{% endprogressbars %}"]
)
def test_block_that_breaks_off_leaves_nothing_behind(page, count, source):
    with pytest.raises(LookupError):
        page(source)

    with count(1):
        assert progress_in(page("BAR", block=False)) == ["20.0"]


def test_bars_beside_a_block_are_drawn_where_they_stand(page, count):
    block = "{% progressbars %}" + LOOP + "{% endprogressbars %}"

    with count(3):
        html = page(f"BAR{block}BAR", block=False)

    assert progress_in(html) == ["20.0", "10.0", "20.0", "waiting", "20.0"]


@pytest.mark.django_db(transaction=True)
def test_bar_that_another_thread_draws_meanwhile_is_not_of_the_block(page):
    drawn: list[str] = []

    def draw_elsewhere() -> None:
        drawn.append(page("BAR", block=False))
        connections.close_all()

    def elsewhere() -> str:
        thread = Thread(target=draw_elsewhere)
        thread.start()
        thread.join()
        return ""

    html = page("{{ elsewhere }}BAR", elsewhere=elsewhere)

    assert (progress_in(html), progress_in(drawn[0])) == (["20.0"], ["20.0"])


def test_bar_that_async_code_draws_is_of_the_block(page, count):
    async def bar() -> str:
        return await sync_to_async(rendering.progressbar)("kelp-0")

    with count(1):
        html = page("{{ bar }}BAR", bar=async_to_sync(bar))

    assert progress_in(html) == ["10.0", "20.0"]


# What is caught on its way to the end of the block


CACHED = "{% cache 600 kelp %}BAR{% endcache %}"


@pytest.mark.parametrize("block", [True, False])
def test_bar_out_of_a_cache_is_there_at_its_first_poll(page, poll, bar_in, count, block):
    page(CACHED)

    with count(0):
        cached = bar_in(page(CACHED, block=block))

    assert cached.select_one(".progressbar__text").text == "Progress"
    assert (cached["data-state"], cached["hx-trigger"][:12]) == ("waiting", "every 1000ms")
    assert bar_in(poll(cached))["data-percent"] == "20.0"


@pytest.mark.parametrize("options", ["label='Kelp'", "template='tests/loud.html'", "interval=3"])
def test_bar_out_of_a_cache_has_its_options_from_its_first_poll_on(page, poll, bar_in, options):
    cached = "{% cache 600 kelp %}{% progressbar task_id " + options + " %}{% endcache %}"
    drawn = bar_in(page(cached))

    polled = bar_in(poll(bar_in(page(cached))))

    assert polled.text == drawn.text
    assert polled["hx-trigger"] == drawn["hx-trigger"]


def test_bar_out_of_a_cache_is_refused_to_another_user(
    draw, client, bar_in, request_of, django_user_model
):
    ann, bob = (django_user_model.objects.create_user(name) for name in ("ann", "bob"))
    source = "{% progressbars %}" + CACHED.replace("BAR", "{% progressbar 'kelp-1' %}")
    source += "{% endprogressbars %}"
    draw(source, request_of(ann))
    client.force_login(bob)

    cached = bar_in(draw(source, request_of(bob)))

    polled = bar_in(client.get(cached["hx-get"], headers={"HX-Request": "true"}))
    assert (cached["data-state"], polled["data-state"]) == ("waiting", "refused")


def test_bar_whose_markup_is_quoted_is_quoted(page, poll, bar_in):
    html = page("{% progressbar task_id as bar %}<b data-content='{{ bar|force_escape }}'></b>BAR")

    quoted = BeautifulSoup(html, "html.parser").b["data-content"]
    assert progress_in(html) == ["20.0"]
    assert bar_in(poll(bar_in(quoted)))["data-percent"] == "20.0"


def test_bar_that_is_cut_short_leaves_the_others_whole(page):
    html = page("{% filter slice:':40' %}BAR{% endfilter %}'>BARBAR")

    assert progress_in(html) == ["20.0", "20.0"]


def test_bars_about_objects_cost_one_query_more(page, count, rows):
    bays = [Group.objects.create(name=f"Bay {number}") for number in range(3)]
    otter = User.objects.create_user("otter")
    for row, thing in zip(rows, (bays[0], otter), strict=True):
        row.about = thing
        row.save()
    things = [*bays, otter, Group()]

    with count(2):
        html = page(
            "{% for thing in things %}{% progressbar thing %}{% endfor %}{% progressbar task_id %}",
            things=things,
        )

    assert progress_in(html) == ["10.0", "20.0", "20.0"]


def test_bar_about_an_object_has_the_options_and_language_of_its_place(page, rows):
    bay = Group.objects.create(name="Bay 3")
    rows[0].about, rows[0].state = bay, State.FAILED
    rows[0].save()

    html = page(
        '{% load i18n %}{% language "de" %}{% progressbar bay label="Tang" %}{% endlanguage %}',
        bay=bay,
    )

    [bar] = bars_in(html)
    assert "Fehlgeschlagen" in bar.text
    assert "Tang" in bar.text
