"""A person cancels a task: the form, and the view that takes it."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.models import Permission
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from progress_widget.models import State, TaskProgress
from progress_widget.reading import rendering, stopping
from progress_widget.texts import QUESTION, STOPPING
from tests.reading.test_access import each

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
HTMX = {"HX-Request": "true"}
TAG = "{% progressbar task cancel=True %}"


@pytest.fixture
def otter(django_user_model):
    return django_user_model.objects.create_user("otter")


@pytest.fixture
def seal(django_user_model):
    return django_user_model.objects.create_user("seal")


@pytest.fixture
def row(otter):
    return rows.create(task_id="kelp", total=10, progress=5, attempt=1, owner=otter)


@pytest.fixture
def told(monkeypatch):
    """Return what the queue is told, in a list."""
    calls = []
    monkeypatch.setattr(
        stopping.queues, "cancel", lambda ids, *, terminate: calls.append((ids, terminate))
    )
    return calls


@pytest.fixture(autouse=True)
def commits(django_capture_on_commit_callbacks, monkeypatch):
    """Let what waits for the commit happen at once, as it does outside of a transaction."""
    monkeypatch.setattr(stopping.transaction, "on_commit", lambda function, using: function())


class Visit:
    """A user at a page that was rendered for this user."""

    def __init__(self, html: str, user, client: Client) -> None:
        self.page = BeautifulSoup(html, "html.parser")
        self.client = client
        if user is not None:
            client.force_login(user)

    @property
    def form(self):
        return self.page.form

    def sends(self, *, csrf=True, htmx=True, **headers):
        hidden = self.form.find("input")
        # The page was no answer to this client, so the cookie of that answer is set here.
        self.client.cookies["csrftoken"] = hidden["value"]
        data = {hidden["name"]: hidden["value"]} if csrf else {}
        headers |= HTMX if htmx else {}
        return self.client.post(self.form["action"], data, headers=headers)


@pytest.fixture
def visit(draw, request_of):
    """Return a function that renders a page with the form for a user."""

    def visit(user, task="kelp", source=TAG):
        html = draw(source, request_of(user), task=task)
        return Visit(html, user, Client(enforce_csrf_checks=True))

    return visit


def yes(request, task_id):
    return True


def only_kelp(request, task_id):
    return task_id == "kelp" and request.user.get_username() == "seal"


def raises(request, task_id):
    raise KeyError


def cannot_ask(request, task_id):
    raise DatabaseError("no such table")


def answers_with_a_number(request, task_id):
    return 1


@pytest.fixture
def can_cancel(settings):
    def can_cancel(rule):
        settings.PROGRESS_WIDGET_CAN_CANCEL = f"{__name__}.{rule.__name__}"

    return can_cancel


# The form.


def test_owner_is_offered_to_cancel_and_asked_once(visit, row, otter):
    page = visit(otter).page

    wrapper = page.select_one("[data-progress-widget]")
    question = wrapper.find("details", recursive=False)  # beside the bar, which polls replace
    assert question.summary.text == "Cancel"
    assert not question.has_attr("open")
    assert QUESTION in question.form.text
    assert question.form["method"] == "post"
    assert question.form.button["type"] == "submit"


def test_form_leads_to_the_bar_of_its_page(visit, row, otter):
    page = visit(otter).page

    key = page.select_one("[data-state]")["id"]
    assert page.form["hx-target"] == f"#{key}"
    assert f"?k={key}&v=" in page.form["action"]
    assert page.form["hx-post"] == page.form["action"]


def test_question_is_about_the_bar_with_this_label(visit, row, otter):
    page = visit(otter, source='{% progressbar task cancel=True label="Kelp" %}').page

    assert page.find(id=page.summary["aria-describedby"]).text == "Kelp"


@pytest.mark.parametrize("name", ["seal", None])
def test_nobody_else_is_offered_to_cancel(request, visit, row, name):
    user = request.getfixturevalue(name) if name else None

    assert visit(user).form is None


def test_page_without_a_request_offers_nothing(draw, row):
    assert "<form" not in draw(TAG, None, task="kelp")


def test_bar_that_does_not_offer_it_has_no_form(visit, row, otter):
    assert visit(otter, source="{% progressbar task %}").form is None


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_task_that_has_ended_is_not_offered_to_be_cancelled(visit, row, otter, state):
    rows.update(state=state)

    assert visit(otter).form is None


def test_task_without_a_row_is_not_offered_to_be_cancelled(visit, otter, can_cancel):
    can_cancel(yes)

    assert visit(otter).form is None


def test_task_that_is_asked_already_is_not_offered_again(visit, row, otter):
    rows.ask_to_stop("kelp")

    page = visit(otter).page

    assert page.form is None
    assert page.select_one("[data-state]")["data-state"] == "cancelling"


def test_rows_and_objects_and_blocks_have_the_form_too(visit, row, otter):
    block = "{% progressbars %}{% progressbar task cancel=True %}{% endprogressbars %}"
    rows.update(content_type=None)

    assert visit(otter, source=block).form is not None
    assert visit(otter, task=row).form is not None
    row.about = otter
    row.save()
    assert visit(otter, task=otter).form is not None


def test_poll_brings_no_form(visit, row, otter):
    visited = visit(otter)
    rows.update(progress=7)

    answer = visited.client.get(visited.page.select_one("[hx-get]")["hx-get"], headers=HTMX)

    assert answer.status_code == 200
    assert b"<form" not in answer.content


# What it does.


def test_task_is_asked_to_stop_and_the_bar_says_so(visit, row, otter, told, bar_in):
    visited = visit(otter)

    answer = visited.sends()

    bar = bar_in(answer)
    assert rows.get().cancel_asked_at is not None
    assert told == [(["kelp"], False)]
    assert bar["data-state"] == "cancelling"
    assert bar["data-percent"] == "50.0"
    assert bar["id"] == visited.page.select_one("[data-state]")["id"]
    assert bar["hx-get"]
    assert STOPPING in bar.text


def test_task_that_is_silent_is_asked_to_stop_and_the_bar_says_so(visit, row, otter, told, bar_in):
    rows.update(updated_at=timezone.now() - timedelta(hours=1))
    page = visit(otter)

    answer = page.sends()

    assert page.page.select_one("[data-state]")["data-state"] == "stalled"
    assert bar_in(answer)["data-state"] == "cancelling"


def test_screen_reader_hears_that_it_stops(visit, row, otter, told):
    answer = visit(otter).sends()

    said = BeautifulSoup(answer.content, "html.parser").select_one("[hx-swap-oob]")
    assert said.text == f"Cancelling: {STOPPING}"


def test_running_task_is_broken_off_if_the_project_wants_that(visit, row, otter, told, settings):
    settings.PROGRESS_WIDGET_CANCEL_TERMINATES = True

    visit(otter).sends()

    assert told == [(["kelp"], True)]


def test_second_time_changes_nothing(visit, row, otter, told, bar_in):
    first, second = visit(otter), visit(otter)  # two tabs
    first.sends()
    asked_at = rows.get().cancel_asked_at

    answer = second.sends()

    assert bar_in(answer)["data-state"] == "cancelling"
    assert rows.get().cancel_asked_at == asked_at
    assert len(told) == 1


def test_task_that_has_ended_meanwhile_stays_as_it_is(visit, row, otter, told, bar_in):
    visited = visit(otter)
    rows.update(state=State.SUCCEEDED, progress=10)

    answer = visited.sends()

    assert bar_in(answer)["data-state"] == "succeeded"
    assert "progressbar:finished" in json.loads(answer["HX-Trigger"])
    assert (rows.get().cancel_asked_at, told) == (None, [])


def test_page_goes_on_when_the_queue_can_not_be_told(
    visit, row, otter, bar_in, monkeypatch, caplog
):
    def refuse(task_ids, *, terminate):
        raise OSError("no broker")

    monkeypatch.setattr(stopping.queues, "cancel", refuse)

    answer = visit(otter).sends()

    assert bar_in(answer)["data-state"] == "cancelling"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "kelp" in caplog.text


def test_queue_is_told_after_the_commit(row, told, django_capture_on_commit_callbacks, monkeypatch):
    monkeypatch.undo()
    calls = []
    monkeypatch.setattr(stopping.queues, "cancel", lambda *args, **options: calls.append(args))

    with django_capture_on_commit_callbacks(execute=True):
        stopping.ask_to_stop("kelp")
        before = list(calls)

    assert (before, calls) == ([], [(["kelp"],)])


# Without JavaScript.


def test_visitor_without_htmx_is_led_back_to_the_page(visit, row, otter, told):
    answer = visit(otter).sends(htmx=False, Referer="http://testserver/kelp/?page=2")

    assert (answer.status_code, answer["Location"]) == (303, "http://testserver/kelp/?page=2")
    assert rows.get().cancel_asked_at is not None


@pytest.mark.parametrize(
    "referer", ["", "https://elsewhere.example/", "javascript:alert()", "//elsewhere.example/"]
)
def test_visitor_from_nowhere_is_told_in_a_sentence(visit, row, otter, told, referer):
    headers = {"Referer": referer} if referer else {}

    answer = visit(otter).sends(htmx=False, **headers)

    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    assert answer.content.decode() == f"Cancelling: {STOPPING}"


# Who may.


def refused(answer) -> bool:
    """Whether nothing has been done, and nothing of the row is told."""
    assert answer.status_code == 403
    assert b"kelp" not in answer.content
    return rows.get().cancel_asked_at is None


CSRF = "django.middleware.csrf.CsrfViewMiddleware"


@pytest.mark.parametrize("left_out", [(), (CSRF,)])
def test_form_without_its_csrf_token_is_refused(visit, row, otter, told, settings, left_out):
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if one not in left_out]

    assert refused(visit(otter).sends(csrf=False))
    assert refused(visit(otter).sends(csrf=False, htmx=False))


def test_get_is_not_allowed(visit, row, otter, told):
    visited = visit(otter)

    answer = visited.client.get(visited.form["action"])

    assert (answer.status_code, rows.get().cancel_asked_at) == (405, None)
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("name", ["seal", None])
def test_form_of_another_is_refused(request, visit, row, otter, told, bar_in, name):
    visited = visit(otter)
    visited.client.logout()  # as in the middle
    if name:
        visited.client.force_login(request.getfixturevalue(name))

    to_htmx, plain = visited.sends(), visited.sends(htmx=False)

    assert bar_in(to_htmx)["data-state"] == "refused"
    assert refused(plain)
    assert told == []


def test_login_page_is_shown_to_nobody(visit, row, otter, told, bar_in, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    visited = visit(otter)
    visited.client.logout()

    assert bar_in(visited.sends())["data-state"] == "refused"
    assert refused(visited.sends(htmx=False))


def test_forged_token_is_refused(visit, row, otter, told, bar_in):
    visited = visit(otter)
    visited.form["action"] = reverse("progress_widget:cancel", args=["forged"])

    assert bar_in(visited.sends())["data-state"] == "refused"
    assert refused(visited.sends(htmx=False))


def test_token_of_a_bar_that_does_not_offer_it_is_refused(visit, row, otter, told):
    visited = visit(otter)
    plain = visit(otter, source="{% progressbar task %}").page.select_one("[hx-get]")["hx-get"]
    visited.form["action"] = plain.replace("/?", "/cancel/?")

    assert refused(visited.sends())


def no_more(request, task_id):
    return False


def test_owner_who_may_not_see_the_bar_any_more_is_refused(
    visit, row, otter, told, bar_in, settings
):
    visited = visit(otter)
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.no_more"

    assert bar_in(visited.sends())["data-state"] == "refused"
    assert refused(visited.sends(htmx=False))


def test_owner_of_another_row_is_refused_by_the_ready_rule(
    visit, row, seal, can_cancel, told, bar_in, settings
):
    can_cancel(yes)
    visited = visit(seal)
    settings.PROGRESS_WIDGET_CAN_VIEW = "progress_widget.reading.access.owner_or_staff"

    assert bar_in(visited.sends())["data-state"] == "refused"
    assert refused(visited.sends(htmx=False))


def test_user_who_is_not_the_owner_any_more_is_refused(visit, row, otter, seal, told):
    visited = visit(otter)
    rows.update(owner=seal)

    assert refused(visited.sends())
    assert refused(visited.sends(htmx=False))


def test_row_that_nobody_owns_is_cancelled_by_nobody(visit, row, otter):
    rows.update(owner=None)

    assert visit(otter).form is None


def test_rule_admits_others(visit, row, seal, told, can_cancel):
    can_cancel(only_kelp)

    visit(seal).sends()

    assert rows.get().cancel_asked_at is not None


def test_rule_admits_visitors_of_a_page_for_everybody(visit, row, told, can_cancel):
    can_cancel(yes)

    visit(None).sends()

    assert rows.get().cancel_asked_at is not None


@each([raises, cannot_ask, answers_with_a_number, no_more])
def test_only_true_admits(visit, row, seal, told, can_cancel, caplog, rule):
    can_cancel(yes)
    visited = visit(seal)

    can_cancel(rule)

    assert visit(seal).form is None
    assert refused(visited.sends())
    logged = [one.getMessage() for one in caplog.records if one.name == "progress_widget"]
    assert len(logged) == (rule is not no_more)
    assert all("CAN_CANCEL" in one for one in logged)


def test_staff_may_by_the_ready_rule_without_a_query(
    offers, row, seal, settings, django_assert_num_queries
):
    settings.PROGRESS_WIDGET_CAN_CANCEL = "progress_widget.reading.access.owner_or_staff"
    before = offers(row, seal)
    seal.is_staff = True

    with django_assert_num_queries(0):
        assert offers(row, seal)
        assert not offers(row)
    assert not before


# Who may by permission.


@pytest.fixture
def offers(request_of):
    """Return a function that tells whether a page offers a user to cancel a task."""

    def offers(row, user=None) -> bool:
        return "<form" in rendering.progressbar(row, request=request_of(user), cancel=True)

    return offers


def may_cancel_tasks() -> Permission:
    return Permission.objects.get(codename="cancel_taskprogress")


def test_permission_admits_to_the_tasks_of_all(visit, row, seal, told):
    seal.user_permissions.add(may_cancel_tasks())

    visit(seal).sends()

    assert rows.get().cancel_asked_at is not None
    assert told == [(["kelp"], False)]


def test_permission_admits_where_the_rule_does_not(offers, row, seal, can_cancel):
    can_cancel(no_more)
    seal.user_permissions.add(may_cancel_tasks())

    assert offers(row, seal)


def test_superuser_has_the_permission(offers, row, admin_user):
    assert offers(row, admin_user)


@pytest.mark.parametrize("name", ["seal", "admin_user"])
def test_who_is_not_active_any_more_has_no_permission(request, offers, row, name):
    user = request.getfixturevalue(name)
    user.user_permissions.add(may_cancel_tasks())
    user.is_active = False

    assert not offers(row, user)


def test_permission_that_is_taken_away_meanwhile_is_none(visit, row, seal, told):
    seal.user_permissions.add(may_cancel_tasks())
    visited = visit(seal)
    seal.user_permissions.clear()

    assert refused(visited.sends())
    assert refused(visited.sends(htmx=False))
    assert told == []


def test_permission_alone_shows_no_bar(visit, row, seal, told, bar_in, settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.only_kelp"
    seal.user_permissions.add(may_cancel_tasks())
    visited = visit(seal)
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.no_more"

    assert bar_in(visited.sends())["data-state"] == "refused"
    assert refused(visited.sends(htmx=False))


def test_permission_is_asked_for_once_for_all_bars_of_a_page(
    draw, request_of, row, seal, django_assert_num_queries
):
    for number in range(9):
        rows.create(task_id=f"kelp-{number}")
    source = "{% for task in tasks %}{% progressbar task cancel=True %}{% endfor %}"

    with django_assert_num_queries(3):  # the rows; the permissions of user and groups
        draw(source, request_of(seal), tasks=rows.all())


def test_neither_owner_nor_visitor_is_asked_for_a_permission(
    offers, row, otter, django_assert_num_queries
):
    with django_assert_num_queries(0):
        assert offers(row, otter)
        assert not offers(row)


class Stranger:
    """A user whose model knows no permissions."""

    pk, is_authenticated = 1, True


def test_user_without_permissions_has_none(offers, row):
    rows.update(owner=None)
    row.refresh_from_db()

    assert not offers(row, Stranger())


def test_request_of_no_user_at_all_has_no_permission(rf, row):
    assert "<form" not in rendering.progressbar(row, request=rf.get("/"), cancel=True)


class Backend:
    """One that can't be asked."""

    def has_perm(self, user, permission, obj=None):
        raise ConnectionError("no directory")


def test_permission_that_can_not_be_asked_for_is_none(offers, row, seal, settings, caplog):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Backend"]

    assert [offers(row, seal), offers(row, seal)] == [False, False]
    [record] = caplog.records
    assert "permission to cancel" in record.getMessage()
    assert record.exc_info


@pytest.mark.parametrize("htmx", [True, False])
def test_no_answer_is_stored(visit, row, otter, told, htmx):
    answer = visit(otter).sends(htmx=htmx)

    assert answer["Cache-Control"] == "private, no-store"
