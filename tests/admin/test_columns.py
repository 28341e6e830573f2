"""The column and the read-only field."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from progress_widget.models import TaskProgress
from tests.models import Harvest

pytestmark = pytest.mark.django_db
LIST = "/admin/tests/harvest/"
rows = TaskProgress.objects


def soup(response) -> BeautifulSoup:
    assert response.status_code == 200
    return BeautifulSoup(response.content, "html.parser")


def cells(page: BeautifulSoup) -> list[str]:
    """Return of each row of the list the percent of its bar, or the text of a cell without one."""
    found = page.select("#result_list .field-progress")
    return [
        cell.select_one("[data-state]")["data-percent"]
        if cell.select("[data-state]")
        else cell.text
        for cell in found
    ]


@pytest.fixture
def harvest() -> Harvest:
    rows.create(task_id="kelp-1", total=10, progress=4, attempt=1)
    return Harvest.objects.create(name="Bay 1", task_id="kelp-1")


def test_list_has_a_live_bar_for_each_object_with_a_task(admin_client, harvest):
    Harvest.objects.create(name="Bay 2")

    page = soup(admin_client.get(LIST))

    assert cells(page) == ["-", "40.0"]
    assert page.select_one(".field-progress [hx-get]")
    assert page.select_one("th.column-progress").text.strip() == "Progress"
