"""The documents match the code."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from django.core.management.base import CommandParser
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_POST

from progress_widget import checks
from progress_widget.bars import ProgressBar
from progress_widget.conf import Conf
from progress_widget.doctor.steps import Examination
from progress_widget.management.commands import progress_doctor, progress_purge
from progress_widget.models import State, TaskProgress
from progress_widget.reading import fragments, media, rendering, trays
from progress_widget.templatetags import progress_widget as library

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(path for pattern in ("*.md", "docs/*.md") for path in ROOT.glob(pattern))
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
OWN_SITE = re.compile(
    r"https://(?:github|raw\.githubusercontent)\.com/progress-widget/django-progress-widget"
    r"/(?:blob/|tree/)?main/"
)
UNUSED_WORDS = {"status", "percentage", "completed", "description", "job"}


def blocks(*languages: str) -> list[Any]:
    """Return each block of code in these languages, with its document and number."""
    return [
        pytest.param(textwrap.dedent(found[3]), id=f"{document.name}-{number}")
        for document in DOCUMENTS
        for number, found in enumerate(BLOCK.finditer(document.read_text()), 1)
        if found[2] in languages
    ]


def links() -> list[Any]:
    """Return each link to one of our files, here or at its public URL, with its document."""
    return [
        pytest.param(document, target, id=f"{document.name}-{target}")
        for document in DOCUMENTS
        for target in LINK.findall(document.read_text())
        if OWN_SITE.match(target)
        or ("://" not in target and not target.startswith(("#", "mailto:")))
    ]


def names_in(text: str) -> set[str]:
    """Return all words that are marked as code."""
    marked = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    return {word for code in marked for word in re.findall(r"[\w.]+", code)}


@pytest.mark.parametrize("code", blocks("python"))
def test_python_in_the_documents_compiles(code):
    excerpt = "async def excerpt():\n" + textwrap.indent(code, "    ")  # it may have a return

    assert compile(excerpt, "document", "exec")


# Those of recipes.md need further packages; tests/recipes renders them.
@pytest.mark.parametrize(
    "code", [one for one in blocks("django", "html") if not one.id.startswith("recipes.md")]
)
def test_template_in_the_documents_compiles(code):
    assert engines["django"].from_string(code)


@pytest.mark.parametrize("code", blocks("python"))
def test_imports_in_the_documents_work(code):
    imports = re.findall(r"^(?:from progress_widget|import progress_widget).*$", code, re.M)

    exec("\n".join(imports), {})


@pytest.mark.parametrize(("document", "target"), links())
def test_link_leads_to_a_file(document, target):
    path, _, anchor = target.partition("#")
    start = OWN_SITE.match(path)
    file = ROOT / path[start.end() :] if start else document.parent / path

    assert file.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
        slugs = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings]
        assert anchor in slugs


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_said_twice(document):
    paragraphs = BLOCK.sub("", document.read_text()).split("\n\n")
    long = [one for one in paragraphs if len(one) > 80]

    assert len(long) == len(set(long))


def test_readme_can_be_read_on_the_page_of_an_index():
    assert [one for one in LINK.findall((ROOT / "README.md").read_text()) if "://" not in one] == []


@pytest.mark.parametrize("name", [name for name in vars(ProgressBar) if not name.startswith("_")])
def test_reference_names_each_attribute_of_the_bar(name):
    assert name in {word.rpartition(".")[2] for word in names_in(REFERENCE)}


@pytest.mark.parametrize(
    "name",
    [
        parameter
        for function in (ProgressBar, ProgressBar.update, ProgressBar.advance, ProgressBar.track)
        for parameter in inspect.signature(function).parameters
        if parameter != "self" and not parameter.startswith("_")
    ],
)
def test_reference_names_each_argument_of_the_bar(name):
    assert re.search(rf"\b{name}\b", REFERENCE)


@pytest.mark.parametrize("name", [name for name in vars(Conf) if not name.startswith("_")])
def test_reference_names_each_setting_with_its_default(name, settings):
    for setting in [one for one in dir(settings) if one.startswith("PROGRESS_WIDGET_")]:
        delattr(settings, setting)
    default = getattr(Conf(), name)
    row = re.search(rf"^\| `{name.upper()}` \| (\S+) \|", REFERENCE, re.M)

    assert row is not None
    told = row.group(1)
    assert told == str(default) or float(told) == default


@pytest.mark.parametrize(
    "check_id", sorted(set(re.findall(r"progress_widget\.[EW]\d{3}", inspect.getsource(checks))))
)
def test_reference_names_each_check(check_id):
    assert check_id in names_in(REFERENCE)


@pytest.mark.parametrize(
    "option",
    [
        parameter.name
        for tag in (rendering.progressbar, trays.progress_tray, media.media, media.css, media.js)
        for parameter in inspect.signature(tag).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in ("request", "nonce")
    ],
)
def test_reference_names_each_option_of_the_tags(option):
    assert re.search(rf"`{option}=", REFERENCE)


def test_reference_names_each_option_of_the_doctor():
    parser = CommandParser(add_help=False)
    progress_doctor.Command().add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}

    assert options
    assert {option for option in options if f"`{option}`" not in REFERENCE} == set()


def test_reference_names_each_step_of_the_doctor():
    names = {name for name in vars(Examination) if not name.startswith("_")} - {"delete_row"}

    assert names <= names_in(REFERENCE)


@pytest.mark.parametrize("tag", sorted(library.register.tags))
def test_reference_names_each_tag(tag):
    assert f"{{% {tag}" in REFERENCE


@pytest.mark.parametrize("field", [field.name for field in TaskProgress._meta.get_fields()])
def test_reference_names_each_field_of_the_row(field):
    assert field == "id" or field in names_in(REFERENCE)


@pytest.mark.parametrize("state", State.names)
def test_reference_names_each_state(state):
    assert state in REFERENCE


def test_words_that_are_not_used_are_no_names_of_ours():
    names = {field.name for field in TaskProgress._meta.get_fields()}
    for owner in (ProgressBar, TaskProgress, Conf, fragments.Fragment):
        names |= {name for name in vars(owner) if not name.startswith("_")}

    words = {word for name in names for word in name.split("_")}

    assert words & UNUSED_WORDS == set()


def test_reference_names_each_option_of_the_purge():
    parser = CommandParser(add_help=False)
    progress_purge.Command().add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}

    assert options == {"--days", "--dry-run"}
    assert {option for option in options if f"`{option}`" not in REFERENCE} == set()


@pytest.mark.django_db
def test_page_of_the_readme_can_be_loaded_again(client, settings, django_user_model):
    """As those do who have no JavaScript: by "Refresh", and after "Cancel"."""
    settings.ROOT_URLCONF = ModuleType("urls_of_the_readme")
    readme = (ROOT / "README.md").read_text()
    [views] = [found[3] for found in BLOCK.finditer(readme) if "def start(" in found[3]]
    known = {
        "__name__": "kelp.views",
        "start_task": lambda task, *args, **known: TaskProgress.objects.create(
            task_id=str(uuid4()), **known
        ),
        "render": lambda request, name, context: HttpResponse(context["row"].label),
        "redirect": redirect,
        "get_object_or_404": get_object_or_404,
        "require_POST": require_POST,
        "TaskProgress": TaskProgress,
        "dry_kelp": None,
        "leaves": [],
    }
    exec(views, known)
    settings.ROOT_URLCONF.urlpatterns = [
        path(f"{name}/<task_id>/" if name != "start" else "start/", known[name], name=name)
        for name in re.findall(r"^def (\w+)", views, re.M)
    ]
    client.force_login(django_user_model.objects.create_user("otter"))

    page = client.post("/start/", follow=True)
    again = client.get(page.request["PATH_INFO"])

    assert page.content == again.content == b"Kelp harvest"
    assert TaskProgress.objects.count() == 1
