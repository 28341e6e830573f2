"""Places that Django itself has for a bar."""

from __future__ import annotations

from bs4 import BeautifulSoup

BOTH = [("kelp-1", True), ("kelp-2", True)]


def test_bar_in_an_include_or_an_inclusion_tag_is_bound_to_the_user(page_of):
    page = page_of("Includes and inclusion tags")

    assert page.bound == [("kelp-1", True)] * 2


def test_bar_in_a_form_widget_is_bound_to_the_user_and_has_no_label_for_it(page_of):
    page = page_of("Form widgets")

    labels = BeautifulSoup(page.html, "html.parser").select("label")
    assert page.bound == [("kelp-1", True)]
    assert [label.get("for") for label in labels] == ["id_name", None]


POST = """
def harvest(request, pk, get=harvest):
    request.method = "POST"
    request.POST = {"name": "Bay 8"}
    harvest = Harvest.objects.get(pk=pk)
    form = HarvestForm(request.POST, instance=harvest, request=request)
    form.save()
    return get(request, pk)
"""


def test_form_with_a_bar_leaves_the_task_id_alone(page_of):
    page = page_of("Form widgets", **{"views.py": POST})

    assert 'value="Bay 8"' in page.html
    assert page.bound == [("kelp-1", True)]


def test_bars_in_a_formset_are_bound_to_the_user_and_cost_one_query(page_of):
    page = page_of("Formsets", "/harvests/")

    assert page.bound == BOTH
    assert len(page.queries) == 1
