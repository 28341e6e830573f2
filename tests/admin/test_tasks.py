"""The list of tasks, and the page of one."""

from __future__ import annotations

import importlib
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup, Tag
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import progress_widget.admin
from progress_widget.admin import TaskProgressAdmin, TaskProgressAdminMixin
from progress_widget.admin.columns import put_on_page
from progress_widget.measures import duration_text
from progress_widget.models import GroupMember, State, TaskProgress
from progress_widget.reading import stopping
from tests.models import Bay, Harvest

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
LIST = "/admin/progress_widget/taskprogress/"
NAME = "kelp.tasks.dry_kelp"


def page_of(row: TaskProgress) -> str:
    return f"{LIST}{row.pk}/change/"


def soup(response) -> BeautifulSoup:
    assert response.status_code == 200
    return BeautifulSoup(response.content, "html.parser")


def names(page: BeautifulSoup) -> list[str]:
    return [link.text for link in page.select("#result_list .field-task a")]


def field(page: BeautifulSoup, name: str) -> Tag | None:
    return page.select_one(f".field-{name} .readonly")


def said(response) -> list[str]:
    """Return the messages of the page to which an answer leads."""
    return [message.text for message in soup(response).select(".messagelist li")]


@pytest.fixture
def row() -> TaskProgress:
    return rows.create(task_id="kelp-1", label="Kelp", total=10, progress=5, attempt=1)


@pytest.fixture
def ended() -> TaskProgress:
    return rows.create(task_id="kelp-2", label="Dulse", state=State.FAILED)


@pytest.fixture
def user_with(django_user_model):
    """Return a function that makes a member of the staff with some of the permissions."""

    def user_with(*actions, name="ann"):
        user = django_user_model.objects.create_user(name, is_staff=True)
        codenames = [f"{action}_taskprogress" for action in actions]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return user

    return user_with


@pytest.fixture
def client_with(client, user_with):
    """Return a function that logs in such a user."""

    def client_with(*actions):
        client.force_login(user_with(*actions))
        return client

    return client_with


@pytest.fixture
def told(monkeypatch):
    """Return what the queue is told, in a list."""
    calls = []
    monkeypatch.setattr(stopping.queues, "cancel", lambda ids, *, terminate: calls.append(ids))
    return calls


# The list.


def test_list_shows_a_live_bar_in_each_row(admin_client, row, ended):
    page = soup(admin_client.get(LIST))

    bars = page.select("#result_list td [data-state]")
    assert [bar["data-state"] for bar in bars] == ["failed", "running"]
    assert [bar.has_attr("hx-get") for bar in bars] == [False, True]


def test_list_calls_late_what_is_late_from_the_first(admin_client, row):
    rows.update(updated_at=timezone.now() - timedelta(hours=1))

    page = soup(admin_client.get(LIST))

    assert page.select_one("[data-state]")["data-state"] == "stalled"


@pytest.mark.parametrize(
    ("label", "task_name", "shown"),
    [("Kelp", NAME, "Kelp"), ("", NAME, NAME), ("", "", "kelp-1")],
)
def test_task_is_named_for_people_if_possible(admin_client, label, task_name, shown):
    rows.create(task_id="kelp-1", label=label, task_name=task_name)

    assert names(soup(admin_client.get(LIST))) == [shown]


def test_name_leads_to_the_page_which_keeps_the_filters(admin_client, row):
    [link] = soup(admin_client.get(LIST, {"state": "running"})).select(".field-task a")

    assert link["href"] == f"{page_of(row)}?_changelist_filters=state%3Drunning"
    assert field(soup(admin_client.get(link["href"])), "bar")


def test_id_below_the_name_can_be_selected(admin_client, row):
    cell = soup(admin_client.get(LIST)).select_one("#result_list .field-task")

    [text] = cell.find_all(string="kelp-1")
    assert text.find_parent("a") is None


def test_row_can_be_chosen_in_a_popup(admin_client, row):
    cell = soup(admin_client.get(LIST, {"_popup": 1})).select_one("#result_list .field-task")

    [link] = cell.find_all("a")
    assert link["data-popup-opener"] == str(row.pk)


def test_owner_is_a_link_for_those_who_may_see_users(admin_client, row, otter):
    rows.update(owner=otter)

    cell = soup(admin_client.get(LIST)).select_one("#result_list .field-owner_link")

    assert cell.a["href"] == f"/admin/auth/user/{otter.pk}/change/"
    assert cell.text == "otter"


@pytest.fixture
def otter(django_user_model):
    return django_user_model.objects.create_user("otter")


def owner_cell(client) -> Tag:
    return soup(client.get(LIST)).select_one("#result_list .field-owner_link")


def test_owner_is_no_link_for_others(client_with, row, otter):
    rows.update(owner=otter)

    cell = owner_cell(client_with("view"))

    assert (cell.text, cell.a) == ("otter", None)


def test_owner_is_no_link_where_users_have_no_admin(row, otter, rf):
    row.owner = otter
    model_admin = TaskProgressAdmin(TaskProgress, admin.AdminSite())
    put_on_page(rf.get(LIST), [row], model_admin.get_progress_rows)

    assert model_admin.owner_link(row) == "otter"


def test_owner_who_is_gone_is_an_id(admin_client, row):
    rows.update(owner_id=4711)

    assert owner_cell(admin_client).text == "4711"


def test_row_of_nobody_has_no_owner(admin_client, row):
    assert owner_cell(admin_client).text == "-"


def test_list_says_how_long_ago_a_task_was_started_and_when(admin_client, row):
    then = timezone.now() - timedelta(minutes=2, seconds=5)
    rows.update(created_at=then)

    [time] = soup(admin_client.get(LIST)).select("#result_list .field-started time")

    assert time.text == "2\N{NO-BREAK SPACE}minutes ago"
    assert time["datetime"] == then.isoformat()
    assert str(then.year) in time["title"]


@pytest.mark.parametrize("has_words", [True, False])
def test_list_says_in_no_other_language_how_long_ago_it_was(admin_client, row, settings, has_words):
    if has_words:
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.humanize"]

    page = soup(admin_client.get(LIST, headers={"Accept-Language": "de"}))

    time = page.select_one("#result_list .field-started time")
    assert (time.text == time["title"]) is not has_words
    assert "ago" not in time.text


def test_times_are_as_the_project_has_them(admin_client, row, settings):
    settings.USE_TZ = False
    rows.update(created_at="2026-05-04 12:00")

    time = soup(admin_client.get(LIST)).select_one("#result_list .field-started time")

    assert time["datetime"] == "2026-05-04T12:00:00"


@pytest.mark.parametrize(
    ("time_zone", "use_tz", "has_links"),
    [("UTC", True, True), ("Asia/Tokyo", True, False), ("Asia/Tokyo", False, True)],
)
def test_list_outlives_a_database_that_knows_no_time_zones(
    admin_client, row, settings, monkeypatch, time_zone, use_tz, has_links
):
    """So is MySQL until somebody loads them."""
    settings.USE_TZ, settings.TIME_ZONE = use_tz, time_zone
    monkeypatch.setattr(connection.features, "has_zoneinfo_database", False)
    rows.create(task_id="kelp-2", created_at=timezone.now() - timedelta(days=1))

    page = soup(admin_client.get(LIST))

    assert bool(page.select(".toplinks a")) == has_links


def test_list_says_how_long_a_task_took_once_it_has_ended(admin_client, row, ended):
    begun = timezone.now()
    rows.update(started_at=begun)
    rows.filter(pk=ended.pk).update(finished_at=begun + timedelta(seconds=75))

    cells = soup(admin_client.get(LIST)).select("#result_list .field-started")

    assert cells[0].time.next_sibling.text == "took 1:15"
    assert cells[1].time.next_sibling is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0:00"),
        (0, "0:00"),
        (0.2, "0:01"),
        (59.5, "1:00"),
        (3723, "1:02:03"),
        (90_000, "25:00:00"),
    ],
)
def test_duration_is_written_as_a_clock_would(seconds, text):
    assert duration_text(seconds) == text


def test_newest_task_comes_first(admin_client):
    for number, minutes in enumerate([3, 1, 2]):
        then = timezone.now() - timedelta(minutes=minutes)
        rows.create(task_id=f"kelp-{number}", created_at=then)

    assert names(soup(admin_client.get(LIST))) == ["kelp-1", "kelp-2", "kelp-0"]


def test_list_asks_no_more_for_a_hundred_rows_than_for_one(client_with, row, otter):
    client = client_with("view", "cancel", "delete")
    rows.update(owner=otter)
    with CaptureQueriesContext(connection) as for_one:
        client.get(LIST)
    for number in range(99):
        rows.create(task_id=f"more-{number}", label="More", task_name=NAME, owner=otter)

    with CaptureQueriesContext(connection) as for_hundred:
        page = soup(client.get(LIST))

    assert len(page.select("#result_list [data-state]")) == 100
    # Session, user, two for permissions, two that count, two for dates, three for the filters, the
    # rows, their owners.
    assert len(for_hundred) == len(for_one) == 13


def test_panel_is_left_out_where_all_tasks_are_listed(admin_client, admin_user, row):
    rows.update(owner=admin_user)

    assert len(soup(admin_client.get(LIST)).select("[data-state]")) == 1


def test_row_that_is_on_no_page_is_told_in_text(row):
    model_admin = TaskProgressAdmin(TaskProgress, admin.site)

    assert model_admin.task(row) == "Kelp"
    assert "50.0%" in model_admin.bar(row)
    assert model_admin.owner_link(row) is None


# Filters and search.


@pytest.fixture
def all_states():
    for state in State:
        rows.create(task_id=state.value, state=state, attempt=1)
    rows.create(task_id="by hand", total=10, progress=10)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("unfinished", {"waiting", "running", "retrying"}),
        ("waiting", {"waiting"}),
        ("running", {"running"}),
        ("succeeded", {"succeeded", "by hand"}),
        ("failed", {"failed"}),
        ("cancelled", {"cancelled"}),
        ("no such state", set()),
    ],
)
def test_rows_can_be_filtered_by_what_their_bars_say(admin_client, all_states, state, found):
    page = soup(admin_client.get(LIST, {"state": state}))

    assert set(names(page)) == found


def choices(page: BeautifulSoup, title: str) -> list[str]:
    found = [one for one in page.select("#changelist-filter details") if title in one.summary.text]
    return [link.text.strip() for one in found for link in one.select("li a")]


def test_unfinished_is_the_first_of_the_states(admin_client, row):
    page = soup(admin_client.get(LIST))

    assert choices(page, "state") == ["All", "Unfinished", *State.labels]


def test_counts_of_the_filters_are_right(admin_client, all_states):
    page = soup(admin_client.get(LIST, {"_facets": "True"}))

    assert choices(page, "state")[1:3] == ["Unfinished (3)", "Waiting (1)"]


def test_rows_can_be_filtered_by_the_names_that_there_are(admin_client, row, ended):
    rows.filter(pk=row.pk).update(task_name=NAME)

    page = soup(admin_client.get(LIST, {"task_name": NAME}))

    assert names(page) == ["Kelp"]
    assert choices(page, "task name") == ["All", NAME]


def test_rows_can_be_filtered_by_those_who_own_some(admin_client, row, ended, otter):
    rows.filter(pk=row.pk).update(owner=otter)

    page = soup(admin_client.get(LIST, {"owner": otter.pk}))

    assert names(page) == ["Kelp"]
    assert choices(page, "owner") == ["All", "otter"]


def test_owner_that_can_not_be_is_no_error(admin_client, row, otter):
    rows.update(owner=otter)

    response = admin_client.get(LIST, {"owner": "the otter"})

    assert (response.status_code, response["Location"]) == (302, f"{LIST}?e=1")


def test_filter_has_not_thousands_of_owners(admin_client, row, django_user_model, monkeypatch):
    monkeypatch.setattr("progress_widget.admin.filters.MOST_OWNERS", 1)
    for name in ("otter", "seal"):
        rows.create(task_id=name, owner=django_user_model.objects.create_user(name))

    assert choices(soup(admin_client.get(LIST)), "owner") == []


def test_filters_name_nothing_that_a_project_keeps_from_a_user(row, ended, rf, admin_user):
    class Own(TaskProgressAdmin):
        def get_queryset(self, request):
            return super().get_queryset(request).filter(label="Kelp")

    rows.filter(pk=ended.pk).update(task_name=NAME, owner=admin_user)
    request = rf.get(LIST)
    request.user = admin_user

    changelist = Own(TaskProgress, admin.site).get_changelist_instance(request)

    assert [spec.title for spec in changelist.filter_specs] == ["state"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Kelp", ["Kelp"]),
        ("dry_kelp", ["Kelp"]),
        ("kelp-1", ["Kelp"]),
        ("kelp-", []),
        ("otter", ["Kelp"]),
        ("rope", []),
    ],
)
def test_rows_are_found_by_what_they_are_called_and_whose_they_are(
    admin_client, row, ended, otter, words, found
):
    rows.filter(pk=row.pk).update(task_name=NAME, owner=otter)

    assert names(soup(admin_client.get(LIST, {"q": words}))) == found


# The page of a task.


def test_page_of_a_row_shows_its_live_bar(admin_client, row):
    bar = field(soup(admin_client.get(page_of(row))), "bar").select_one("[data-state]")

    assert bar["data-percent"] == "50.0"
    assert bar["hx-get"]


def test_page_says_all_that_is_known_of_a_task(admin_client, row, otter):
    harvest = Harvest.objects.create(name="Spring")
    row.about, row.owner, row.task_name, row.link = harvest, otter, NAME, "/harvests/1/"
    row.save()

    page = soup(admin_client.get(page_of(row)))

    shown = {name: field(page, name) for name in ("label", "task_name", "task_id", "created_at")}
    assert {name: one.text for name, one in shown.items() if name != "created_at"} == {
        "label": "Kelp",
        "task_name": NAME,
        "task_id": "kelp-1",
    }
    assert str(row.created_at.year) in shown["created_at"].text
    assert page.select(".help") == []  # which is for those who fill it in
    links = {name: field(page, name).a for name in ("owner_link", "about_link", "result_link")}
    assert {one.text: one["href"] for one in links.values()} == {
        "otter": f"/admin/auth/user/{otter.pk}/change/",
        "Spring": f"/admin/tests/harvest/{harvest.pk}/change/",
        "/harvests/1/": "/harvests/1/",
    }


def test_page_says_nothing_of_what_is_not_known(admin_client):
    row = rows.create(task_id="kelp-1")

    page = soup(admin_client.get(page_of(row)))

    labels = [label.text.strip() for label in page.select(".form-row label")]
    assert labels == ["Progress:", "Task id:", "Created at:"]


def test_nothing_beside_the_bar_changes(admin_client, row):
    def beside() -> str:
        page = soup(admin_client.get(page_of(row)))
        field(page, "bar").decompose()
        return page.select_one(".form-row").find_parent("fieldset").text

    before = beside()
    now = timezone.now()
    rows.update(progress=10, state=State.FAILED, step="Drying", message="Too wet", attempt=2)
    rows.update(started_at=now, finished_at=now, updated_at=now, total=20, failed=1)

    assert beside() == before


def test_link_that_no_page_may_show_is_not_shown(admin_client, row):
    rows.update(link="javascript:alert()")

    page = admin_client.get(page_of(row))

    assert field(soup(page), "result_link") is None
    assert b"javascript:alert" not in page.content


def about(client, row) -> Tag:
    return field(soup(client.get(page_of(row))), "about_link")


def test_object_is_named_only_to_those_who_may_see_it(client_with, row):
    row.about = Harvest.objects.create(pk=7, name="The secret one")
    row.save()

    shown = about(client_with("view"), row)

    assert (shown.text, shown.a) == ("Harvest 7", None)


def test_object_is_found_by_a_key_that_a_url_has_to_quote(admin_client, row):
    row.about = Bay.objects.create(code="bay_2F1")  # unquoted, it is another
    row.save()

    link = about(admin_client, row).a

    assert soup(admin_client.get(link["href"])).select_one("#id_code")["value"] == "bay_2F1"


def test_object_that_is_gone_is_still_told(admin_client, row):
    row.about = Harvest.objects.create(pk=7, name="Spring")
    row.save()
    Harvest.objects.all().delete()

    assert about(admin_client, row).text == "Harvest 7"


def test_object_without_an_admin_is_still_told(admin_client, row):
    row.about = Permission.objects.first()
    row.save()

    assert about(admin_client, row).text == f"Permission {row.object_id}"


def test_object_of_a_model_that_is_gone_is_still_told(admin_client, row):
    kind = ContentType.objects.create(app_label="gone", model="reef")
    rows.update(content_type=kind, object_id="7")

    assert about(admin_client, row).text == "Reef 7"


def test_object_of_a_kind_that_is_gone_is_still_told(admin_client, row):
    rows.update(content_type=4711, object_id="7")

    assert about(admin_client, row).text == "7"


def test_object_whose_id_can_not_be_is_still_told(admin_client, row):
    rows.update(content_type=ContentType.objects.get_for_model(Harvest), object_id="the first")

    assert about(admin_client, row).text == "Harvest the first"


def test_page_of_a_group_says_how_many_tasks_it_has(admin_client, row):
    for number in range(3):
        GroupMember.objects.create(group=row, task_id=f"leaf-{number}")

    page = soup(admin_client.get(page_of(row)))

    assert field(page, "tasks").text == "3"


@pytest.mark.parametrize("path", [LIST, "page"])
def test_page_loads_what_its_bars_need(admin_client, row, path):
    page = soup(admin_client.get(page_of(row) if path == "page" else path))

    sheets = [link["href"] for link in page.select("link[rel=stylesheet]")]
    scripts = [script["src"] for script in page.select("script[src]")]
    assert "/static/progress_widget/progress_widget.css" in sheets
    assert "/static/progress_widget/progress_widget.js" in scripts
    assert "/static/django_htmx/htmx-2.min.js" in scripts


def test_bar_in_the_admin_belongs_to_who_looks_at_it(admin_client, row):
    url = soup(admin_client.get(LIST)).select_one("[hx-get]")["hx-get"]

    own = admin_client.get(url)
    admin_client.logout()
    foreign = admin_client.get(url)

    assert (own.status_code, foreign.status_code) == (204, 403)


# Who may do what.


def test_nobody_adds_rows(admin_client):
    assert admin_client.get(f"{LIST}add/").status_code == 403


def test_nobody_changes_rows(admin_client, row):
    response = admin_client.post(page_of(row), {"label": "Mine"})

    assert response.status_code == 403
    assert rows.get().label == "Kelp"


def test_permissions_are_those_that_mean_something():
    kind = ContentType.objects.get_for_model(TaskProgress)
    found = Permission.objects.filter(content_type=kind).values_list("codename", flat=True)

    assert set(found) == {f"{one}_taskprogress" for one in ("view", "delete", "cancel")}


DOORS = {
    "list": lambda client, row: client.get(LIST),
    "page": lambda client, row: client.get(page_of(row)),
    "cancel": lambda client, row: client.post(cancel_url(row)),
    "delete": lambda client, row: client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}),
}
USERS = {
    "nobody": ([], set()),
    "viewer": (["view"], {"list", "page"}),
    "owner": (["view"], {"list", "page", "cancel"}),
    "canceller": (["view", "cancel"], {"list", "page", "cancel"}),
    "deleter": (["view", "delete"], {"list", "page", "delete"}),
}


def cancel_url(row: TaskProgress) -> str:
    return f"{LIST}{row.pk}/progress/cancel/"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("who", USERS)
def test_door_is_open_to_those_alone_who_may(client, user_with, row, told, who, door):
    permissions, open_doors = USERS[who]
    user = user_with(*permissions)
    client.force_login(user)
    if who == "owner":
        rows.update(owner=user)
    before = rows.values().get()

    response = DOORS[door](client, row)

    if door in open_doors:
        assert response.status_code in (200, 302)
    else:
        assert response.status_code == 403
        assert b"kelp-1" not in response.content
        assert rows.values().get() == before


@pytest.mark.parametrize(
    ("who", "offered"),
    [
        ("viewer", []),
        ("owner", []),
        ("canceller", ["cancel_selected"]),
        ("deleter", ["delete_selected"]),
    ],
)
def test_action_is_offered_to_those_alone_who_may(client, user_with, row, ended, who, offered):
    user = user_with(*USERS[who][0])
    client.force_login(user)
    if who == "owner":
        rows.update(owner=user)
    before = list(rows.values())

    page = soup(client.get(LIST))
    for name in {"cancel_selected", "delete_selected"} - set(offered):
        act(client, name, row, ended, post="yes")

    options = page.select("select[name=action] option[value]")
    assert [option["value"] for option in options if option["value"]] == offered
    assert bool(page.select("input.action-select")) is bool(offered)
    assert list(rows.values()) == before


def act(client, name, *chosen, **more):
    """Do an action with the chosen rows, and follow to the page that comes then."""
    data = {"action": name, "_selected_action": [row.pk for row in chosen], **more}
    return client.post(LIST, data, follow=True)


# Cancelling.


def cancel_button(client, row) -> Tag | None:
    return soup(client.get(page_of(row))).find("button", string="Cancel task")


def test_button_asks_a_task_to_stop(admin_client, row, told, django_capture_on_commit_callbacks):
    button = cancel_button(admin_client, row)

    with django_capture_on_commit_callbacks(execute=True):
        response = admin_client.post(button["formaction"], follow=True)

    page = soup(response)
    assert told == [["kelp-1"]]
    assert response.redirect_chain == [(page_of(row), 302)]
    assert field(page, "bar").select_one("[data-state]")["data-state"] == "cancelling"
    assert said(response) == ["“Kelp” stops as soon as it can."]


def test_button_is_gone_once_there_is_no_use_for_it(admin_client, row, ended):
    rows.ask_to_stop("kelp-1")

    assert cancel_button(admin_client, row) is None
    assert cancel_button(admin_client, ended) is None


def test_button_of_a_page_that_is_out_of_date_says_so(admin_client, row, told):
    url = cancel_button(admin_client, row)["formaction"]
    rows.update(state=State.SUCCEEDED)

    response = admin_client.post(url, follow=True)

    assert said(response) == ["“Kelp” had already ended or been asked to stop."]
    assert rows.get().cancel_asked_at is None
    assert not LogEntry.objects.exists()


def test_action_asks_all_to_stop_that_have_not_ended(
    admin_client, row, ended, told, django_capture_on_commit_callbacks
):
    other = rows.create(task_id="kelp-3", attempt=1)

    with django_capture_on_commit_callbacks(execute=True):
        response = act(admin_client, "cancel_selected", row, ended, other)

    asked = rows.exclude(cancel_asked_at=None).values_list("task_id", flat=True)
    assert set(asked) == {"kelp-1", "kelp-3"}
    assert [sorted(ids) for ids in told] == [["kelp-1", "kelp-3"]]  # at once
    assert said(response) == [
        "Tasks asked to stop: 2",
        "Tasks that had already ended or been asked to stop: 1",
    ]


def test_action_stops_a_group_with_its_tasks(
    admin_client, row, told, django_capture_on_commit_callbacks
):
    GroupMember.objects.create(group=row, task_id="leaf")

    with django_capture_on_commit_callbacks(execute=True):
        act(admin_client, "cancel_selected", row)

    assert told == [["kelp-1", "leaf"]]


def test_action_leaves_what_a_project_says_may_not_be_cancelled(row, ended, rf, admin_user, told):
    class Own(TaskProgressAdmin):
        def has_cancel_permission(self, request, obj=None):
            return obj is None or obj.label != "Kelp"

        def message_user(self, request, message, level):
            pass

    request = rf.post(LIST)
    request.user = admin_user
    rows.update(state=State.RUNNING)

    Own(TaskProgress, admin.site).cancel_selected(request, rows.all())

    assert rows.exclude(cancel_asked_at=None).get() == ended


def test_bar_that_a_user_may_not_see_is_not_cancelled(client_with, row, settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_privacy.nobody"
    client = client_with("view", "cancel")

    assert cancel_button(client, row) is None
    assert client.post(cancel_url(row)).status_code == 403
    act(client, "cancel_selected", row)
    assert rows.get().cancel_asked_at is None


def test_owner_who_may_not_open_the_page_is_refused_there(client, user_with, row):
    user = user_with()
    client.force_login(user)
    rows.update(owner=user)

    assert client.post(cancel_url(row)).status_code == 403
    assert rows.get().cancel_asked_at is None


@pytest.mark.parametrize("by", ["button", "action"])
def test_history_says_who_has_cancelled_a_task(admin_client, admin_user, row, ended, told, by):
    if by == "button":
        admin_client.post(cancel_url(row))
    else:
        act(admin_client, "cancel_selected", row, ended)

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (admin_user, str(row.pk))
    assert entry.change_message == "Asked it to stop."
    assert "Asked it to stop." in soup(admin_client.get(f"{LIST}{row.pk}/history/")).text


# Deleting.


def test_action_asks_before_it_deletes_what_is_finished(admin_client, row, ended):
    response = act(admin_client, "delete_selected", row, ended)

    page = soup(response)
    left = "Tasks not finished, and so not deleted: 1"
    assert said(response) == [left]
    assert [one["value"] for one in page.select("[name=_selected_action]")] == [str(ended.pk)]
    assert rows.count() == 2

    data = {field["name"]: field["value"] for field in page.select("#content form input[name]")}
    admin_client.post(LIST, data)

    assert rows.get() == row


def test_action_deletes_nothing_that_runs(admin_client, row, ended):
    response = act(admin_client, "delete_selected", row, ended, post="yes")

    assert rows.get() == row
    assert len(said(response)) == 2


def test_action_that_finds_nothing_to_delete_asks_nothing(admin_client, row):
    response = act(admin_client, "delete_selected", row)

    assert response.redirect_chain
    assert said(response) == ["Tasks not finished, and so not deleted: 1"]
    assert rows.count() == 1


def test_tasks_of_a_group_are_counted_where_it_is_deleted_and_not_named(admin_client, ended):
    for number in range(3):
        GroupMember.objects.create(group=ended, task_id=f"leaf-{number}")

    one = soup(admin_client.get(f"{LIST}{ended.pk}/delete/"))
    many = soup(act(admin_client, "delete_selected", ended))

    for page in (one, many):
        assert "leaf-" not in page.text
        assert "Tasks of groups: 3" in page.text
        assert "Dulse" in page.text


def test_rows_can_be_deleted_with_their_members(admin_client, ended):
    GroupMember.objects.create(group=ended, task_id="leaf")

    admin_client.post(f"{LIST}{ended.pk}/delete/", {"post": "yes"})

    assert not rows.exists()
    assert not GroupMember.objects.exists()


def test_whoever_deletes_what_runs_is_told_that_it_goes_on(admin_client, row, ended):
    running = said(admin_client.get(f"{LIST}{row.pk}/delete/"))
    finished = said(admin_client.get(f"{LIST}{ended.pk}/delete/"))

    assert ["does not stop it" in text for text in running] == [True]
    assert finished == []


# What a project changes.


def test_list_with_columns_of_a_project_has_the_usual_links(rf, admin_user):
    class Own(TaskProgressAdmin):
        list_display = ("label", "bar")
        search_fields = ()

    request = rf.get(LIST)
    request.user = admin_user

    changelist = Own(TaskProgress, admin.site).get_changelist_instance(request)

    assert changelist.list_display_links == ["label"]
    assert not changelist.search_fields


def test_list_of_a_project_may_say_what_a_task_is_about(row):
    model_admin = TaskProgressAdmin(TaskProgress, admin.site)

    assert model_admin.about_link(row) is None


def test_object_has_no_link_where_its_admin_has_no_page(rf, admin_user, row):
    site = admin.AdminSite()  # at no URL
    site.register(Permission)
    row.about = permission = Permission.objects.first()
    request = rf.get(LIST)
    request.user = admin_user
    model_admin = TaskProgressAdmin(TaskProgress, site)
    put_on_page(request, [row], model_admin.get_progress_rows)

    assert model_admin.about_link(row) == str(permission)


def test_page_of_no_task_in_particular_has_all_fields(rf):
    model_admin = TaskProgressAdmin(TaskProgress, admin.site)

    assert model_admin.get_fields(rf.get(LIST)) == TaskProgressAdmin.fields


# Registration.


@pytest.fixture
def site(monkeypatch):
    """An admin of a project's own, as ``admin.site``, with nothing in it."""
    site = admin.AdminSite()
    monkeypatch.setattr(admin, "site", site)
    return site


class ThemeAdmin(admin.ModelAdmin):
    """Of a theme."""


class OwnAdmin(TaskProgressAdminMixin, ThemeAdmin):
    """Of a project."""


def test_list_of_tasks_is_registered():
    assert type(admin.site.get_model_admin(TaskProgress)) is TaskProgressAdmin


def test_list_of_tasks_is_registered_unless_there_is_one(site):
    site.register(TaskProgress, OwnAdmin)

    register()

    assert type(site.get_model_admin(TaskProgress)) is OwnAdmin


def test_project_replaces_ours_by_its_own(site):
    register()

    site.unregister(TaskProgress)
    site.register(TaskProgress, OwnAdmin)
    register()

    assert type(site.get_model_admin(TaskProgress)) is OwnAdmin


def register() -> None:
    """Do what happens when Django finds the package's admin."""
    importlib.reload(progress_widget.admin)


def test_admin_of_a_theme_can_be_the_base(site):
    site.register(TaskProgress, OwnAdmin)

    assert site.get_model_admin(TaskProgress).check() == []
    assert issubclass(OwnAdmin, ThemeAdmin)
