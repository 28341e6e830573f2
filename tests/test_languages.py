from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from bs4 import BeautifulSoup
from django.apps import apps
from django.template.loader import get_template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils import translation

import progress_widget
from progress_widget.models import State, TaskProgress
from progress_widget.reading import announcements, fragments, rendering
from progress_widget.reading.announcements import Crowd
from progress_widget.reading.fragments import Fragment, Version
from progress_widget.texts import LATE, REASONS, SILENT
from tests.builders import KEY, NOON, absent, fragment, saved

PACKAGE = Path(progress_widget.__file__).parent
CATALOGS = sorted(PACKAGE.glob("locale/*/LC_MESSAGES/django.po"))
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop"}
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-zA-Z%]")
LATIN = re.compile("[A-Za-z]")
NBSP = "\N{NO-BREAK SPACE}"
each_catalog = pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.parts[-3])


class Entry(NamedTuple):
    """One text of a .po file."""

    msgid: str
    msgstr: str
    is_fuzzy: bool


def entries(path: Path) -> list[Entry]:
    """Read a .po file without plural forms and contexts; the header has the msgid ""."""
    found = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        flags = [line for line in block.splitlines() if line.startswith("#,")]
        text = "\n".join(line for line in block.splitlines() if not line.startswith("#"))
        assert "msgctxt" not in text
        assert "msgid_plural" not in text
        msgid, msgstr = (
            "".join(ast.literal_eval(line) for line in lines.splitlines())
            for lines in re.split("^msgid |\nmsgstr ", text)[1:]
        )
        found.append(Entry(msgid, msgstr, "fuzzy" in "".join(flags)))
    return found


def is_marking(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in MARKS


def marked_in_modules() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if is_marking(node)]
        yield from (call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant))


def marked_in_templates() -> Iterator[str]:
    for path in (PACKAGE / "templates").rglob("*.html"):
        name = path.relative_to(PACKAGE / "templates").as_posix()
        nodes = get_template(name).template.nodelist
        assert not nodes.get_nodes_by_type(BlockTranslateNode)  # which is not handled here
        for node in nodes.get_nodes_by_type(TranslateNode):
            yield node.filter_expression.var.literal


def page_of(shown: Fragment, *, on_page: bool = True) -> BeautifulSoup:
    html = rendering.render(shown, KEY, token="token", on_page=on_page)
    return BeautifulSoup(html, "html.parser")


def texts(page: BeautifulSoup) -> list[str]:
    """Return all that a person sees or hears from some HTML."""
    spoken = [
        tag[name]
        for tag in page.find_all(True)
        for name in ("aria-label", "aria-valuetext", "title", "alt")
        if tag.has_attr(name)
    ]
    return [*page.stripped_strings, *spoken]


def row_of(state: str) -> TaskProgress:
    """Return a row for each state that a page tells apart, including the derived ones."""
    if state == "late":
        return saved(state=State.WAITING, created_at=NOON - timedelta(days=2))
    if state == fragments.STALLED:
        return saved(progress=5, updated_at=NOON - timedelta(hours=1))
    if state == fragments.UNKNOWN:
        return absent()
    return saved(progress=5, state=state, attempt=2)


# What a person sees.


@pytest.mark.parametrize("state", [*State, "late", fragments.STALLED, fragments.UNKNOWN])
def test_fragment_says_nothing_in_another_language(state):
    with translation.override("ar"):
        shown = fragment(row_of(state), shown=Version(1, "other", None, "0" * 8))
        said = [*texts(page_of(shown)), *texts(page_of(shown, on_page=False))]

    assert len(said) > 4
    assert [text for text in said if LATIN.search(text)] == []


def test_refusal_says_nothing_in_another_language():
    with translation.override("ar"):
        said = texts(page_of(fragments.refusal()))

    assert "لا يمكن عرض هذا التقدّم" in said
    assert [text for text in said if LATIN.search(text)] == []


def test_announcement_says_nothing_in_another_language():
    row = saved(progress=5, attempt=2)
    quarter, start = Version(2, "running", 100, "0" * 8), Version(0, "waiting", None, "0" * 8)

    with translation.override("ar"):
        said = [announcements.announcement(fragment(row), shown) for shown in (quarter, start)]
        changes = [(fragment(saved(state=State.FAILED)), start)]
        for many in (changes, changes * 5):
            for live in (6, len(many)):
                said.append(announcements.joint_announcement(many, Crowd(6, live)))

    assert all(said)
    assert [text for text in said if LATIN.search(text)] == []


def test_names_of_the_model_are_translated():
    model = TaskProgress._meta
    fields = [field for field in model.fields if not field.primary_key]

    with translation.override("ar"):
        names = [str(field.verbose_name) for field in fields]
        names += [str(field.help_text) for field in fields if field.help_text]
        names += [str(label) for label in State.labels]
        names += [str(model.verbose_name), str(model.verbose_name_plural)]
        names.append(str(apps.get_app_config("progress_widget").verbose_name))

    assert [name for name in names if LATIN.search(name.replace("Celery", ""))] == []


@pytest.mark.django_db
def test_admin_is_translated(admin_client):
    row = TaskProgress.objects.create(task_id="1", total=10, progress=5)
    folder, headers = "/admin/progress_widget/taskprogress/", {"Accept-Language": "ar"}

    pages = [admin_client.get(folder + path, headers=headers) for path in ("", f"{row.pk}/change/")]

    soups = [BeautifulSoup(page.content, "html.parser") for page in pages]
    names = [tag.text for tag in soups[0].select("#result_list th .text")]
    names += [tag.text for tag in soups[1].select(".form-row label")]
    assert len(names) >= 8
    assert [name for name in names if LATIN.search(name)] == []


@pytest.mark.parametrize("reason", REASONS)
def test_reason_is_stored_in_english_and_shown_in_the_language_of_the_page(reason):
    row = saved(state=State.FAILED, message=reason)

    with translation.override("de"):
        message = page_of(fragment(row)).select_one(".progressbar__message").text

    german = {entry.msgid: entry.msgstr for entry in entries(catalog_of("de"))}
    assert message == german[reason] != reason


def test_complete_is_stored_in_english_and_shown_in_the_language_of_the_page():
    row = saved(state=State.SUCCEEDED, step="Complete")

    with translation.override("de"):
        page = page_of(fragment(row))

    assert page.select_one(".progressbar__text").text == "Fertig"
    assert "Complete" not in str(page)


@pytest.mark.parametrize("message", ["Der Laden schweigt.", "Failed", "Refresh", "100%"])
def test_message_and_label_of_the_author_are_shown_as_they_are(message):
    row = saved(state=State.FAILED, message=message, label=message)

    with translation.override("ar"):
        page = page_of(fragment(row))

    assert page.select_one(".progressbar__message").text == message
    assert page.select_one(".progressbar__label").text == message


def test_step_of_the_author_is_shown_as_it_is_also_at_a_later_attempt():
    row = saved(step="Running", attempt=2)

    with translation.override("de"):
        text = page_of(fragment(row)).select_one(".progressbar__text").text

    assert text == "Versuch 2: Running"


def test_direction_is_the_pages_but_for_texts_of_any_language():
    row = saved(label="Import", progress=5, state=State.FAILED, message="Too wet.")

    with translation.override("ar"):
        page = page_of(fragment(row))

    directed = {tag["class"][0]: tag["dir"] for tag in page.select("[dir]")}
    texts_of_any = ("progressbar__label", "progressbar__text", "progressbar__message")
    assert directed == dict.fromkeys(texts_of_any, "auto")
    assert page.select("[lang]") == []


# Numbers: formatted for people, plain for machines.


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize(
    ("language", "percent", "numbers"),
    [
        ("en", "12.3%", "1,234,567 of 10,000,000"),
        ("de", f"12,3{NBSP}%", "1.234.567 von 10.000.000"),
        ("ar", "12,3%", "1234567 من 10000000"),
    ],
)
def test_people_get_the_digits_of_their_language_and_machines_plain_ones(
    settings, language, percent, numbers, grouped
):
    settings.USE_THOUSAND_SEPARATOR = grouped
    row = saved(progress=1_234_567, total=10_000_000, label="1")

    with translation.override(language):
        page = page_of(fragment(row, interval_ms=1_234_500))

    bar, meter = page.select_one("[data-state]"), page.select_one("[role=progressbar]")
    if not grouped:
        numbers = numbers.replace(".", "").replace(",", "")
    assert page.select_one(".progressbar__percent").text == percent
    assert page.select_one(".progressbar__numbers").text == numbers
    assert meter["aria-valuetext"].startswith(f"{percent}, ")
    assert (bar["data-percent"], meter["aria-valuenow"]) == ("12.3", "12.3")
    assert page.rect["width"] == "12.3%"
    assert bar["hx-trigger"].startswith("every 1234500ms,")
    assert re.search(r"&v=1\.running\.123\.[0-9a-f]{8}$", bar["hx-get"])


@pytest.mark.parametrize(("language", "clock"), [("de", "seit 11:00:"), ("ar", "منذ 11:00 ص:")])
def test_clock_time_is_written_as_the_language_does(language, clock):
    with translation.override(language):
        assert clock in fragment(row_of(fragments.STALLED)).message


def test_time_of_another_day_has_the_date_as_the_language_writes_it():
    with translation.override("de"):
        assert "seit 02.05.2026 12:00:" in fragment(row_of("late")).message


# The poll.


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "text"), [("de", "Versuch 3 folgt"), ("ar", "ستجري المحاولة 3 لاحقًا")]
)
def test_each_poll_speaks_the_language_of_the_page_not_of_the_client(
    page_bar, poll, bar_in, language, text
):
    row = TaskProgress.objects.create(task_id="kelp", total=3, attempt=2)
    with translation.override(language):
        bar = page_bar(row)
    french = {"Accept-Language": "fr"}

    unchanged = poll(bar, **french)
    TaskProgress.objects.update(progress=1)
    first = bar_in(poll(bar, **french))
    TaskProgress.objects.update(state=State.RETRYING)
    second = bar_in(poll(first, **french))

    assert unchanged.status_code == 204
    assert "33,3" in first.text
    assert second.select_one(".progressbar__text").text == text


@pytest.mark.django_db
def test_two_pages_of_one_task_each_keep_their_language(page_bar, poll, bar_in):
    row = TaskProgress.objects.create(task_id="kelp", total=3, attempt=1)
    bars = []
    for language in ("de", "ar", "en"):
        with translation.override(language):
            bars.append(page_bar(row))
    TaskProgress.objects.update(state=State.FAILED)

    answers = [bar_in(poll(bar, **{"Accept-Language": "fr"})) for bar in bars]

    said = [answer.select_one(".progressbar__text").text for answer in answers]
    assert said == ["Fehlgeschlagen", "فشلت", "Failed"]


@pytest.mark.django_db
def test_poll_leaves_the_language_of_its_thread_alone(page_bar, poll, bar_in):
    row = TaskProgress.objects.create(task_id="kelp", total=3)
    with translation.override("de"):
        bar = page_bar(row)
    TaskProgress.objects.update(state=State.FAILED)

    with translation.override("en"):
        poll(bar)
        after = translation.get_language()

    assert after == "en"


# The catalogs.


def catalog_of(language: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po"


def test_there_are_catalogs():
    assert [path.parts[-3] for path in CATALOGS] == ["ar", "de"]


@each_catalog
def test_catalog_has_just_the_texts_of_the_package(path):
    marked = {*marked_in_modules(), *marked_in_templates()}

    assert len(marked) > 40
    assert {entry.msgid for entry in entries(path)} - {""} == marked


@each_catalog
def test_catalog_is_translated_throughout(path):
    found = entries(path)

    assert [entry.msgid for entry in found if not entry.msgstr or entry.is_fuzzy] == []
    assert "#~" not in path.read_text(encoding="utf-8")


@each_catalog
def test_translations_fill_in_the_same_values(path):
    differing = [
        entry.msgid
        for entry in entries(path)[1:]
        if sorted(PLACEHOLDER.findall(entry.msgid)) != sorted(PLACEHOLDER.findall(entry.msgstr))
    ]

    assert differing == []


@pytest.mark.parametrize(("language", "name"), [("de", "Betreiber"), ("ar", "القائمين")])
def test_administrators_go_by_one_name(language, name):
    found = entries(catalog_of(language))
    sentences = [entry.msgstr for entry in found[1:] if "administrators" in entry.msgid]

    assert len(sentences) > 4
    assert [sentence for sentence in sentences if name not in sentence] == []


@each_catalog
def test_compiled_catalog_says_what_its_source_says(path):
    with path.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog

    compiled.pop("")  # msgfmt leaves out the dates in the header
    assert compiled == {entry.msgid: entry.msgstr for entry in entries(path)[1:]}


@pytest.mark.parametrize(
    ("language", "forms"), [("de", [1, 0, 1, 1, 1, 1]), ("ar", [0, 1, 2, 3, 4, 5])]
)
def test_catalog_tells_the_plural_forms_of_its_language_apart(language, forms):
    with catalog_of(language).with_suffix(".mo").open("rb") as file:
        plural = gettext.GNUTranslations(file).plural

    assert [plural(number) for number in (0, 1, 2, 3, 11, 100)] == forms


def test_texts_that_rows_keep_are_known_to_the_catalogs():
    known = [{entry.msgid for entry in entries(path)} for path in CATALOGS]

    assert all({*REASONS, LATE, SILENT} <= texts for texts in known)


def test_date_is_written_as_the_language_has_it():
    with translation.override("ar"):
        assert "2\u200f/05\u200f/2026" in fragment(row_of("late")).message


@pytest.mark.django_db
def test_refusal_speaks_the_language_of_the_page(
    page_bar, poll, bar_in, request_of, django_user_model
):
    row = TaskProgress.objects.create(task_id="kelp", total=3)
    ann = django_user_model.objects.create_user("ann")
    with translation.override("de"):
        bar = page_bar(row, request=request_of(ann))

    fragment = bar_in(poll(bar, **{"Accept-Language": "fr"}))

    text = fragment.select_one(".progressbar__text").text
    assert text == "Dieser Fortschritt kann nicht angezeigt werden"
