from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import OperationalError, connection
from django.template import TemplateDoesNotExist
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import has_vary_header

from progress_widget.models import State, TaskProgress
from progress_widget.reading import tickets
from progress_widget.reading.tickets import Ticket

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
HTMX = {"HX-Request": "true"}


@pytest.fixture
def row() -> TaskProgress:
    return rows.create(task_id="kelp", total=10, progress=5, step="Drying", attempt=1)


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ann")


@pytest.fixture
def other(django_user_model):
    return django_user_model.objects.create_user("bob")


def hx_attributes(response) -> list[str]:
    page = BeautifulSoup(response.content, "html.parser")
    return [
        name
        for tag in page.find_all(True)
        for name in tag.attrs
        if name.startswith("hx-") and name != "hx-swap-oob"
    ]


def test_poll_of_news_is_answered_with_the_fragment_in_one_query(
    page_bar, poll, bar_in, row, django_assert_num_queries
):
    bar = page_bar(row)
    rows.update(progress=7)

    with django_assert_num_queries(1):
        response = poll(bar)

    assert response.status_code == 200
    fragment = bar_in(response)
    assert (fragment["id"], fragment["data-percent"]) == (bar["id"], "70.0")
    assert b"data-progress-widget" not in response.content  # the wrapper is the page's


def test_poll_of_no_news_is_answered_with_nothing_in_one_query(
    page_bar, poll, row, django_assert_num_queries
):
    bar = page_bar(row)

    with django_assert_num_queries(1):
        response = poll(bar)

    assert (response.status_code, response.content) == (204, b"")


def test_poll_of_no_news_renders_no_template(page_bar, poll, row, monkeypatch):
    bar = page_bar(row)
    monkeypatch.setattr("progress_widget.reading.rendering.render_to_string", None)

    assert poll(bar).status_code == 204


@pytest.mark.parametrize(
    "news",
    [
        {"progress": 6},
        {"step": "Packing"},
        {"state": State.RETRYING},
        {"label": "Kelp"},
        {"total": None},
        {"attempt": 2},
        {"progress": 50_001, "total": 100_000},
    ],
    ids=str,
)
def test_whatever_is_shown_is_news_when_it_changes(page_bar, poll, row, news):
    bar = page_bar(row)
    rows.update(**news)

    assert poll(bar).status_code == 200


def test_answered_fragment_polls_on(page_bar, poll, bar_in, row):
    rows.update(progress=6)
    bar = bar_in(poll(page_bar(row)))
    before = poll(bar)
    rows.update(progress=8)

    after = poll(bar)

    assert (before.status_code, bar_in(after)["data-percent"]) == (204, "80.0")


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_finished_fragment_stops_and_tells_the_rest_of_the_page(page_bar, poll, row, state):
    bar = page_bar(row)
    rows.update(state=state)

    response = poll(bar)

    assert response.status_code == 200
    assert hx_attributes(response) == []
    assert json.loads(response["HX-Trigger"]) == {
        "progressbar:finished": {"bars": [{"key": bar["id"], "state": state}]}
    }


def test_row_that_no_task_owns_is_finished_at_its_total(page_bar, poll, row):
    rows.update(attempt=0)
    bar = page_bar(rows.get())
    rows.update(progress=10)

    response = poll(bar)

    assert hx_attributes(response) == []
    assert response.has_header("HX-Trigger")


def test_fragment_that_goes_on_carries_no_event(page_bar, poll, row):
    bar = page_bar(row)
    rows.update(progress=10)

    response = poll(bar)

    assert not response.has_header("HX-Trigger")
    assert "hx-get" in hx_attributes(response)


def test_poll_while_nothing_has_begun_is_answered_with_nothing(page_bar, poll):
    assert poll(page_bar("kelp")).status_code == 204


def test_waiting_bar_begins_when_its_row_appears(page_bar, poll, bar_in):
    bar = page_bar("kelp")
    rows.create(task_id="kelp", total=10, progress=1, attempt=1)

    fragment = bar_in(poll(bar))

    assert (bar["data-state"], fragment["data-state"]) == ("waiting", "running")


def test_bar_whose_row_has_vanished_says_so_and_never_waits_again(page_bar, poll, bar_in, row):
    bar = page_bar(row)
    rows.all().delete()

    gone = bar_in(poll(bar))

    assert gone["data-state"] == "unknown"
    assert "no longer known" in gone.text
    assert gone["hx-trigger"].startswith("every 5000ms,")
    assert poll(gone).status_code == 204


def test_bar_whose_row_comes_back_goes_on(page_bar, poll, bar_in, row):
    bar = page_bar(row)
    rows.all().delete()
    gone = bar_in(poll(bar))
    row.pk = None
    row.save(force_insert=True)

    assert bar_in(poll(gone))["data-percent"] == "50.0"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head"])
def test_only_get_is_answered(client, page_bar, row, method):
    response = getattr(client, method)(page_bar(row)["hx-get"])

    assert response.status_code == 405
    assert response["Cache-Control"] == "private, no-store"


def test_refusal_to_anything_but_htmx_is_not_stored(client):
    response = client.get(reverse("progress_widget:poll", args=["forged"]))

    assert (response.status_code, response["Cache-Control"]) == (403, "private, no-store")


@pytest.mark.parametrize("outcome", ["news", "nothing", "refused"])
def test_no_answer_is_stored_or_revalidated(page_bar, poll, client, row, settings, outcome):
    settings.MIDDLEWARE = ["django.middleware.http.ConditionalGetMiddleware", *settings.MIDDLEWARE]
    bar = page_bar(row)
    if outcome == "news":
        rows.update(progress=7)
    elif outcome == "refused":
        bar["hx-get"] = reverse("progress_widget:poll", args=["forged"])

    response = poll(bar)

    assert response["Cache-Control"] == "private, no-store"
    assert not response.has_header("ETag")


@pytest.mark.parametrize(
    "v",
    [
        "",
        "x",
        "1.running.500",
        "1.running.500.xyz",
        "٣.running.500.00000000",
        "1.running.500.00000000\n",
    ],
)
def test_unreadable_version_is_answered_with_the_fragment(page_bar, poll, bar_in, row, v, client):
    bar = page_bar(row)
    url = bar["hx-get"].split("?")[0]

    response = client.get(url, {"k": bar["id"], "v": v}, headers=HTMX)

    assert response.status_code == 200
    assert bar_in(response)["data-percent"] == "50.0"


@pytest.mark.parametrize(
    "k", ["", "x", "p12345", "p1234567", "p12.456", '"><script>', "p123456\n", "p١٢٣٤٥٦"]
)
def test_unreadable_key_is_replaced(page_bar, bar_in, row, k, client):
    url = page_bar(row)["hx-get"].split("?")[0]

    fragment = bar_in(client.get(url, {"k": k}, headers=HTMX))

    assert fragment["id"] != k
    assert len(fragment["id"]) == 7


def test_readable_key_is_kept_in_all_ids(page_bar, row, client):
    url = page_bar(row, "label='Kelp'")["hx-get"].split("?")[0]

    response = client.get(url, {"k": "p0123ab"}, headers=HTMX)

    ids = [tag["id"] for tag in BeautifulSoup(response.content, "html.parser").select("[id]")]
    assert len(ids) > 2
    assert all(one.startswith("p0123ab") for one in ids)


# Who may see.


@pytest.fixture
def refused(django_assert_num_queries):
    """Poll a bar and expect the answers of those who may not see it."""

    def refused(client, url, queries=0):
        with django_assert_num_queries(queries):
            answer = client.get(url, headers=HTMX)
        with django_assert_num_queries(queries):
            plain = client.get(url)
        assert answer.status_code == 200
        assert hx_attributes(answer) == []
        assert not answer.has_header("HX-Trigger")
        assert (plain.status_code, plain.content) == (403, b"")
        return BeautifulSoup(answer.content, "html.parser")

    return refused


def test_forged_token_shows_nothing(client, refused, row):
    page = refused(client, reverse("progress_widget:poll", args=["forged"]))

    assert page.select_one("[data-state]")["data-state"] == "refused"
    assert "can't be shown" in page.text
    assert "Drying" not in page.text


def test_refusal_keeps_the_ids_of_the_page(client, refused):
    page = refused(client, reverse("progress_widget:poll", args=["forged"]) + "?k=p0123ab")

    assert page.select_one("[data-state]")["id"] == "p0123ab"


def test_outlived_token_shows_nothing(client, page_bar, row, refused, settings, monkeypatch):
    url = page_bar(row)["hx-get"]
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + 8 * 86_400)

    refused(client, url)


def test_rotated_secret_key_shows_nothing(client, page_bar, row, refused, settings):
    url = page_bar(row)["hx-get"]
    settings.SECRET_KEY = "new"

    refused(client, url)


def test_fallback_of_a_rotated_secret_key_shows_the_bar(poll, page_bar, row, settings):
    bar = page_bar(row)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "new"

    assert poll(bar).status_code == 204


def test_user_sees_the_own_bar_for_the_price_of_knowing_the_user(
    client, poll, page_bar, request_of, row, user, django_assert_num_queries
):
    bar = page_bar(row, request=request_of(user))
    client.force_login(user)

    with django_assert_num_queries(3):  # session, user, row
        response = poll(bar)

    assert response.status_code == 204


def test_token_of_nobody_does_not_ask_who_is_there(
    client, poll, page_bar, request_of, row, user, django_assert_num_queries
):
    bar = page_bar(row, request=request_of())
    client.force_login(user)

    with django_assert_num_queries(1):
        response = poll(bar)

    assert response.status_code == 204


def test_bar_of_another_user_shows_nothing(client, page_bar, request_of, row, user, other, refused):
    url = page_bar(row, request=request_of(user))["hx-get"]
    client.force_login(other)

    refused(client, url, queries=2)  # session, user


def test_bar_shows_nothing_after_the_log_out(client, page_bar, request_of, row, user, refused):
    url = page_bar(row, request=request_of(user))["hx-get"]

    refused(client, url)


def test_bar_of_a_user_shows_nothing_where_nobody_is_known(
    client, page_bar, request_of, row, user, refused, settings
):
    url = page_bar(row, request=request_of(user))["hx-get"]
    settings.MIDDLEWARE = []

    refused(client, url)


def only_ann(request, task_id):
    return request.user.get_username() == "ann" and task_id == "kelp"


@pytest.fixture
def only_ann_may_view(settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_views.only_ann"


def test_permission_is_asked_at_each_poll(
    client, poll, page_bar, request_of, row, user, refused, only_ann_may_view
):
    bar = page_bar(row, request=request_of(user))
    client.force_login(user)
    before = poll(bar)
    type(user).objects.update(username="eve")

    refused(client, bar["hx-get"], queries=2)

    assert before.status_code == 204


def test_permission_is_asked_by_the_tag(page_bar, request_of, row, user, other, only_ann_may_view):
    own = page_bar("kelp", request=request_of(user))
    foreign = page_bar("kelp", request=request_of(other))

    assert own["data-state"] == "running"
    assert foreign["data-state"] == "refused"
    assert "hx-get" not in foreign.attrs


def test_permission_that_cannot_be_asked_is_refused(page_bar, row, only_ann_may_view):
    assert page_bar("kelp")["data-state"] == "refused"


def test_refusal_does_not_tell_whether_the_task_exists(
    draw, request_of, row, other, only_ann_may_view, monkeypatch
):
    monkeypatch.setattr("progress_widget.reading.rendering.new_key", lambda: "p0123ab")

    known, unknown = (
        draw("{% progressbar task %}", request_of(other), task=task) for task in ("kelp", "none")
    )

    assert known == unknown


def test_view_needs_no_login_of_a_project_that_asks_for_one(poll, page_bar, row, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    assert poll(page_bar(row)).status_code == 204


# A poll is no activity of the user.


@pytest.fixture
def saves_every_session(settings):
    settings.SESSION_SAVE_EVERY_REQUEST = True


def test_poll_neither_saves_nor_prolongs_the_session(
    client, poll, page_bar, request_of, row, user, django_assert_num_queries, saves_every_session
):
    bar = page_bar(row, request=request_of(user))
    client.force_login(user)
    before = Session.objects.values().get()

    with django_assert_num_queries(3):  # session, user, row
        response = poll(bar)

    assert response.status_code == 204
    assert not response.cookies
    assert Session.objects.values().get() == before


OUTCOMES = ["news", "nothing", "of another", "forged", "not allowed"]


@pytest.fixture
def answer(client, page_bar, request_of, row, user, other):
    """Poll a bar of the user's, as she or another does, with this outcome."""

    def answer(outcome):
        url = page_bar(row, request=request_of(user))["hx-get"]
        if outcome == "news":
            rows.update(progress=7)
        elif outcome == "forged":
            url = reverse("progress_widget:poll", args=["forged"])
        client.force_login(other if outcome == "of another" else user)
        return getattr(client, "post" if outcome == "not allowed" else "get")(url, headers=HTMX)

    return answer


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_no_answer_touches_the_session(answer, saves_every_session, outcome):
    response = answer(outcome)

    assert not response.cookies


def test_poll_of_a_session_that_is_gone_leaves_the_cookie_of_a_new_one(
    client, poll, page_bar, request_of, row, user
):
    bar = page_bar(row, request=request_of(user))
    client.force_login(user)
    Session.objects.all().delete()

    assert not poll(bar).cookies  # another tab may have logged in meanwhile


def fills_the_basket_beside(request, task_id):
    """Agree, after another request of the same session has changed it."""
    assert request.user.is_authenticated
    session = SessionStore(request.session.session_key)
    session["basket"] = "kelp"
    session.save()
    return True


def fills_the_basket(request, task_id):
    request.session["basket"] = "kelp"
    return True


@pytest.mark.parametrize("rule", [fills_the_basket_beside, fills_the_basket])
@pytest.mark.parametrize("saves", [True, False])
def test_change_of_the_session_is_kept(
    client, poll, page_bar, request_of, row, user, settings, rule, saves
):
    bar = page_bar(row, request=request_of(user))
    client.force_login(user)
    settings.SESSION_SAVE_EVERY_REQUEST = saves
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.{rule.__name__}"

    response = poll(bar)

    assert response.status_code == 204
    assert client.session["basket"] == "kelp"


def counting(get_response):
    """Middleware that changes the session after the view."""

    def middleware(request):
        response = get_response(request)
        request.session["polls"] = request.session.get("polls", 0) + 1
        return response

    return middleware


def test_middleware_has_the_session_after_the_view(
    client, poll, page_bar, request_of, row, user, settings
):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.counting"]
    bar = page_bar(row, request=request_of(user))
    client.force_login(user)

    for _ in range(2):
        poll(bar)

    assert client.session["polls"] == 2


def anyone(request, task_id):
    return True


@pytest.mark.parametrize("outcome", OUTCOMES[:3])
def test_answer_about_a_users_bar_varies_on_the_cookie(answer, outcome):
    response = answer(outcome)

    assert has_vary_header(response, "Cookie")
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("outcome", ["news", "nothing", "refused"])
def test_answer_that_can_view_is_asked_for_varies_on_the_cookie(
    page_bar, poll, request_of, row, settings, outcome
):
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.anyone"
    bar = page_bar(row, request=request_of())
    if outcome == "news":
        rows.update(progress=7)
    elif outcome == "refused":
        settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_privacy.nobody"

    response = poll(bar)

    assert has_vary_header(response, "Cookie")
    assert response["Cache-Control"] == "private, no-store"


def test_answer_that_is_the_same_for_all_varies_on_no_cookie(page_bar, poll, request_of, row):
    assert not has_vary_header(poll(page_bar(row, request=request_of())), "Cookie")


# Outages.


@pytest.fixture
def no_database(monkeypatch):
    """Let no connection to the database be made."""

    def refuse(*args):
        raise OperationalError("connection refused")

    @contextmanager
    def no_database():
        connection.close()
        with monkeypatch.context() as patch:
            patch.setattr(connection, "get_new_connection", refuse)
            yield

    return no_database


@pytest.fixture(params=["away", "table missing"])
def outage(request, no_database, refusing_database):
    """What may happen to the database."""
    return no_database if request.param == "away" else refusing_database


def assert_is_no_answer(response):
    """Assert that the page keeps what it shows, and is told to ask less often."""
    assert (response.status_code, response.content) == (204, b"")
    assert response["Retry-After"] == "10"
    assert response["Cache-Control"] == "private, no-store"


in_an_outage = pytest.mark.django_db(transaction=True)


@in_an_outage
@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "browser"])
def test_page_keeps_what_it_shows_in_an_outage(
    client, page_bar, poll, bar_in, row, outage, headers
):
    bar = page_bar(row)
    rows.update(progress=7)

    with outage():
        responses = [client.get(bar["hx-get"], headers=headers) for _ in range(3)]

    for response in responses:
        assert_is_no_answer(response)
    assert bar_in(poll(bar))["data-percent"] == "70.0"


@in_an_outage
def test_outage_is_logged_once(page_bar, poll, row, outage, caplog):
    bars = [page_bar("kelp") for _ in range(2)]

    with outage():
        for bar in bars * 3:
            poll(bar)

    [record] = caplog.records
    assert (record.name, record.levelname) == ("progress_widget", "ERROR")
    assert record.exc_info


@in_an_outage
@pytest.mark.parametrize("table", ["django_session", "auth_user"])
def test_bar_of_a_user_outlives_an_outage_of_what_knows_the_user(
    client, page_bar, poll, request_of, row, user, saves_every_session, table
):
    bar = page_bar(row, request=request_of(user))
    client.force_login(user)

    def refuse(execute, sql, params, many, context):
        if table in sql:
            raise OperationalError("out of memory")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        response = poll(bar)

    assert_is_no_answer(response)
    assert not response.cookies
    assert has_vary_header(response, "Cookie")
    assert poll(bar).status_code == 204


def cannot_ask(request, task_id):
    raise OperationalError("connection refused")


def test_bar_outlives_an_outage_of_what_can_view_asks(page_bar, poll, request_of, row, settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.anyone"
    bar = page_bar(row, request=request_of())
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.cannot_ask"

    assert_is_no_answer(poll(bar))


def test_refusal_needs_no_database(client, no_database, row, transactional_db):
    with no_database():
        response = client.get(reverse("progress_widget:poll", args=["forged"]))

    assert response.status_code == 403


@pytest.fixture
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


def test_poll_needs_no_transaction(page_bar, poll, row, django_assert_num_queries, atomic_requests):
    bar = page_bar(row)

    with django_assert_num_queries(1):
        response = poll(bar)

    assert response.status_code == 204


@in_an_outage
def test_bar_outlives_an_outage_where_requests_are_transactions(
    page_bar, poll, row, no_database, atomic_requests
):
    bar = page_bar(row)

    with no_database():
        response = poll(bar)

    assert_is_no_answer(response)


# Languages.


def test_poll_speaks_the_language_of_the_page(page_bar, poll, bar_in, row):
    with translation.override("de"):
        bar = page_bar(row)
    rows.update(progress=1, total=3)

    fragment = bar_in(poll(bar, **{"Accept-Language": "en"}))

    assert "33,3" in fragment.text


# What the result backend knows.


@pytest.fixture
def backend(monkeypatch):
    """Be a result backend that knows this of every task, and tells what it was asked."""
    asked = []

    def backend(state):
        monkeypatch.setattr(
            "progress_widget.queues.result", lambda task_id: asked.append(task_id) or state
        )
        return asked

    return backend


@pytest.fixture
def wait(monkeypatch):
    """Let the time go by for which a task without a row is waited for."""

    def wait(seconds):
        now = timezone.now
        monkeypatch.setattr("django.utils.timezone.now", lambda: now() + timedelta(seconds=seconds))

    return wait


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_bar_without_a_row_ends_as_the_backend_says(page_bar, poll, bar_in, backend, wait, state):
    backend(state)
    bar = page_bar("kelp")
    wait(7)

    response = poll(bar)

    assert bar_in(response)["data-state"] == state
    assert hx_attributes(response) == []
    assert not TaskProgress.objects.exists()


def test_success_that_only_the_backend_knows_is_not_the_last_word(
    page_bar, poll, bar_in, backend, wait
):
    backend(State.SUCCEEDED)
    bar = page_bar("kelp")
    wait(7)

    heard = bar_in(poll(bar))
    rows.create(task_id="kelp", state=State.FAILED, message="The kelp is wet.")
    told = bar_in(poll(heard))

    assert (heard["data-state"], told["data-state"]) == ("succeeded", "failed")
    assert "The kelp is wet." in told.text


def test_success_that_only_the_backend_knows_is_not_taken_back_by_late_news(
    page_bar, poll, bar_in, backend, wait
):
    backend(State.SUCCEEDED)
    bar = page_bar("kelp")
    wait(7)

    heard = bar_in(poll(bar))
    rows.create(task_id="kelp", attempt=1, progress=5, total=10, updated_at=timezone.now())
    late = bar_in(poll(heard))
    rows.update(state=State.SUCCEEDED, progress=10)
    told = poll(late)

    assert (late["data-state"], late["data-percent"]) == ("succeeded", "100.0")
    assert bar_in(told)["data-state"] == "succeeded"
    assert hx_attributes(told) == []


def test_success_that_only_the_backend_knows_is_the_last_word_in_the_end(
    page_bar, poll, bar_in, backend, wait
):
    backend(State.SUCCEEDED)
    bar = page_bar("kelp")
    wait(7)
    heard = bar_in(poll(bar))
    wait(600)

    response = poll(heard)

    assert bar_in(response)["data-state"] == "succeeded"
    assert hx_attributes(response) == []


def test_failure_of_a_bar_without_a_row_has_no_percentage(page_bar, poll, bar_in, backend, wait):
    backend(State.FAILED)
    bar = page_bar("kelp")
    wait(7)

    ended = bar_in(poll(bar))

    assert "data-percent" not in ended.attrs
    assert "Something went wrong." in ended.text


def test_bar_that_waits_long_waits_on_when_the_backend_knows_nothing(
    page_bar, poll, bar_in, backend, wait
):
    backend(None)
    bar = page_bar("kelp")
    wait(32)

    response = poll(bar)

    assert bar_in(response)["data-state"] == State.WAITING
    assert "Waiting since" in response.content.decode()


def test_backend_is_asked_before_the_wait_is_called_long(page_bar, poll, backend, wait):
    asked = backend(None)
    bar = page_bar("kelp")
    wait(3)
    early = poll(bar)
    at_first = list(asked)
    wait(4)

    later = poll(bar)

    assert (early.status_code, at_first) == (204, [])
    assert (later.status_code, asked) == (204, ["kelp"])


def test_backend_is_asked_no_later_than_a_wait_is_long(page_bar, poll, backend, wait, settings):
    asked = backend(None)
    bar = page_bar("kelp")
    settings.PROGRESS_WIDGET_STALLED_AFTER = 1  # after the page has come, which may take its time
    wait(3)

    poll(bar)

    assert asked == ["kelp"]


def test_backend_is_not_asked_where_a_row_waits_or_runs(page_bar, backend, row):
    asked = backend(State.SUCCEEDED)
    rows.create(task_id="waiting", state=State.WAITING, created_at=timezone.now() - timedelta(1))

    states = [page_bar(task_id)["data-state"] for task_id in ("waiting", "kelp")]

    assert states == ["waiting", "running"]
    assert asked == []


@pytest.mark.parametrize("state", [State.RUNNING, State.RETRYING])
@pytest.mark.parametrize(
    ("end", "percent", "said"),
    [
        (State.SUCCEEDED, "100.0", "10 of 10"),
        (State.FAILED, "50.0", "Something went wrong."),
        (State.CANCELLED, "50.0", "Cancelled"),
    ],
)
def test_silent_row_ends_as_the_backend_says(
    page_bar, poll, bar_in, row, backend, state, end, percent, said
):
    bar = page_bar(row)
    rows.update(state=state, updated_at=timezone.now() - timedelta(1), message="of old")
    before = rows.values().get()
    backend(end)

    response = poll(bar)

    ended = bar_in(response)
    assert (ended["data-state"], ended["data-percent"]) == (end, percent)
    assert said in ended.text
    assert "of old" not in ended.text
    assert hx_attributes(response) == []
    assert rows.values().get() == before


def test_silent_row_without_a_total_succeeds_with_what_it_had(page_bar, row, backend):
    rows.update(total=None, updated_at=timezone.now() - timedelta(1))
    backend(State.SUCCEEDED)

    ended = page_bar("kelp")

    assert (ended["data-state"], ended["data-percent"]) == ("succeeded", "100.0")
    assert "5 of 5" in ended.text


def test_silent_row_stays_silent_when_the_backend_knows_nothing(page_bar, row, backend):
    rows.update(updated_at=timezone.now() - timedelta(1))
    asked = backend(None)

    assert page_bar("kelp")["data-state"] == "stalled"
    assert asked == ["kelp"]


def test_row_that_a_page_was_given_is_not_changed_by_what_the_backend_knows(page_bar, row, backend):
    rows.update(updated_at=timezone.now() - timedelta(1))
    given = rows.for_tasks(["kelp"])["kelp"]
    backend(State.SUCCEEDED)

    shown = page_bar(given)["data-state"]

    assert (shown, given.state, given.progress) == ("succeeded", State.RUNNING, 5)


def test_row_that_has_vanished_has_ended_as_the_backend_says(
    page_bar, poll, bar_in, row, backend, wait
):
    bar = page_bar(row)
    rows.all().delete()
    backend(State.SUCCEEDED)
    wait(7)

    assert bar_in(poll(bar))["data-state"] == "succeeded"


# Many bars, one request.


@pytest.fixture
def post(client):
    """Send a joint poll of any text."""

    def post(body, **headers):
        url = reverse("progress_widget:poll")
        headers = {"HX-Request": "true"} | headers
        return client.post(url, body, content_type="text/plain;charset=UTF-8", headers=headers)

    return post


@pytest.fixture
def together(post):
    """Send the joint poll of some bars, as the package's script does."""

    def together(*bars, size=None, live=None, **headers):
        first = f"{size or len(bars)} {live or len(bars)}"
        return post("\n".join([first, *(bar["hx-get"] for bar in bars)]), **headers)

    return together


@pytest.fixture
def crop(page_bar):
    """Make rows, and a page's bars of them."""

    def crop(count, options="label='Kelp'", request=None, **values):
        made = [rows.create(task_id=f"kelp-{n}", total=100, attempt=1) for n in range(count)]
        return [page_bar(row, options, request) for row in made]

    return crop


def fragments_in(response) -> dict[str, str]:
    """Return what each fragment of an answer shows, by its id."""
    page = BeautifulSoup(response.content, "html.parser")
    return {bar["id"]: bar.get("data-percent", "") for bar in page.select("[data-state]")}


def region_in(response) -> str:
    spoken = BeautifulSoup(response.content, "html.parser").select("[hx-swap-oob]")
    assert len(spoken) <= 1
    return spoken[0].text if spoken else ""


def test_joint_poll_of_no_news_is_answered_with_nothing_in_one_query(
    crop, together, django_assert_num_queries
):
    bars = crop(50)

    with django_assert_num_queries(1):
        response = together(*bars)

    assert (response.status_code, response.content) == (204, b"")
    assert response["Cache-Control"] == "private, no-store"


def test_joint_poll_of_a_line_without_end_is_answered(post):
    assert post("1 1\n" + "a" * 2_000_000).status_code == 204  # a search would go on for hours


def test_joint_poll_is_answered_with_what_has_changed_in_one_query(
    crop, together, django_assert_num_queries
):
    bars = crop(5)
    rows.filter(task_id__in=["kelp-1", "kelp-3"]).update(progress=7)

    with django_assert_num_queries(1):
        response = together(*bars)

    assert response.status_code == 200
    assert fragments_in(response) == {bars[1]["id"]: "7.0", bars[3]["id"]: "7.0"}
    assert response["Cache-Control"] == "private, no-store"


def test_joint_answer_leaves_out_what_the_page_has(crop, together, poll, bar_in):
    [bar] = crop(1)
    rows.update(progress=7)

    lean, full = bar_in(together(bar)), bar_in(poll(bar))

    assert {name for name in lean.attrs if name.startswith("hx-")} == {"hx-trigger"}
    assert lean["hx-trigger"] == full["hx-trigger"]
    assert full["hx-get"].endswith(f"&v={lean['data-version']}")
    assert lean.decode_contents() == full.decode_contents()


def test_finished_fragment_of_a_joint_answer_has_nothing_to_go_on_with(crop, together, bar_in):
    [bar] = crop(1)
    rows.update(state=State.FAILED)

    fragment = bar_in(together(bar))

    assert [name for name in fragment.attrs if name.startswith(("hx-", "data-version"))] == []


def test_joint_answer_tells_the_page_once_of_all_that_have_finished(crop, together):
    bars = crop(4)
    rows.filter(task_id="kelp-0").update(state=State.SUCCEEDED)
    rows.filter(task_id="kelp-2").update(state=State.FAILED)
    rows.filter(task_id="kelp-3").update(progress=9)

    response = together(*bars)

    assert json.loads(response["HX-Trigger"]) == {
        "progressbar:finished": {
            "bars": [
                {"key": bars[0]["id"], "state": "succeeded"},
                {"key": bars[2]["id"], "state": "failed"},
            ]
        }
    }


def test_joint_answer_that_ends_nothing_carries_no_event(crop, together):
    bars = crop(2)
    rows.update(progress=9)

    assert not together(*bars).has_header("HX-Trigger")


def test_each_bar_of_a_joint_answer_has_its_language_and_template(together, page_bar, row):
    with translation.override("de"):
        german = page_bar(row)
    loud = page_bar(row, "template='tests/loud.html'")
    rows.update(progress=1, total=3)

    page = BeautifulSoup(together(german, loud).content, "html.parser")

    assert "33,3" in page.find(id=german["id"]).text
    assert "33.3" in page.find(id=loud["id"]).text
    assert [tag.parent.parent["id"] for tag in page.select(".loud")] == [loud["id"]]


def test_bar_that_may_not_be_seen_is_refused_alone(
    client, crop, together, page_bar, request_of, row, user, other
):
    foreign, own = page_bar(row, request=request_of(other)), page_bar(row, request=request_of(user))
    forged = {"hx-get": reverse("progress_widget:poll", args=["forged"]) + "?k=p0123ab&v="}
    [free] = crop(1)
    client.force_login(user)
    rows.update(progress=7)

    response = together(foreign, forged, own, free)

    page = BeautifulSoup(response.content, "html.parser")
    assert {bar["id"]: bar["data-state"] for bar in page.select("[data-state]")} == {
        foreign["id"]: "refused",
        "p0123ab": "refused",
        own["id"]: "running",
        free["id"]: "running",
    }
    assert page.find(id=foreign["id"]).attrs.keys() == {"id", "class", "data-state"}
    assert "Drying" not in page.find(id=foreign["id"]).text
    assert not response.has_header("HX-Trigger")


def test_permission_is_asked_for_each_bar_of_a_joint_poll(
    client, crop, together, page_bar, request_of, row, user, settings
):
    bars = [page_bar(row, request=request_of(user)), *crop(1, request=request_of(user))]
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_views.only_ann"
    client.force_login(user)
    rows.update(progress=7)

    page = BeautifulSoup(together(*bars).content, "html.parser")

    states = [bar["data-state"] for bar in page.select("[data-state]")]
    assert states == ["running", "refused"]


def test_joint_poll_that_is_all_refused_asks_nothing_of_the_database(
    post, django_assert_num_queries
):
    with django_assert_num_queries(0):
        response = post("1 1\n/progress/forged/?k=p0123ab&v=")

    assert fragments_in(response) == {"p0123ab": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1 1",
        b"1 1\nkelp\n/progress/\n/progress/token/\n?k=p0123ab&v=\n/a/b/?k=\0&v\n",
        b"9" * 5000,
        "١ ١\n١".encode(),
        b"\xff\n\xff\xfe",
    ],
    ids=["nothing", "no bars", "no URLs", "no counts", "no ASCII", "no text"],
)
def test_unreadable_joint_poll_is_answered_with_nothing(post, body):
    response = post(body)

    assert (response.status_code, response.content) == (204, b"")


def test_joint_poll_of_far_too_many_bars_is_answered_in_part(together, page_bar, row):
    bar = page_bar(row)
    rows.update(progress=7)

    page = BeautifulSoup(together(*[bar] * 300).content, "html.parser")

    assert len(page.select("[data-state]")) == 100


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
def test_joint_poll_is_a_post(client, method):
    response = getattr(client, method)(reverse("progress_widget:poll"))

    assert (response.status_code, response["Cache-Control"]) == (405, "private, no-store")


def test_joint_poll_needs_no_csrf_token_and_no_login(crop, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    [bar] = crop(1)

    response = Client(enforce_csrf_checks=True).post(
        reverse("progress_widget:poll"), f"1 1\n{bar['hx-get']}", content_type="text/plain"
    )

    assert response.status_code == 204


def test_few_bars_are_announced_in_one_region(crop, together):
    bars = crop(3)
    rows.filter(task_id__in=["kelp-1", "kelp-2"]).update(progress=50)

    response = together(*bars)

    assert region_in(response) == "Kelp 50.0%; Kelp 50.0%"
    page = BeautifulSoup(response.content, "html.parser")
    assert page.select_one("[hx-swap-oob]")["id"] == f"{bars[1]['id']}-s"


def test_task_that_a_page_shows_twice_is_announced_once(page_bar, together):
    rows.create(task_id="kelp", total=100, label="Kelp")
    bars = [page_bar("kelp"), page_bar("kelp")]
    rows.update(state=State.SUCCEEDED)

    response = together(*bars)

    assert region_in(response) == "Kelp: Complete"
    finished = json.loads(response["HX-Trigger"])["progressbar:finished"]["bars"]
    assert len(finished) == 2


def test_many_bars_are_announced_by_how_many_still_run(crop, together):
    bars = crop(4)
    rows.update(progress=50)
    moved = together(*bars, size=30, live=22)
    rows.update(state=State.SUCCEEDED)

    assert region_in(moved) == ""
    assert region_in(together(*bars, size=30, live=22)) == "18 still running"


def test_bar_whose_template_is_gone_goes_on_by_that_of_the_package(poll, bar_in, row):
    """A page may be older than what has been deployed since."""
    token = tickets.sign(Ticket(task_id="kelp", template="tests/removed.html"))
    url = reverse("progress_widget:poll", kwargs={"token": token})

    bar = bar_in(poll({"hx-get": f"{url}?k=p0123ab&v="}))

    assert (bar["id"], bar["data-percent"]) == ("p0123ab", "50.0")
    assert bar.has_attr("hx-get")


def test_page_that_names_no_template_there_is_tells_its_author(draw, row):
    with pytest.raises(TemplateDoesNotExist, match="tests/removed"):
        draw("{% progressbar 'kelp' template='tests/removed.html' %}")
