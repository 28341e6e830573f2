"""Who may see a bar, as the project's own rule has it."""

from __future__ import annotations

import logging

import pytest
from django.db import DatabaseError
from django.urls import reverse

from progress_widget.models import TaskProgress

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


def yes(request, task_id):
    return True


def raises(request, task_id):
    rows.get(task_id="no such task")


def raises_of_another_kind(request, task_id):
    return {}[task_id]


def cannot_ask(request, task_id):
    raise DatabaseError("no such table")


async def later(request, task_id):
    return True


def answers_later(request, task_id):
    return later(request, task_id)


def answers_in_words(request, task_id):
    return "no"


def answers_with_a_number(request, task_id):
    return 1


def answers_nothing(request, task_id):
    return None


RAISING = [raises, raises_of_another_kind]
ANSWERING = [later, answers_later, answers_in_words, answers_with_a_number, answers_nothing]


def each(rules):
    return pytest.mark.parametrize("rule", rules, ids=lambda rule: rule.__name__)


@pytest.fixture
def can_view(settings):
    def can_view(rule):
        settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.{rule.__name__}"

    return can_view


@pytest.fixture(autouse=True)
def row() -> TaskProgress:
    return rows.create(task_id="kelp", label="Kombu", total=10, progress=5, attempt=1)


@each([*RAISING, *ANSWERING])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_only_true_shows_a_bar(page_bar, poll, bar_in, request_of, can_view, rule):
    can_view(yes)
    seen = page_bar("kelp", request=request_of())
    rows.update(progress=6)
    before = bar_in(poll(seen))

    can_view(rule)
    page = page_bar("kelp", request=request_of())
    after = bar_in(poll(seen))

    assert (seen["data-state"], before["data-percent"]) == ("running", "60.0")
    assert (page["data-state"], after["data-state"]) == ("refused", "refused")
    assert "Kombu" not in page.text + after.text


@each([*RAISING, *ANSWERING[2:]])
def test_rule_that_does_not_answer_is_logged_once(
    page_bar, poll, request_of, can_view, caplog, rule
):
    can_view(yes)
    bar = page_bar("kelp", request=request_of())
    can_view(rule)

    for _ in range(3):
        page_bar("kelp", request=request_of())
        poll(bar)

    [record] = caplog.records
    assert (record.name, record.levelno) == ("progress_widget", logging.ERROR)
    assert "PROGRESS_WIDGET_CAN_VIEW" in record.getMessage()
    assert bool(record.exc_info) == (rule in RAISING)


def test_log_says_what_a_rule_has_returned(page_bar, request_of, can_view, caplog):
    can_view(answers_in_words)

    page_bar("kelp", request=request_of())

    assert "str" in caplog.text


def test_rule_that_says_no_is_not_logged(settings, page_bar, request_of, caplog):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_privacy.nobody"

    page_bar("kelp", request=request_of())

    assert caplog.records == []


@each([*RAISING, cannot_ask])
def test_list_in_the_admin_outlives_a_rule_that_raises(admin_client, bar_in, can_view, rule):
    can_view(rule)

    page = admin_client.get(reverse("admin:progress_widget_taskprogress_changelist"))

    assert page.status_code == 200
    assert bar_in(page)["data-state"] == "refused"
