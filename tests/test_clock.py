from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.utils import ConnectionHandler
from django.utils import timezone

from progress_widget.clock import NOW, converted
from progress_widget.models import State, TaskProgress
from progress_widget.writing.reports import Report
from progress_widget.writing.saving import save
from progress_widget.writing.values import step_of, total_of

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects
OFF = [timedelta(hours=-1), timedelta(hours=1)]


@pytest.fixture(autouse=True)
def heartbeat(monkeypatch):
    """Let tasks give signs of life, on any database."""
    monkeypatch.setattr("progress_widget.reading.polling.has_heartbeat", lambda: True)


@pytest.fixture
def clock_that_is_off(monkeypatch):
    """Set this process's clock."""

    def set_off(by: timedelta) -> None:
        now = timezone.now
        monkeypatch.setattr("django.utils.timezone.now", lambda: now() + by)

    return set_off


def start(**values) -> int:
    return rows.start("kelp", total=10, step="", new_attempt=True, **values)


def silent_for(seconds: float) -> None:
    """Be a row that was written the last time so long ago."""
    start()
    rows.update(updated_at=NOW - timedelta(seconds=seconds))


def times_of(row: TaskProgress) -> list[datetime]:
    times = (row.created_at, row.started_at, row.updated_at, row.finished_at)
    return [time for time in times if time is not None]


# A worker's clock is off.


@pytest.mark.parametrize("by", OFF, ids=str)
@pytest.mark.parametrize(
    "write",
    [
        lambda: None,
        lambda: rows.save_changes("kelp", 1, {"progress": 1}),
        lambda: rows.save_changes("kelp", 1, {}),
        start,
        lambda: rows.end("kelp", 1, State.FAILED),
    ],
    ids=["start", "change", "heartbeat", "start again", "end"],
)
def test_times_in_rows_are_of_the_database_and_not_of_the_worker(clock_that_is_off, by, write):
    clock_that_is_off(by)

    start()
    write()

    row = rows.for_tasks(["kelp"])["kelp"]
    assert {abs(row.now - time) < timedelta(minutes=1) for time in times_of(row)} == {True}


@pytest.mark.parametrize("by", OFF, ids=str)
def test_row_that_is_put_back_has_the_times_of_the_database(clock_that_is_off, by):
    report = Report(
        task_id="kelp",
        starts=True,
        is_new_attempt=True,
        in_background=False,
        total=total_of(10),
        step=step_of(""),
    )
    save(report)
    rows.all().delete()
    clock_that_is_off(by)

    save(report, beat=True)

    row = rows.for_tasks(["kelp"])["kelp"]
    assert {abs(row.now - time) < timedelta(minutes=1) for time in times_of(row)} == {True}


# Silence heals.


@pytest.mark.parametrize("attempt", [0, 1])
def test_silent_row_heals_at_the_next_write(page_bar, poll, bar_in, attempt):
    start()
    rows.update(attempt=attempt, updated_at=NOW - timedelta(seconds=601))
    silent = page_bar("kelp")
    rows.save_changes("kelp", attempt, {"progress": 1})

    healed = bar_in(poll(silent))

    assert (silent["data-state"], healed["data-state"]) == ("stalled", "running")


# A web server's clock is off.


@pytest.mark.parametrize("by", OFF, ids=str)
def test_healthy_task_is_not_called_silent_where_the_clock_of_the_web_server_is_off(
    page_bar, poll, clock_that_is_off, by
):
    start()
    clock_that_is_off(by)

    bar = page_bar("kelp")

    assert bar["data-state"] == "running"
    assert poll(bar).status_code == 204


@pytest.mark.parametrize("by", OFF, ids=str)
def test_silent_task_is_called_so_where_the_clock_of_the_web_server_is_off(
    page_bar, clock_that_is_off, by
):
    silent_for(40)
    clock_that_is_off(by)

    assert page_bar("kelp")["data-state"] == "stalled"


@pytest.mark.parametrize("by", OFF, ids=str)
def test_row_that_waits_has_waited_by_the_clock_of_the_database(page_bar, clock_that_is_off, by):
    for task_id, seconds in (("late", 40), ("in time", 5)):
        row = rows.create(task_id=task_id, state=State.WAITING)
        rows.filter(pk=row.pk).update(created_at=NOW - timedelta(seconds=seconds))
    clock_that_is_off(by)

    assert "Waiting since" in page_bar("late").text
    assert "Waiting since" not in page_bar("in time").text


@pytest.mark.parametrize("by", [timedelta(), *OFF], ids=str)
def test_given_row_whose_clock_is_not_known_is_judged_by_the_first_poll(
    page_bar, poll, bar_in, clock_that_is_off, by
):
    silent_for(40)
    clock_that_is_off(by)

    bar = page_bar(rows.get())

    assert bar["data-state"] == "running"
    assert bar_in(poll(bar))["data-state"] == "stalled"


def test_given_row_that_was_looked_up_for_its_task_is_judged_at_once(page_bar):
    silent_for(40)

    assert page_bar(rows.for_tasks(["kelp"])["kelp"])["data-state"] == "stalled"


def test_given_row_that_waits_is_judged_by_the_first_poll(page_bar, poll, bar_in):
    rows.create(task_id="kelp", state=State.WAITING)
    rows.update(created_at=NOW - timedelta(seconds=40))

    bar = page_bar(rows.get())

    assert "Waiting since" not in bar.text
    assert "Waiting since" in bar_in(poll(bar)).text


# Time zones.


def is_the_time(row: TaskProgress) -> bool:
    """Whether all times of a row that has started are about now."""
    now = timezone.now()
    times = [row.now, *times_of(row)]
    return len(times) == 4 and all(abs(now - time) < timedelta(minutes=1) for time in times)


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo", "America/St_Johns"])
@pytest.mark.parametrize("use_tz", [True, False])
def test_times_are_right_in_every_time_zone(settings, use_tz, time_zone):
    settings.TIME_ZONE, settings.USE_TZ = time_zone, use_tz
    start()

    row = rows.for_tasks(["kelp"])["kelp"]

    assert timezone.is_aware(row.now) == timezone.is_aware(row.updated_at) == use_tz
    assert is_the_time(row)


@pytest.mark.skipif(connection.vendor != "mysql", reason="Only MySQL's clock is the session's")
def test_times_are_right_where_the_server_is_not_in_utc():
    with connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+05:00'")
    start()

    row = rows.for_tasks(["kelp"])["kelp"]

    assert is_the_time(row)
    with connection.cursor() as cursor:
        cursor.execute("SET time_zone = DEFAULT")


@pytest.mark.skipif(connection.vendor == "postgresql", reason="It keeps no times without a zone")
def test_times_are_right_in_a_database_that_keeps_those_of_another_zone(monkeypatch):
    monkeypatch.setitem(vars(connection), "timezone", ZoneInfo("Asia/Tokyo"))
    start()

    row = rows.for_tasks(["kelp"])["kelp"]

    assert is_the_time(row)


# On databases that these tests may not be running on.


@pytest.mark.parametrize("time_zone", [None, "Asia/Tokyo"])
def test_clock_of_sqlite_is_right_in_its_own_time_zone(time_zone):
    engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "TIME_ZONE": time_zone}
    sqlite = ConnectionHandler({"default": engine})["default"]
    sql, params = NOW.as_sqlite(None, sqlite)
    with sqlite.cursor() as cursor:
        [told] = cursor.execute(f"SELECT {sql}", params).fetchone()
    sqlite.connection.close()

    now = converted(told, sqlite)

    assert abs(timezone.now() - now) < timedelta(minutes=1)


def test_clock_of_mariadb_is_reckoned_from_utc(monkeypatch):
    monkeypatch.setitem(vars(connection), "timezone", ZoneInfo("Asia/Tokyo"))

    sql, _ = NOW.as_mysql(None, connection)

    assert sql == "(UTC_TIMESTAMP(6) + INTERVAL 32400 SECOND)"
