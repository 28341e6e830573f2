"""What a user's tray holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


@pytest.fixture
def otter():
    return get_user_model().objects.create_user("otter")


@pytest.fixture
def row_of(otter):
    """Make a row of the otter's task."""

    def row_of(task_id="kelp", **values):
        return rows.create(**{"task_id": task_id, "total": 10, "owner": otter} | values)

    return row_of


def in_tray(user):
    return [row.task_id for row in rows.in_tray_of(user)]


def test_tray_holds_the_five_newest_of_the_user(row_of, otter):
    rows.create(task_id="nobody's")
    for number in range(6):
        row_of(f"kelp-{number}")

    assert in_tray(otter) == ["kelp-5", "kelp-4", "kelp-3", "kelp-2", "kelp-1"]


@pytest.mark.parametrize("user", [None, AnonymousUser()])
def test_tray_of_nobody_is_empty(user, django_assert_num_queries):
    rows.create(task_id="nobody's")

    with django_assert_num_queries(0):
        assert in_tray(user) == []


def test_row_in_the_tray_knows_the_time_of_the_database(row_of, otter):
    row_of(updated_at=timezone.now() - timedelta(hours=1))

    [row] = rows.in_tray_of(otter)
    assert row.now - row.updated_at > timedelta(minutes=59)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_task_that_has_ended_stays_until_it_is_dismissed(row_of, otter, state):
    row_of(state=state)

    assert in_tray(otter) == ["kelp"]
    assert rows.dismiss("kelp", otter)
    assert in_tray(otter) == []
    assert rows.get().seen_at is not None


def test_row_of_no_task_is_dismissed_at_its_total(row_of, otter):
    row_of(progress=10)

    assert rows.dismiss("kelp", otter)


@pytest.mark.parametrize(
    "values", [{}, {"total": None}, {"progress": 10, "attempt": 1}, {"state": State.WAITING}]
)
def test_task_that_goes_on_can_not_be_dismissed(row_of, otter, values):
    row_of(**values)

    assert not rows.dismiss("kelp", otter)
    assert rows.get().seen_at is None


@pytest.mark.parametrize("state", [State.RUNNING, State.WAITING])
def test_silent_task_is_dismissed_until_it_is_heard_of(row_of, otter, state):
    row_of(state=state, updated_at=timezone.now() - timedelta(minutes=2))

    assert rows.dismiss("kelp", otter)
    assert in_tray(otter) == []

    ProgressBar.get("kelp").update(progress=5)
    assert in_tray(otter) == ["kelp"]


def test_task_that_is_started_over_is_unseen(row_of, otter):
    row_of(state=State.FAILED)
    rows.dismiss("kelp", otter)

    ProgressBar("kelp", total=10).finalize()

    assert in_tray(otter) == ["kelp"]
    assert rows.get().seen_at is None


def test_task_that_runs_again_without_a_bar_is_unseen(row_of, otter):
    row_of(state=State.FAILED, attempt=1)
    rows.dismiss("kelp", otter)

    rows.begin("kelp")
    rows.end("kelp", None, State.SUCCEEDED)

    assert in_tray(otter) == ["kelp"]


def test_nobody_dismisses_the_task_of_another(row_of, admin_user):
    row_of(state=State.SUCCEEDED)

    assert not rows.dismiss("kelp", admin_user)
    assert not rows.dismiss("kelp", AnonymousUser())
    assert not rows.dismiss("kelp", None)
    assert rows.get().seen_at is None


def test_row_whose_clock_is_ahead_can_be_dismissed(row_of, otter):
    row_of(state=State.SUCCEEDED, updated_at=timezone.now() + timedelta(hours=1))

    assert rows.dismiss("kelp", otter)
    assert in_tray(otter) == []
