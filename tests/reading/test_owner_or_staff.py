"""The ready rule for CAN_VIEW: a row's owner, and staff."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import AnonymousUser, User

from progress_widget.models import TaskProgress
from progress_widget.reading import rendering
from progress_widget.reading.access import owner_or_staff

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


@pytest.fixture(autouse=True)
def rule(settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "progress_widget.reading.access.owner_or_staff"


@pytest.fixture
def otter():
    return User.objects.create_user("otter")


@pytest.fixture
def seal():
    return User.objects.create_user("seal")


@pytest.fixture
def keeper():
    return User.objects.create_user("keeper", is_staff=True)


@pytest.fixture
def row(otter):
    return rows.create(task_id="kelp", total=10, progress=5, owner=otter, label="Kelp harvest")


@pytest.fixture
def state_for(page_bar, request_of):
    return lambda user, task="kelp": page_bar(task, request=request_of(user))["data-state"]


@pytest.fixture
def page_of(page_bar, request_of, client):
    """Return the bar of a page of this user's, who is logged in."""

    def page_of(user):
        client.force_login(user)
        return page_bar("kelp", request=request_of(user))

    return page_of


@pytest.mark.parametrize(
    ("name", "state"), [("otter", "running"), ("keeper", "running"), ("seal", "refused")]
)
def test_owner_and_staff_see_the_bar_and_nobody_else(request, state_for, row, name, state):
    user = request.getfixturevalue(name)

    assert state_for(user) == state_for(user, row) == state
    assert owner_or_staff_says(user) is (state == "running")


def owner_or_staff_says(user):
    request = type("Request", (), {"user": user})()
    return owner_or_staff(request, "kelp")


def test_visitor_who_is_not_logged_in_sees_none(state_for, row):
    assert state_for(AnonymousUser()) == "refused"
    assert owner_or_staff_says(AnonymousUser()) is False


@pytest.mark.parametrize("is_there", [True, False])
def test_row_that_nobody_owns_and_one_that_is_not_there_are_shown_to_staff_alone(
    state_for, otter, keeper, is_there
):
    if is_there:
        rows.create(task_id="kelp", total=10, progress=5)

    assert state_for(otter) == "refused"
    assert state_for(keeper) == ("running" if is_there else "waiting")
    assert owner_or_staff_says(otter) is False


def test_refusal_says_nothing_of_the_row(draw, request_of, seal, row):
    html = draw("{% progressbar 'kelp' label='Secret' %}", request_of(seal))

    text = BeautifulSoup(html, "html.parser").get_text(" ", strip=True)
    assert text == "This progress can't be shown"


def test_refusal_is_not_drawn_by_a_template_of_the_project(draw, request_of, seal, otter, row):
    source = "{% progressbar 'kelp' template='tests/loud.html' %}"
    plain = "{% progressbar 'kelp' %}"

    refused = [len(draw(bar, request_of(seal))) for bar in (source, plain)]
    shown = [len(draw(bar, request_of(otter))) for bar in (source, plain)]

    assert refused[0] == refused[1]
    assert shown[0] != shown[1]


def test_poll_is_refused_once_the_owner_is_another(
    page_bar, poll, bar_in, request_of, client, otter, seal, row
):
    client.force_login(otter)
    bar = page_bar("kelp", request=request_of(otter))
    seen = poll(bar)

    rows.update(owner=seal)

    refused = bar_in(poll(bar))
    assert seen.status_code == 204
    assert (refused["data-state"], refused.get("hx-get")) == ("refused", None)
    assert client.get(bar["hx-get"]).status_code == 403


def test_staff_that_is_no_longer_staff_is_refused(
    page_bar, poll, bar_in, request_of, client, keeper, row
):
    client.force_login(keeper)
    bar = page_bar("kelp", request=request_of(keeper))

    User.objects.update(is_staff=False)

    assert bar_in(poll(bar))["data-state"] == "refused"


def test_rule_costs_a_page_of_many_bars_no_query(
    draw, request_of, otter, django_assert_num_queries
):
    ids = [f"kelp {number}" for number in range(5)]
    for task_id in ids:
        rows.create(task_id=task_id, total=10, progress=5, owner=otter)
    source = (
        "{% progressbars %}{% for id in ids %}{% progressbar id %}{% endfor %}{% endprogressbars %}"
    )

    with django_assert_num_queries(1):
        html = draw(source, request_of(otter), ids=ids)

    assert html.count('data-state="running"') == 5


def test_rule_costs_a_poll_no_query_but_that_of_the_user(
    page_of, poll, otter, row, django_assert_num_queries
):
    bar = page_of(otter)

    with django_assert_num_queries(3):  # the session, its user and the row
        poll(bar)


def test_without_a_request_there_is_no_bar(row):
    assert rendering.progressbar("kelp").count('data-state="refused"') == 1
