from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from uuid import UUID

import pytest
from bs4 import BeautifulSoup
from celery.result import AsyncResult
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.template import Context, Library, Template, engines
from django.template.loader import render_to_string
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress
from progress_widget.reading import tickets
from progress_widget.reading.media import STYLESHEET
from progress_widget.templatetags import progress_widget as library
from tests.celery import app

pytestmark = pytest.mark.django_db
TASK_ID = "3f0c6a7e-54a2-4a5c-9a07-3b0d7e9f2a11"


@pytest.fixture
def row() -> TaskProgress:
    return TaskProgress.objects.create(task_id=TASK_ID, total=10, progress=5, step="Drying")


@pytest.mark.parametrize(
    "task",
    [
        TASK_ID,
        SafeString(TASK_ID),
        UUID(TASK_ID),
        AsyncResult(TASK_ID, app=app),
        SimpleNamespace(id=TASK_ID),
        SimpleNamespace(id=5, task_id=TASK_ID),
    ],
    ids=repr,
)
def test_tag_takes_whatever_has_the_task_id(page_bar, row, task, django_assert_num_queries):
    with django_assert_num_queries(1):
        bar = page_bar(task)

    assert bar["data-percent"] == "50.0"


def test_tag_takes_a_row_and_asks_nothing_more(page_bar, row, django_assert_num_queries):
    with django_assert_num_queries(0):
        bar = page_bar(row)

    assert bar["data-percent"] == "50.0"


def test_tag_shows_the_newest_bar_about_an_object(
    page_bar, poll, bar_in, django_assert_num_queries
):
    bay = Group.objects.create(name="Bay 3")
    for number in (1, 2):
        TaskProgress.objects.create(task_id=f"{number}", total=10, progress=number, about=bay)

    with django_assert_num_queries(1):
        bar = page_bar(bay)

    assert bar["data-percent"] == "20.0"
    assert poll(bar).status_code == 204


@pytest.mark.parametrize("is_saved", [True, False])
def test_object_that_no_task_is_about_shows_nothing(draw, is_saved):
    bay = Group(name="Bay 3")
    if is_saved:
        bay.save()
        TaskProgress.objects.create(task_id=str(bay.pk), total=10, progress=5)

    assert draw("{% progressbar bay %}", bay=bay) == ""
    assert draw("{% progressbars %}{% progressbar bay %}{% endprogressbars %}", bay=bay) == ""


def test_object_that_names_its_task_shows_that(page_bar, row, django_assert_num_queries):
    bay = Group(pk=3)
    bay.task_id = TASK_ID

    with django_assert_num_queries(1):
        assert page_bar(bay)["data-percent"] == "50.0"


def test_bar_about_an_object_is_refused_as_any_other(page_bar, request_of, settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_templatetags.nobody"
    bay = Group.objects.create(name="Bay 3")
    TaskProgress.objects.create(task_id="kelp", total=10, progress=5, about=bay)

    assert page_bar(bay, request=request_of())["data-state"] == "refused"


def nobody(request, task_id):
    return False


def test_tag_takes_a_bar(page_bar, row):
    assert page_bar(ProgressBar.get(TASK_ID))["data-percent"] == "50.0"


@pytest.mark.parametrize("source", ["task", "nothing", "nothing.id", "''", "None"])
@pytest.mark.parametrize("task", [None, "", ProgressBar(None)])
def test_missing_task_id_renders_nothing(draw, source, task, django_assert_num_queries):
    with django_assert_num_queries(0):
        html = draw("{% progressbar " + source + " %}", task=task)

    assert html == ""


@pytest.fixture
def warnings_of(settings, tmp_path, caplog) -> Callable[..., list[str]]:
    """Return what the log warns of when a page is rendered, twice, under DEBUG."""
    settings.DEBUG = True
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    library._warn_once.cache_clear()

    def warnings_of(tag: str, **context: object) -> list[str]:
        (tmp_path / "bars.html").write_text("{% load progress_widget %}\n<p>" + tag + "</p>")
        for _ in range(2):
            render_to_string("bars.html", context)
        return [record.getMessage() for record in caplog.records]

    return warnings_of


@pytest.mark.parametrize("written", ["tsk_id", "task.tsk_id", "tsk.id"])
@pytest.mark.parametrize("form", ["{} label='Kelp'", "label='Kelp' task={}", "{} as bar"])
def test_variable_that_is_not_there_is_told_once_under_debug(warnings_of, row, form, written):
    [told] = warnings_of("{% progressbar " + form.format(written) + " %}", task=row)

    assert "bars.html, line 2" in told
    assert f" {written} " in told


@pytest.mark.parametrize(
    "written", ["nothing", "nothing.id", "empty", "''", "None", "task", "tsk|default:''"]
)
def test_variable_that_is_there_is_not(warnings_of, row, written):
    tag = "{% progressbar " + written + " %}"

    assert warnings_of(tag, nothing=None, empty="", task=row) == []


def test_without_debug_nothing_is_told(warnings_of, settings):
    settings.DEBUG = False

    assert warnings_of("{% progressbar tsk_id %}") == []


def test_variable_of_a_template_without_a_file_is_told_too(draw, settings, caplog):
    settings.DEBUG = True
    library._warn_once.cache_clear()

    draw("{% progressbar tsk_id %}")

    assert "tsk_id" in caplog.text


@pytest.mark.parametrize("task_id", ["a\0b", "kelp\udce9", "x" * 300], ids=ascii)
def test_task_id_that_no_row_can_have_breaks_no_page(page_bar, poll, task_id):
    bar = page_bar(task_id)

    assert bar["data-state"] == "waiting"
    assert poll(bar).status_code == 204


def test_tag_leaves_the_context_as_it_was(row):
    context = Context({"task": row, "fragment": "mine", "key": "mine"})
    before = context.flatten()

    Template("{% load progress_widget %}{% progressbar task %}").render(context)

    assert context.flatten() == before


def test_tag_does_not_see_what_the_page_calls_by_the_same_names(draw, bar_in, row):
    html = draw("{% progressbar task %}", task=row, fragment="mine", key="mine", on_page=False)

    assert bar_in(html)["id"] != "mine"
    assert 'role="status"' in html


def test_result_can_be_kept_in_a_variable(draw, bar_in, row):
    html = draw("{% progressbar task as bar %}<td>{{ bar }}</td>", task=row)

    assert BeautifulSoup(html, "html.parser").td.select_one("[data-state]")


def test_two_bars_of_one_task_have_different_ids(draw, row):
    html = draw("{% progressbar task %}{% progressbar task %}", task=row)

    ids = [tag["id"] for tag in BeautifulSoup(html, "html.parser").select("[id]")]
    assert len(ids) == len(set(ids)) > 2


def test_bar_consists_of_phrasing_elements(draw, row):
    html = draw("{% progressbar task label='Kelp' %}", task=row)

    page = BeautifulSoup(html, "html.parser")
    names = {tag.name for tag in page.find_all(True) if not tag.find_parent("svg")}
    assert names <= {"span", "svg", "noscript", "a"}


def test_label_names_the_meter(page_bar, row):
    bar = page_bar(row, "label='Drying of kelp'")

    meter = bar.select_one("[role=progressbar]")
    assert bar.find(id=meter["aria-labelledby"]).text == "Drying of kelp"


def test_meter_without_a_label_has_a_name_too(page_bar, row):
    assert page_bar(row).select_one("[role=progressbar]")["aria-label"] == "Progress"


def test_label_of_the_tag_goes_before_the_rows(page_bar, row):
    row.label = "Row"

    assert page_bar(row).select_one("[id$='-l']").text == "Row"
    assert page_bar(row, "label='Tag'").select_one("[id$='-l']").text == "Tag"


@pytest.mark.parametrize(
    ("interval", "trigger"),
    [("2", "2000ms"), ("0.25", "250ms"), ("'1.5'", "1500ms"), ("1000", "1000000ms")],
)
def test_interval_of_the_tag_is_seconds(page_bar, row, settings, interval, trigger):
    settings.USE_THOUSAND_SEPARATOR = True

    bar = page_bar(row, f"interval={interval}")

    assert bar["hx-trigger"].startswith(f"every {trigger},")


def test_interval_is_else_the_settings(page_bar, row, settings):
    settings.PROGRESS_WIDGET_POLL_INTERVAL = 3

    assert page_bar(row)["hx-trigger"].startswith("every 3000ms,")


@pytest.mark.parametrize("interval", ["0", "-1", "'x'", "0.0001", "''"])
def test_interval_that_is_none_is_an_error(page_bar, row, interval):
    with pytest.raises(ValueError, match="positive number of seconds"):
        page_bar(row, f"interval={interval}")


@pytest.mark.parametrize("interval", [float("nan"), float("inf")])
def test_interval_without_end_is_an_error(draw, row, interval):
    with pytest.raises(ValueError, match="positive number of seconds"):
        draw("{% progressbar task interval=n %}", task=row, n=interval)


def test_project_may_give_a_template_that_replaces_a_block(page_bar, poll, row):
    bar = page_bar(row, "template='tests/loud.html'")
    TaskProgress.objects.update(progress=7)

    answer = poll(bar)

    assert bar.select_one(".loud").text == "Drying!"
    assert b'<b class="loud">Drying!</b>' in answer.content


def test_project_may_shadow_the_template_and_extend_its_very_name(page_bar, row, settings):
    folder = settings.FOLDER / "templates_shadow"
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [folder]}]

    bar = page_bar(row)

    assert bar.select_one(".shadow").text == "Drying"


EVIL = "<script>alert(1)</script>\"'&"


@pytest.mark.parametrize("autoescape", ["on", "off"])
def test_texts_of_strangers_are_escaped(draw, autoescape):
    task = TaskProgress(
        task_id=EVIL, total=10, label=EVIL, step=EVIL, message=EVIL, state="failed", attempt=1
    )

    html = draw(
        f"{{% autoescape {autoescape} %}}{{% progressbar task %}}{{% endautoescape %}}", task=task
    )

    page = BeautifulSoup(html, "html.parser")
    assert page.select("script") == []
    assert EVIL in page.text


@pytest.mark.parametrize("autoescape", ["on", "off"])
def test_step_and_label_are_escaped_in_attributes_too(draw, bar_in, autoescape):
    task = TaskProgress(task_id="kelp", total=10, step=EVIL)
    source = (
        f"{{% autoescape {autoescape} %}}{{% progressbar task label=label %}}{{% endautoescape %}}"
    )

    bar = bar_in(draw(source, task=task, label=EVIL))

    assert bar.select("script") == []
    assert bar.select_one("[role=progressbar]")["aria-valuetext"].endswith(EVIL)
    assert EVIL in bar.text


@pytest.mark.parametrize(
    ("label", "shown"), [("x" * 10_000, "x" * 255), ("a\0b", "ab"), ("\u202eb", "\u202eb")]
)
def test_label_is_cropped_and_isolated(draw, bar_in, row, label, shown):
    bar = bar_in(draw("{% progressbar task label=label %}", task=row, label=label))

    found = bar.select_one("[id$='-l']")
    assert (found.text, found["dir"]) == (shown, "auto")


def test_label_with_half_a_surrogate_pair_can_be_sent(draw, row):
    draw("{% progressbar task label=label %}", task=row, label="kelp\udce9").encode()


# The request, which some ways of including a template lose.

BAR = "{% load progress_widget %}{% progressbar 'kelp' %}"
PART = {
    "include only": "{% include part only %}",
    "inclusion tag": "{% included %}",
    "inclusion tag with the context": "{% included_with_context %}",
    "None under its name": "{% with request=None %}{% include part %}{% endwith %}",
    "another thing under its name": "{% for request in requests %}{% include part %}{% endfor %}",
}
each_part = pytest.mark.parametrize("source", PART.values(), ids=PART)


@pytest.fixture
def page_with_part(monkeypatch, draw):
    """Render a page that includes a part."""

    def page_with_part(source: str, part: str, request: HttpRequest | None, **context) -> str:
        library = Library()
        template = Template(part)
        library.inclusion_tag(template, name="included")(lambda: {})
        library.inclusion_tag(template, takes_context=True, name="included_with_context")(
            lambda context: {}
        )
        engine = engines["django"].engine
        builtins = [*engine.template_builtins, library]
        monkeypatch.setattr(engine, "template_builtins", builtins)
        return draw(source, request, part=template, **context)

    return page_with_part


class UnreadNonce(SimpleLazyObject):
    """A nonce as middleware makes it: false until it is read, so that nobody else makes one."""

    def __bool__(self) -> bool:
        return False


def user_of(bar) -> str:
    return tickets.read(bar["hx-get"].split("/")[2]).user


@each_part
def test_bar_is_bound_to_the_user_however_it_is_included(
    page_with_part, bar_in, request_of, django_user_model, source
):
    ann, bob = (django_user_model.objects.create_user(name) for name in ("ann", "bob"))
    request = request_of(ann)
    others = [SimpleNamespace(user=bob)]  # such as requests for leave

    bar = bar_in(page_with_part(source, BAR, request, requests=others))

    assert user_of(bar) == str(ann.pk)


def test_bar_is_bound_to_the_user_of_a_request_that_the_context_only_names(
    bar_in, request_of, django_user_model
):
    ann = django_user_model.objects.create_user("ann")

    bar = bar_in(Template(BAR).render(Context({"request": request_of(ann)})))

    assert user_of(bar) == str(ann.pk)


def test_bar_is_bound_to_the_user_where_no_context_processor_names_the_request(
    page_bar, request_of, django_user_model, settings
):
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"OPTIONS": {}}]
    ann = django_user_model.objects.create_user("ann")

    assert user_of(page_bar("kelp", request=request_of(ann))) == str(ann.pk)


def test_bar_without_a_request_is_bound_to_nobody(page_bar):
    assert user_of(page_bar("kelp")) == ""


@each_part
@pytest.mark.parametrize("name", ["csp_nonce", "_csp_nonce"], ids=["django-csp", "Django"])
def test_media_carries_the_nonce_of_the_request_however_it_is_included(
    page_with_part, request_of, source, name
):
    request = request_of()
    setattr(request, name, UnreadNonce(lambda: "n0nce"))
    part = "{% load progress_widget %}{% progress_widget_media %}"

    html = page_with_part(source, part, request, requests=[SimpleNamespace()])

    tags = BeautifulSoup(html, "html.parser").select("link, script")
    assert [tag.get("nonce") for tag in tags] == ["n0nce"] * 3


def test_media_takes_the_nonce_that_the_context_names_first(draw, request_of):
    request = request_of()
    request.csp_nonce = "of the request"

    html = draw("{% progress_widget_media %}", request, csp_nonce="of the context")

    assert BeautifulSoup(html, "html.parser").link["nonce"] == "of the context"


def media(draw, options="", tag="progress_widget_media", **context):
    page = BeautifulSoup(draw(f"{{% {tag} {options} %}}", **context), "html.parser")
    links = [link["href"] for link in page.select("link[rel=stylesheet]")]
    return page, links, [script["src"] for script in page.select("script")]


def test_media_loads_the_stylesheet_htmx_and_the_script(draw):
    page, links, scripts = media(draw)

    assert links == [f"/static/{STYLESHEET}"]
    assert scripts == [
        "/static/django_htmx/htmx-2.min.js",
        "/static/progress_widget/progress_widget.js",
    ]
    assert all(script.has_attr("defer") for script in page.select("script"))


@pytest.mark.parametrize(
    ("htmx", "names"),
    [("2", ["htmx-2"]), ("4", ["htmx-4"]), ("True", ["htmx-2"]), ("False", [])],
)
def test_media_loads_the_htmx_that_is_asked_for(draw, htmx, names):
    _, _, scripts = media(draw, f"htmx={htmx}")

    assert [name for name in names if name in scripts[0]] == names
    assert len(scripts) == 1 + len(names)


def test_media_carries_the_nonce_of_the_page(draw):
    page, _, _ = media(draw, csp_nonce="n0nce")

    tags = page.select("link, script")
    assert [tag.get("nonce") for tag in tags] == ["n0nce"] * 3


def test_media_without_a_policy_has_no_nonce(draw):
    page, _, _ = media(draw)

    assert not page.select("[nonce]")


def test_media_asks_the_database_nothing(draw, django_assert_num_queries):
    with django_assert_num_queries(0):
        draw("{% progress_widget_media %}")


def test_stylesheet_and_scripts_can_be_had_apart(draw):
    css, sheets, no_scripts = media(draw, tag="progress_widget_css", csp_nonce="n0nce")
    js, no_sheets, scripts = media(draw, tag="progress_widget_js", csp_nonce="n0nce")
    together, _, _ = media(draw, csp_nonce="n0nce")

    assert (len(sheets), no_scripts, no_sheets, len(scripts)) == (1, [], [], 2)
    assert css.select("[nonce]") + js.select("[nonce]") == together.select("[nonce]")


def test_scripts_apart_take_the_version_of_htmx(draw):
    _, _, scripts = media(draw, "htmx=False", tag="progress_widget_js")

    assert scripts == ["/static/progress_widget/progress_widget.js"]


def test_page_says_under_debug_that_its_stylesheet_is_missing(draw, row, settings):
    settings.DEBUG = True

    page = BeautifulSoup(draw("{% progressbar task %}", task=row), "html.parser")

    [hint] = page.select(".progressbar-wrapper > .progressbar__hint")
    assert "{% progress_widget_media %}" in hint.text


def test_poll_and_page_without_debug_do_not(draw, poll, row, settings, page_bar):
    bar = page_bar(row)
    html = draw("{% progressbar task %}", task=row)
    settings.DEBUG = True
    TaskProgress.objects.update(progress=7)

    answer = poll(bar)

    assert answer.status_code == 200
    assert "progressbar__hint" not in html + answer.content.decode()
