"""Packages that draw a part of the page."""

from __future__ import annotations

import json

import pytest

from tests.recipes import project

TABLES = "django_tables2"
CRISPY = "crispy_forms", "crispy_bootstrap5"
COTTON = "django_cotton"
COMPONENTS = "django_components"


def installed(*packages: str, **settings: object) -> dict[str, str]:
    """Return the settings that a package needs; where it is not installed, skip the test."""
    project.require(*packages)
    lines = [f"INSTALLED_APPS += {packages!r}", *(f"{k} = {v!r}" for k, v in settings.items())]
    return {"settings.py": "\n".join(lines)}


def test_bars_in_a_table_are_bound_to_the_user_and_cost_one_query(page_of):
    page = page_of("django-tables2", "/harvests/", **installed(TABLES))

    assert page.bound == [("kelp-1", True), ("kelp-2", True)]
    assert len(page.queries) == 1


WITHOUT_REQUEST = """
def harvests(request):
    table = HarvestTable([{"task_id": "kelp-1"}])
    return render(request, "harvests.html", {"table": table})
"""


def test_bar_in_a_table_that_has_no_request_is_bound_to_the_user(page_of):
    more = installed(TABLES) | {"views.py": WITHOUT_REQUEST}

    page = page_of("django-tables2", "/harvests/", **more)

    assert page.bound == [("kelp-1", True)]


EXPORT = """
from django.http import JsonResponse


def harvests(request):
    table = HarvestTable([{"name": "Bay 1", "task_id": "kelp-1"}])
    return JsonResponse([*table.as_values()], safe=False)
"""


def test_export_of_a_table_has_no_bars(page_of):
    page = page_of("django-tables2", "/harvests/", **installed(TABLES), **{"views.py": EXPORT})

    assert json.loads(page.html) == [["Name"], ["Bay 1"]]


FORM_VIEW = """
from kelp.forms import HarvestForm


def harvest(request, pk):
    form = HarvestForm(instance=Harvest.objects.get(pk=pk))
    return render(request, "harvest.html", {"form": form})
"""


def test_bar_in_a_crispy_layout_is_bound_to_the_user(page_of):
    pack = {"CRISPY_ALLOWED_TEMPLATE_PACKS": "bootstrap5", "CRISPY_TEMPLATE_PACK": "bootstrap5"}
    more = installed(*CRISPY, **pack) | {"views.py": FORM_VIEW}

    page = page_of("django-crispy-forms", **more)

    assert page.bound == [("kelp-1", True)]
    assert "form-control" in page.html


@pytest.mark.parametrize("isolated", [False, True])
def test_bar_in_a_cotton_component_is_bound_to_the_user(page_of, isolated):
    page = page_of("django-cotton", **installed(COTTON, COTTON_ISOLATE_BY_DEFAULT=isolated))

    assert page.bound == [("kelp-1", True)]
    assert page.bars[0].select_one("[id$='-l']").text == "Kelp harvest"


ALONE = """
def harvest(request, pk):
    return render(request, "alone.html", {"task_id": "kelp-1"})
"""


def test_bar_in_a_cotton_component_with_only_is_bound_to_the_user(page_of):
    page = page_of("django-cotton", **installed(COTTON), **{"views.py": ALONE})

    assert page.bound == [("kelp-1", True)]


@pytest.mark.parametrize("behaviour", ["django", "isolated"])
def test_bar_in_a_component_is_bound_to_the_user(page_of, behaviour):
    more = installed(COMPONENTS, COMPONENTS={"context_behavior": behaviour})

    page = page_of("django-components", **more)

    assert page.bound == [("kelp-1", True)]
    assert page.bars[0].select_one("[id$='-l']").text == "Kelp harvest"


MANY = """
def harvests(request):
    return render(request, "many.html", {"ids": ["kelp-1", "kelp-2"]})
"""


@pytest.mark.parametrize(
    ("heading", "package", "tags"),
    [
        ("django-cotton", COTTON, '<c-bar :task_id="task_id" label="Kelp" />'),
        (
            "django-components",
            COMPONENTS,
            '{% load component_tags %}{% component "bar" task_id=task_id label="Kelp" / %}',
        ),
    ],
)
def test_bars_of_many_components_in_a_block_cost_one_query(page_of, heading, package, tags):
    many = (
        "{% load progress_widget %}{% progressbars %}"
        "{% for task_id in ids %}" + tags + "{% endfor %}{% endprogressbars %}"
    )

    page = page_of(
        heading, "/harvests/", **installed(package), **{"views.py": MANY, "many.html": many}
    )

    assert page.bound == [("kelp-1", True), ("kelp-2", True)]
    assert [bar["data-percent"] for bar in page.bars] == ["10.0", "20.0"]
    assert len(page.queries) == 1


FROM_PYTHON = """
def harvest(request, pk):
    from kelp.components.bar import Bar

    return Bar.render_to_response(kwargs={"task_id": "kelp-1", "label": "Kelp"}, request=request)
"""


def test_bar_in_a_component_that_is_the_answer_is_bound_to_the_user(page_of):
    page = page_of("django-components", **installed(COMPONENTS), **{"views.py": FROM_PYTHON})

    assert page.bound == [("kelp-1", True)]
