"""Which rows there are: whose, about what, and which are not finished."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from progress_widget.lookups import reference_to
from progress_widget.models import State, TaskProgress

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
TABLE = TaskProgress._meta.db_table


@pytest.fixture
def otter():
    return User.objects.create_user("otter")


@pytest.fixture
def bay():
    return Group.objects.create(name="Bay 3")


def make(about=None, **values) -> TaskProgress:
    return rows.create(task_id=str(uuid4()), about=about, **values)


def test_rows_of_a_user_are_those_started_for_it(otter):
    own = make(owner=otter)
    make(owner=User.objects.create_user("seal"))
    make()

    assert list(rows.owned_by(otter)) == [own]


@pytest.mark.parametrize("nobody", [None, AnonymousUser(), User()])
def test_nobody_owns_no_row_and_costs_no_query(nobody, django_assert_num_queries):
    make()

    with django_assert_num_queries(0):
        assert list(rows.owned_by(nobody)) == []


def test_rows_about_an_object_are_no_others(bay, otter):
    about_it = make(bay)
    make(Group.objects.create(name="Bay 4"))
    rows.create(
        task_id="other kind",
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(bay.pk),
    )
    make()

    assert list(rows.about(bay)) == [about_it]
    assert about_it.about == bay


def test_newest_row_about_each_object_is_found_by_one_query(bay, otter, django_assert_num_queries):
    make(bay)
    about_bay, about_otter = make(bay), make(otter)
    things = [bay, otter, Group.objects.create(name="Bay 4")]
    reference_to(bay), reference_to(otter)

    with django_assert_num_queries(1):
        found = rows.newest_about(things)

    assert found == {reference_to(bay): about_bay, reference_to(otter): about_otter}
    assert all(row.now is not None and row.now >= row.created_at for row in found.values())


def test_about_nothing_there_is_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert rows.newest_about([]) == {}


@pytest.mark.parametrize(
    "values",
    [
        *({"state": state, "attempt": attempt} for state in State for attempt in (0, 1)),
        *({"total": total, "progress": total or 0} for total in (None, 0, 5)),
        {"total": 5, "progress": 5, "attempt": 1},
    ],
)
def test_unfinished_rows_are_those_that_say_so(values):
    row = make(**values)

    assert list(rows.unfinished()) == ([] if row.is_finished else [row])


def test_row_goes_with_its_owner(otter):
    make(owner=otter)
    left = make()

    otter.delete()

    assert list(rows.all()) == [left]


class Elsewhere:
    """Keeps the rows in a database of their own."""

    def allow_migrate(self, db, app_label, **hints):
        return app_label != "progress_widget"


def test_user_can_be_deleted_where_there_is_no_table_of_rows(otter, settings):
    settings.DATABASE_ROUTERS = ["tests.test_lookups.Elsewhere"]

    with CaptureQueriesContext(
        connection,
    ) as queries:
        otter.delete()

    assert [query["sql"] for query in queries if TABLE in query["sql"]] == []
