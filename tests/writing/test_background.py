"""The thread that writes in the background, in this process; real workers have their own tests."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from time import monotonic, sleep
from types import ModuleType
from typing import Any

import pytest
from celery import _state, signals, states
from celery.app.task import Context
from django.db import (
    DataError,
    IntegrityError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from django.test import override_settings

from progress_widget.bars import ProgressBar
from progress_widget.exceptions import Cancelled
from progress_widget.models import State, TaskProgress
from progress_widget.rows import TaskProgressQuerySet
from progress_widget.writing import background as module
from progress_widget.writing import flushing
from progress_widget.writing.connecting import use_own_connections
from progress_widget.writing.flushing import flush
from progress_widget.writing.reports import Outcome, Report
from progress_widget.writing.values import Assigned
from tests.celery import app
from tests.forks import are_closed, connected, holds_in_a_forked_child

pytestmark = pytest.mark.django_db(transaction=True)
rows = TaskProgress.objects
on_sqlite = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite allows no second connection beside a transaction"
)


@pytest.fixture(autouse=True)
def background(transactional_db, settings, monkeypatch) -> Iterator[module.Writer]:
    """Make bars of Celery runs write in the background, and leave no thread behind.

    An SQLite file allows the thread as long as the test has no transaction.
    """
    monkeypatch.setattr(flushing, "has_heartbeat", lambda: True)
    monkeypatch.setattr(module, "LINGER", 0)
    monkeypatch.setattr(module, "may_linger", lambda: True)
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0.01
    yield module.writer
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0.01
    module.writer.drain()
    assert module.writer.thread is None


@pytest.fixture
def celery_run() -> Iterator[Callable[..., Any]]:
    """Make the test a worker's run of a task."""

    def dry(self):
        """Celery wants a function with a name; the test does its work."""

    task = app.task(dry, bind=True, name="tests.background", shared=False)

    @contextmanager
    def celery_run(task_id: str = "kelp", state: str = states.SUCCESS, **request: Any):
        given = {"called_directly": False, "is_eager": False} | request
        task.request_stack.push(Context(id=task_id, **given))
        _state._task_stack.push(task)
        if not given["called_directly"]:
            signals.task_prerun.send(task, task_id=task_id, task=task, args=(), kwargs={})
        try:
            yield task
        finally:
            signals.task_postrun.send(
                task, task_id=task_id, task=task, args=(), kwargs={}, retval=None, state=state
            )
            _state._task_stack.pop()
            task.request_stack.pop()

    yield celery_run
    app.tasks.pop("tests.background", None)


class Vendor:
    def __init__(self, vendor: str) -> None:
        self.vendor = vendor


class Spy:
    """Intercepts the queries that write rows: counts them, and can make them fail."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.threads: set[str] = set()
        self.error: Exception | None = None
        self.tried = threading.Condition()

    def saw(self, name: str, task_id: str) -> None:
        with self.tried:
            self.calls.append((name, task_id))
            self.threads.add(threading.current_thread().name)
            self.tried.notify_all()
        if self.error is not None:
            raise self.error

    def count(self, name: str) -> int:
        return sum(call[0] == name for call in self.calls)

    def wait_for(self, name: str, times: int) -> bool:
        with self.tried:
            return self.tried.wait_for(lambda: self.count(name) >= times, timeout=10)


@pytest.fixture
def spy(monkeypatch) -> Spy:
    spy = Spy()
    for name in ("start", "save_changes", "end"):
        original = getattr(TaskProgressQuerySet, name)

        def seen(self, task_id, *args, name=name, original=original, **kwargs):
            spy.saw(name, task_id)
            return original(self, task_id, *args, **kwargs)

        monkeypatch.setattr(TaskProgressQuerySet, name, seen)
    return spy


def until(is_so: Callable[[], Any]) -> bool:
    """Wait for what only the database shows."""
    deadline = monotonic() + 10
    while not is_so():
        if monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True


def started(task_id: str = "kelp") -> Report:
    report = Report(
        task_id=task_id,
        starts=True,
        is_new_attempt=True,
        in_background=True,
        is_live=True,
        total=Assigned(100),
    )
    flush(report)
    return report


def progress_of(task_id: str) -> int:
    return rows.get(task_id=task_id).progress


def ended(background: module.Writer) -> bool:
    thread = background.thread
    if thread is not None:
        thread.join(10)
    return background.thread is None


# Where the writes are made.

places: list[tuple[str, str]] = []
place = ContextVar("place", default="nowhere")


def write_context(task_id: str) -> Callable[[], Any]:
    """Serve as WRITE_CONTEXT, with the place in which the bar was made."""
    return partial(entered, task_id, place.get())


@contextmanager
def entered(task_id: str, name: str) -> Iterator[None]:
    places.append((task_id, name))
    before = place.set(name)
    yield
    place.reset(before)


def refuse(task_id: str) -> Any:
    raise LookupError("There is no such tenant.")


@pytest.fixture
def in_places(settings, monkeypatch, spy) -> Iterator[list[tuple[str, str]]]:
    """Return where each write was made: its name, and the place of the thread by then."""
    settings.PROGRESS_WIDGET_WRITE_CONTEXT = f"{__name__}.write_context"
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(spy, "saw", lambda name, task_id: found.append((task_id, place.get())))
    yield found
    places.clear()


@contextmanager
def at(name: str) -> Iterator[None]:
    before = place.set(name)
    yield
    place.reset(before)


def test_each_write_is_made_in_the_place_where_its_bar_was(celery_run, in_places):
    with celery_run():
        with at("north"):
            north = ProgressBar("kelp", total=10)
        with at("south"):
            south = ProgressBar("salt", total=10)
        north.update(progress=5)
        south.update(progress=5)
        south.finalize()

    assert set(in_places) == {("kelp", "north"), ("salt", "south")}
    assert (progress_of("kelp"), progress_of("salt")) == (10, 10)


def test_inline_write_is_made_in_that_place_too(in_places):
    with at("north"):
        bar = ProgressBar("kelp", total=10)

    bar.update(progress=5)

    assert set(in_places) == {("kelp", "north")}


def test_rerun_that_makes_no_bar_ends_the_row_where_it_ran(celery_run, in_places):
    with at("north"), celery_run():
        ProgressBar("kelp", total=10)
    place.set("nowhere")  # as a receiver before ours may have restored it

    switch = ExitStack()
    switch.enter_context(at("north"))
    with celery_run(state=states.FAILURE, retries=1):
        switch.close()

    assert set(in_places) == {("kelp", "north")}


def test_run_that_is_broken_off_is_ended_where_it_made_its_bar(
    celery_run, in_places, background, monkeypatch
):
    monkeypatch.setattr("progress_widget.lifecycle.celery.PRECEDENCE", 0.01)

    with celery_run(state=None), at("north"):
        ProgressBar("kelp", total=10)
    background.drain()

    assert rows.get().state == State.FAILED
    assert set(in_places) == {("kelp", "north")}


def test_place_that_cannot_be_told_is_logged_and_breaks_no_task(celery_run, settings, spy, caplog):
    settings.PROGRESS_WIDGET_WRITE_CONTEXT = f"{__name__}.refuse"

    with celery_run():
        ProgressBar("kelp", total=10).update(progress=5)

    assert spy.calls == []
    [record] = caplog.records
    assert isinstance((record.exc_info or [None, None])[1], LookupError)
    settings.PROGRESS_WIDGET_WRITE_CONTEXT = None
    for report in list(module.writer.watches):
        report.give_up()


def test_place_is_not_asked_for_by_a_bar_without_a_task(settings):
    settings.PROGRESS_WIDGET_WRITE_CONTEXT = f"{__name__}.refuse"

    assert ProgressBar(None).task_id == ""


# Which bars, and which thread.


def test_bar_of_a_workers_task_is_written_by_the_thread(celery_run, spy):
    with celery_run():
        bar = ProgressBar("kelp", total=10)
        bar.update(progress=5)

    assert spy.threads == {"progress_widget"}
    assert (rows.get().state, rows.get().attempt) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize("request_", [{"is_eager": True}, {"called_directly": True}])
def test_bar_of_no_worker_is_written_by_its_caller(celery_run, spy, request_):
    with celery_run(**request_):
        ProgressBar("kelp", total=10).update(progress=5)

    assert spy.threads == {threading.current_thread().name}


def test_bar_is_written_by_its_caller_without_background_writes(celery_run, settings, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("progress_widget.models.connections", {"default": Vendor("postgresql")})
    settings.PROGRESS_WIDGET_BACKGROUND_WRITES = False

    with celery_run():
        bar = ProgressBar("kelp", total=10)

    assert not bar._report.in_background
    assert module.writer.thread is None


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_bar_is_written_by_its_caller_on_sqlite(celery_run, monkeypatch):
    monkeypatch.undo()

    with celery_run():
        bar = ProgressBar("kelp", total=10)

    assert not bar._report.in_background


def test_bar_is_written_by_its_caller_if_the_database_is_not_known(celery_run, monkeypatch):
    def fail() -> bool:
        raise ValueError("from a router")

    monkeypatch.setattr(flushing, "has_heartbeat", fail)

    with celery_run():
        bar = ProgressBar("kelp", total=10)

    assert not bar._report.in_background
    assert rows.get().state == State.SUCCEEDED


def test_found_bar_of_a_workers_task_is_written_by_the_thread(celery_run, spy):
    ProgressBar("shared", total=10)
    spy.threads.clear()

    with celery_run():
        ProgressBar.get("shared").advance(3)

    assert spy.threads == {"progress_widget"}
    assert (progress_of("shared"), rows.get().state) == (3, State.RUNNING)


# The promises.


def test_making_and_ending_a_bar_wait_for_the_row(celery_run, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600

    with celery_run():
        bar = ProgressBar("kelp", total=10)
        before = rows.get().state
        bar.finalize()
        after = rows.get().state

    assert (before, after) == (State.RUNNING, State.SUCCEEDED)


def test_reporting_sends_no_query_of_its_own(celery_run, django_assert_num_queries):
    with celery_run(), django_assert_num_queries(0):
        bar = ProgressBar("kelp", total=10)
        bar.update(progress=1, step="Drying")
        bar.advance()
        list(bar.track("kelp"))
        bar.total = 20
        bar.fail("Too wet.")

    row = rows.get()
    assert (row.progress, row.total, row.state) == (4, 20, State.FAILED)


def test_loop_is_written_at_most_every_interval(celery_run, spy, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600

    with celery_run():
        bar = ProgressBar("kelp", total=None)
        for _ in bar.track(iter(range(10_000))):
            bar.advance()

    assert spy.count("save_changes") == 0
    assert spy.count("end") == 1
    assert progress_of("kelp") == 20_000


def test_last_word_before_a_silence_is_told(celery_run):
    with celery_run():
        bar = ProgressBar("kelp", total=10)
        bar.update(progress=7, step="Waiting for the sun")

        assert until(lambda: rows.get().progress == 7)


@on_sqlite
def test_transaction_of_the_task_keeps_nothing_from_the_row(celery_run):
    with celery_run(state=states.RETRY), transaction.atomic():
        ProgressBar("kelp", total=10).update(progress=5)
        transaction.set_rollback(True)

    assert (rows.get().state, rows.get().progress) == (State.RETRYING, 5)


def test_open_bar_without_news_beats(celery_run, spy, settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 0.06

    with celery_run():
        ProgressBar("kelp", total=10)
        before = rows.get().updated_at

        assert spy.wait_for("save_changes", 3)
        assert until(lambda: rows.get().updated_at > before)
        assert (rows.get().state, rows.get().progress) == (State.RUNNING, 0)


def test_bar_within_the_interval_of_its_heart_is_left_alone(celery_run, spy):
    with celery_run():
        ProgressBar("kelp", total=10)
        ProgressBar("other", total=10)

    assert spy.count("save_changes") == 0


def test_ended_bar_beats_no_more(celery_run, spy, background, settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 0.06

    with celery_run():
        ProgressBar("kelp", total=10).finalize()

        assert ended(background)
    assert rows.get().state == State.SUCCEEDED


@pytest.mark.parametrize("state", [states.RETRY, states.IGNORED])
def test_run_that_an_outage_kept_silent_takes_no_row_from_the_next(
    celery_run, spy, background, monkeypatch, caplog, state
):
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.5)
    settings_of_first = override_settings(PROGRESS_WIDGET_WRITE_INTERVAL=3600)
    spy.error = OperationalError("the server closed the connection")
    with settings_of_first, celery_run(state=state):
        first = ProgressBar("kelp", total=10)
    spy.error = None

    with celery_run():
        ProgressBar("kelp", total=10)
        assert first._report in background.watches
        assert until(lambda: first._report not in background.watches)

    assert (rows.get().state, rows.get().attempt) == (State.SUCCEEDED, 1)
    assert "could not be written" in caplog.text


def test_bar_whose_row_was_ended_elsewhere_is_let_go(celery_run, background, settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 0.06

    with celery_run():
        ProgressBar("kelp", total=10)
        rows.update(state=State.CANCELLED)

        assert ended(background)
    assert rows.get().state == State.CANCELLED


def test_row_deleted_while_its_task_is_silent_comes_back(celery_run, settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 0.06

    with celery_run():
        ProgressBar("kelp", total=10).update(progress=4)
        assert until(lambda: rows.get().progress == 4)

        rows.all().delete()

        assert until(rows.exists)
        assert (rows.get().progress, rows.get().attempt) == (4, 1)


# Trouble.


def test_outage_is_logged_once_and_then_made_up_for(spy, caplog):
    report = started()
    spy.error = OperationalError("gone")
    report.reached = (5, 0)
    assert spy.wait_for("save_changes", 3)

    spy.error = None

    assert until(lambda: progress_of("kelp") == 5)
    assert [record.getMessage() for record in caplog.records] == [
        "The progress of task kelp could not be written"
    ]
    report.is_live = False


def test_each_outage_is_logged(spy, caplog):
    report = started()
    for progress in (5, 6):
        spy.error = OperationalError("gone")
        report.reached = (progress, 0)
        flush(report)
        spy.error = None
        assert until(lambda: not report.is_failing)

    report.is_live = False

    assert len(caplog.records) == 2
    assert progress_of("kelp") == 6


def test_bar_that_is_made_during_an_outage_starts_after_it(celery_run, spy, caplog):
    spy.error = OperationalError("gone")

    with celery_run():
        ProgressBar("kelp", total=10).update(progress=5)
        spy.error = None
        assert until(rows.exists)

    # The task does not wait for a thread that was failing a moment ago.
    assert until(lambda: rows.get().state == State.SUCCEEDED)
    assert rows.get().attempt == 1
    assert len(caplog.records) == 1


def test_end_of_a_task_during_an_outage_is_written_after_it(celery_run, spy, background, caplog):
    with celery_run(state=states.FAILURE):
        ProgressBar("kelp", total=10).update(progress=5)
        spy.error = OperationalError("gone")
    assert rows.get().state == State.RUNNING

    spy.error = None

    assert ended(background)
    assert (rows.get().state, rows.get().progress) == (State.FAILED, 5)
    assert len(caplog.records) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL to cut connections")
def test_connection_that_is_cut_is_replaced(caplog):
    report = started()
    cut_others()
    report.reached = (5, 0)

    flush(report)

    assert until(lambda: progress_of("kelp") == 5)
    assert len(caplog.records) == 1
    report.is_live = False


def cut_others() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    "error", [OperationalError, InternalError, ProgrammingError, IntegrityError, ValueError]
)
def test_whatever_the_database_refuses_is_tried_again(spy, caplog, error):
    report = started()
    spy.error = error("read-only, a trigger, a column that is away")
    report.reached = (5, 0)
    report.is_live = False
    report.end(Outcome(State.FAILED))
    flush(report)
    assert spy.wait_for("end", 3)

    spy.error = None

    assert until(lambda: rows.get().state == State.FAILED)
    assert progress_of("kelp") == 5
    assert len(caplog.records) == 1


def test_what_is_refused_for_too_long_is_given_up(spy, background, monkeypatch, caplog):
    report = started()
    monkeypatch.setattr(module, "GIVE_UP_AFTER", 0)
    spy.error = OperationalError("gone")
    report.reached = (5, 0)
    report.is_live = False

    flush(report)

    assert ended(background)
    assert progress_of("kelp") == 0


def test_what_can_never_be_written_is_dropped_and_nothing_after_it(spy, caplog):
    report = started()
    spy.error = DataError("never")
    report.reached = (5, 0)
    flush(report)
    spy.error = None
    dropped = progress_of("kelp")

    report.step = Assigned("Drying")

    assert until(lambda: rows.get().step == "Drying")

    report.is_live = False
    assert (dropped, progress_of("kelp"), rows.get().step) == (0, 0, "Drying")
    assert len(caplog.records) == 1


def test_end_is_written_though_the_changes_before_it_never_can(celery_run, spy, monkeypatch):
    with celery_run():
        bar = ProgressBar("kelp", total=10)
        monkeypatch.setattr(
            TaskProgressQuerySet, "save_changes", lambda *args: (_ for _ in ()).throw(DataError())
        )
        bar.update(progress=5)

    assert until(lambda: rows.get().state == State.SUCCEEDED)


@pytest.mark.parametrize("state", [states.SUCCESS, states.FAILURE])
def test_bar_that_can_never_be_started_is_let_go(celery_run, spy, background, caplog, state):
    spy.error = DataError("never")

    with celery_run(state=state):
        bar = ProgressBar("kelp", total=10)

        assert ended(background)
        spy.error = None
        bar.update(progress=5)
        bar.finalize()
    assert spy.calls == [("start", "kelp")]
    assert not rows.exists()
    assert len(caplog.records) == 1


@on_sqlite
def test_locked_row_does_not_hold_up_the_others(caplog):
    locked, other = started("locked"), started("other")
    with transaction.atomic():
        rows.select_for_update().get(task_id="locked")
        locked.reached, other.reached = (5, 0), (6, 0)

        flush(locked, other)

        assert progress_of("other") == 6
        assert progress_of("locked") == 0

    assert until(lambda: progress_of("locked") == 5)
    locked.is_live = other.is_live = False
    assert len(caplog.records) == 1


def test_nobody_waits_for_longer_than_the_patience(spy, monkeypatch):
    report, goes_on = started(), threading.Event()
    monkeypatch.setattr(spy, "saw", lambda name, task_id: goes_on.wait(10))
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    report.reached = (5, 0)

    flush(report)
    before = progress_of("kelp")
    goes_on.set()

    assert before == 0
    assert until(lambda: progress_of("kelp") == 5)
    report.is_live = False


def test_end_that_is_said_while_another_is_being_written_is_not_lost(spy, monkeypatch):
    report = started()

    def saw(name: str, task_id: str) -> None:
        if name == "end":
            monkeypatch.setattr(spy, "saw", lambda name, task_id: None)
            report.end(Outcome(State.FAILED, overrule=True))

    monkeypatch.setattr(spy, "saw", saw)
    report.end(Outcome(State.SUCCEEDED))
    flush(report)
    flush(report)

    assert rows.get().state == State.FAILED


def test_thread_that_has_died_is_replaced(background, monkeypatch):
    monkeypatch.setattr(module.Writer, "_attend", broken)
    with warnings.catch_warnings(), monkeypatch.context() as patched:
        patched.setattr(threading, "excepthook", lambda args: None)
        patched.setattr(module, "PATIENCE", 0.01)
        started()
        background.thread.join(10)
    monkeypatch.undo()

    started("other")

    assert rows.filter(task_id="other").exists()
    for report in background.watches:
        report.is_live = False


def broken(*args: object) -> None:
    raise SystemError


def test_thread_that_cannot_be_started_does_not_break_the_task(
    celery_run, background, monkeypatch, caplog
):
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with celery_run():
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            patched.setattr(module, "PATIENCE", 0.01)
            bar = ProgressBar("kelp", total=10)
        bar.update(progress=5)

    assert rows.get().state == State.SUCCEEDED


# The thread's own life.


def test_bar_that_is_made_while_another_is_open_starts_at_once(celery_run, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600
    with celery_run():
        ProgressBar("kelp", total=10)

        ProgressBar("other", total=10)

        assert rows.filter(task_id="other").exists()


def test_thread_ends_and_closes_its_connection_when_no_bar_is_open(celery_run, background):
    with celery_run():
        ProgressBar("kelp", total=10)
        thread = background.thread

    thread.join(10)
    assert not thread.is_alive()
    assert ended(background)
    if connection.vendor == "postgresql":
        assert until(lambda: cut_others() == 0)


def test_thread_stays_while_a_bar_is_open(celery_run, background):
    with celery_run():
        first = ProgressBar("kelp", total=10)
        thread = background.thread
        with celery_run("other"):
            ProgressBar("other", total=10)
        first.update(progress=5)

        assert until(lambda: progress_of("kelp") == 5)
        assert background.thread is thread


def test_drain_writes_what_is_owed(background):
    report = started()
    report.added = 7

    background.drain()

    assert background.thread is None
    assert progress_of("kelp") == 7


def test_drain_waits_for_no_interval(background, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600
    report = started()
    report.added = 7

    background.drain()

    assert progress_of("kelp") == 7


def test_drain_of_an_idle_process_returns(background):
    background.drain()

    assert background.thread is None


def test_drain_gives_up_in_a_long_outage(background, spy, monkeypatch, caplog):
    report = started()
    report.added = 7
    spy.error = OperationalError("gone")
    with monkeypatch.context() as patched:
        patched.setattr(module, "PATIENCE", 0.05)
        background.drain()
    before = progress_of("kelp")

    spy.error = None

    assert ended(background)
    assert (before, progress_of("kelp")) == (0, 7)


# What one process has to say only if another does not.


@pytest.fixture
def end_of_outage(spy, monkeypatch) -> Callable[[str, int], None]:
    """Refuse all writes; return a function that says after which of them that is over."""
    spy.error = OperationalError("gone")
    saw = spy.saw

    def end_of_outage(name: str, times: int) -> None:
        def seen(seen_name: str, task_id: str) -> None:
            try:
                saw(seen_name, task_id)
            finally:
                if spy.count(name) == times:
                    spy.error = None

        monkeypatch.setattr(spy, "saw", seen)

    return end_of_outage


@pytest.fixture
def other_process(background) -> Iterator[module.Writer]:
    """The thread of another process, at least in that it knows nothing of this one."""
    writer = module.Writer()
    yield writer
    writer.drain()


def failed_elsewhere() -> Report:
    """Return what a child says of a run that was broken off."""
    report = Report(task_id="kelp", attempt=1, in_background=True)
    report.end(Outcome(State.FAILED, overrule=True))
    return report


def cancelled() -> Report:
    """Return what the main process says of it."""
    report = Report(task_id="kelp", in_background=True)
    report.end(Outcome(State.CANCELLED))
    return report


@pytest.mark.parametrize(("attempts", "short_pauses_for"), [(3, 60), (4, 0)])
def test_put_off_end_leaves_the_first_word_to_who_has_been_failing(
    background,
    other_process,
    spy,
    end_of_outage,
    monkeypatch,
    settings,
    attempts,
    short_pauses_for,
):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0.1
    rows.create(task_id="kelp", attempt=1, total=10)
    states_written = []
    end = TaskProgressQuerySet.end

    def noted(self, task_id, attempt, state, *args, **kwargs):
        is_written = end(self, task_id, attempt, state, *args, **kwargs)
        states_written.append((state, is_written))
        return is_written

    monkeypatch.setattr(TaskProgressQuerySet, "end", noted)
    end_of_outage("end", attempts)  # the child's own do not count: it only knocks

    with monkeypatch.context() as patched:
        patched.setattr(module, "DRAIN", short_pauses_for)
        other_process.watch(cancelled())
        assert spy.wait_for("end", 2)
        background.watch(failed_elsewhere(), later=0.4)

        assert ended(background)
    assert states_written == [(State.CANCELLED, True), (State.FAILED, False)]


def test_put_off_end_is_written_if_nobody_else_says_anything(background, spy):
    rows.create(task_id="kelp", attempt=1, total=10)

    background.watch(failed_elsewhere(), later=0.01)

    assert ended(background)
    assert rows.get().state == State.FAILED


def test_put_off_end_is_put_off_anew_by_an_outage(background, spy, monkeypatch, caplog):
    rows.create(task_id="kelp", attempt=1, total=10)
    background.watch(failed_elsewhere(), later=0.1)
    assert spy.wait_for("save_changes", 1)

    spy.error = OperationalError("gone")
    assert until(lambda: caplog.records)
    spy.calls.clear()
    spy.error = None

    assert ended(background)
    assert rows.get().state == State.FAILED
    assert spy.calls[0] == ("save_changes", "kelp")


def test_drain_writes_a_put_off_end_once_the_database_is_back(
    background, end_of_outage, monkeypatch, caplog
):
    monkeypatch.setattr(module, "DRAIN", 1.0)
    rows.create(task_id="kelp", attempt=1, total=10)
    end_of_outage("save_changes", 3)
    background.watch(failed_elsewhere(), later=1.5)

    background.drain()

    assert rows.get().state == State.FAILED


@pytest.mark.parametrize("signal", [signals.worker_process_shutdown, signals.worker_shutdown])
def test_shutdown_of_worker_or_child_drains(background, signal):
    report = started()
    report.added = 7

    signal.send(sender=None)

    assert progress_of("kelp") == 7


def test_forked_child_has_a_writer_of_its_own(background):
    def has_a_writer_of_its_own() -> bool:
        is_fresh = background.thread is None and not background.watches
        mine = started("child")
        mine.is_live = False
        return is_fresh and mine.attempt == 1

    report = started()

    assert holds_in_a_forked_child(has_a_writer_of_its_own)

    report.reached = (5, 0)
    flush(report)

    report.is_live = False
    assert rows.filter(task_id="child").exists()
    assert progress_of("kelp") == 5


@pytest.fixture
def query(background, monkeypatch) -> Iterator[threading.Event]:
    """A query that the thread is in the middle of until the event is set."""
    is_over, has_begun = threading.Event(), threading.Event()

    def save(report: Report, *, beat: bool) -> None:
        has_begun.set()
        is_over.wait(10)

    monkeypatch.setattr(module, "save", save)
    report = Report(task_id="kelp", starts=True, in_background=True)
    background.watch(report)
    assert has_begun.wait(10)
    yield is_over
    is_over.set()
    report.is_fenced = True


def test_nobody_forks_during_a_query(query):
    threading.Timer(0.2, query.set).start()

    assert holds_in_a_forked_child(query.is_set)


def test_nobody_waits_with_a_fork_for_a_thread_that_hangs(query, background):
    background.busy_since = monotonic() - 2 * module.PATIENCE

    assert holds_in_a_forked_child(lambda: not query.is_set())


def test_nobody_forks_while_a_connection_to_sqlite_is_open(background, monkeypatch):
    monkeypatch.setattr(module, "may_linger", lambda: False)
    with connected() as found:
        report = started()

        assert holds_in_a_forked_child(lambda: are_closed(found))

    report.is_live = False


def test_forked_child_that_collects_garbage_leaves_the_connection_open(background):
    report = started()

    assert holds_in_a_forked_child(lambda: gc.collect() >= 0)

    report.reached = (5, 0)
    flush(report)
    report.is_live = False
    assert progress_of("kelp") == 5


def test_many_threads_that_open_and_close_bars_lose_nothing(background):
    def work(number: int) -> None:
        for turn in range(10):
            report = started(f"{number}-{turn}")
            report.added += 1
            report.is_live = False
            report.end(Outcome(State.FAILED))
            flush(report)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ended(background)
    assert rows.filter(state=State.FAILED, progress=1, attempt=1).count() == 80


# A thread that hangs, lingers or is left behind.


@pytest.fixture
def hanging(spy, monkeypatch) -> Iterator[threading.Event]:
    """Make the database hang until this is set, in any write of kelp."""
    goes_on = threading.Event()
    monkeypatch.setattr(spy, "saw", lambda name, task_id: task_id != "kelp" or goes_on.wait(10))
    yield goes_on
    goes_on.set()


def test_nobody_waits_for_a_thread_that_hangs(hanging, background, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    report = Report(task_id="kelp", starts=True, in_background=True)
    flush(report)
    other = Report(task_id="dulse", starts=True, in_background=True)
    assert until(lambda: background.is_stuck)

    monkeypatch.setattr(module, "PATIENCE", 30)
    background.busy_since -= 60
    flush(other)  # would wait for 30 s

    hanging.set()
    assert until(lambda: rows.count() == 2)


def test_thread_that_hangs_for_long_is_replaced(hanging, background):
    report = Report(task_id="kelp", starts=True, in_background=True)
    background.watch(report)
    assert until(lambda: background.busy_since)
    lost = background.thread
    background.busy_since -= 60

    background.watch(Report(task_id="dulse", starts=True, in_background=True))

    assert background.thread is not lost
    assert until(lambda: rows.filter(task_id="dulse").exists())
    hanging.set()
    assert until(lambda: rows.count() == 2)
    lost.join(10)
    assert not lost.is_alive()


def test_thread_outlives_the_last_bar_for_a_while(celery_run, background, monkeypatch):
    monkeypatch.setattr(module, "LINGER", 30)
    with celery_run():
        ProgressBar("kelp", total=10)
    first = background.thread

    with celery_run("dulse"):
        ProgressBar("dulse", total=10)

    assert first.is_alive()
    assert background.thread is first


def test_end_of_the_process_does_not_wait_for_a_thread_that_lingers(
    celery_run, background, monkeypatch
):
    monkeypatch.setattr(module, "LINGER", 3600)
    with celery_run():
        ProgressBar("kelp", total=10)

    background.drain()

    assert background.thread is None


def test_handle_in_a_forked_child_is_written_by_the_childs_own_thread(celery_run, background):
    with celery_run():
        bar = ProgressBar("kelp", total=10)
        background.drain()
        background.reset()  # as in a child

        bar.advance(3)

        assert until(lambda: progress_of("kelp") == 3)


def options_of_own(alias: str) -> dict[str, Any]:
    """Return the options of a connection that a thread has for itself."""
    seen = []

    def look() -> None:
        use_own_connections()
        seen.append(connections[alias].settings_dict["OPTIONS"])
        del connections[alias]

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return seen[0]


def test_connections_of_the_thread_come_from_no_pool_and_do_not_hang(monkeypatch):
    monkeypatch.setitem(
        connections.settings,
        "other",
        {
            **connections.settings["default"],
            "ENGINE": "django.db.backends.postgresql",
            "OPTIONS": {"pool": True, "connect_timeout": 1},
        },
    )

    assert options_of_own("other") == {"connect_timeout": 1, "tcp_user_timeout": 5000}
    assert connections.settings["other"]["OPTIONS"]["pool"] is True


@pytest.mark.skipif(connection.vendor != "postgresql", reason="its driver may be missing")
def test_connection_of_a_backend_built_on_djangos_hangs_no_longer(monkeypatch):
    derived = ModuleType("tests.derived.base")
    derived.DatabaseWrapper = type(
        "DatabaseWrapper", (type(connections["default"]),), {"__module__": derived.__name__}
    )
    monkeypatch.setitem(sys.modules, "tests.derived.base", derived)
    settings = connections.settings["default"] | {"ENGINE": "tests.derived"}
    monkeypatch.setitem(connections.settings, "other", settings)

    assert options_of_own("other")["connect_timeout"] == 5


def test_bar_with_another_id_than_its_tasks_is_told_once(celery_run, caplog):
    for number in range(2):
        with celery_run(task=f"harvest-{celery_run}"):
            ProgressBar(f"shared-{number}", total=10)

    assert ["another id" in record.getMessage() for record in caplog.records] == [True]


# A task that is asked to stop.


def test_reporting_task_learns_that_it_is_cancelled(celery_run, spy):
    with celery_run():
        bar = ProgressBar("kelp", total=100)
        rows.ask_to_stop("kelp")

        bar.update(progress=5)

        assert until(lambda: bar._report.is_cancelled)
        assert until(lambda: progress_of("kelp") == 5)


def test_task_that_only_asks_learns_it_too(celery_run, settings, django_assert_num_queries):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 3600
    with celery_run():
        bar = ProgressBar("kelp", total=100)
        rows.ask_to_stop("kelp")

        with django_assert_num_queries(0):  # on the connection of the task
            assert until(lambda: bar.is_cancelled)


def test_silent_task_learns_it_by_its_heartbeat(celery_run, settings):
    settings.PROGRESS_WIDGET_STALLED_AFTER = 0.06
    with celery_run():
        bar = ProgressBar("kelp", total=100)
        rows.ask_to_stop("kelp")

        assert until(lambda: bar._report.is_cancelled)


def test_question_is_written_at_most_every_interval(celery_run, spy, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600
    with celery_run():
        bar = ProgressBar("kelp", total=100)
        for _ in range(9):
            assert not bar.is_cancelled

        ProgressBar("eel", total=100).update(progress=1)  # wakes the thread

    assert spy.calls.count(("save_changes", "kelp")) == 0


def test_one_question_is_one_write(celery_run, spy):
    with celery_run():
        bar = ProgressBar("kelp", total=100)
        assert not bar.is_cancelled
        assert spy.wait_for("save_changes", 1)

        assert not bar._report.is_asking


def test_handle_that_only_asks_gives_no_signs_of_life(celery_run, spy):
    rows.create(task_id="eel", total=100, attempt=1)
    with celery_run():
        found = ProgressBar.get("eel")
        assert not found.is_cancelled
        rows.ask_to_stop("eel")

        assert until(lambda: found.is_cancelled)

    assert spy.calls == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its setting")
@pytest.mark.parametrize("dynamic", [True, False])
def test_question_sets_no_limit_to_the_transaction_of_the_task(celery_run, dynamic):
    rows.create(task_id="eel", total=100, attempt=1)
    with celery_run(), transaction.atomic(), connection.cursor() as cursor:
        bar = ProgressBar("eel", _getter=True, dynamic=dynamic)
        assert (bar.is_cancelled, bar.progress) == (False, 0)

        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_loop_in_a_worker_stops(celery_run):
    with celery_run():
        loop = ProgressBar("kelp").track(range(10**9), stop=True)
        next(loop)
        rows.ask_to_stop("kelp")

        with pytest.raises(Cancelled):
            all(item >= 0 for item in loop)


def test_end_of_a_cancelled_task_is_written_at_once(celery_run, spy):
    with celery_run():
        ProgressBar("kelp", total=100).update(progress=5)
        rows.ask_to_stop("kelp")

    assert (rows.get().state, rows.get().cancel_asked_at) == (State.SUCCEEDED, None)
    assert spy.count("end") == 1


def test_loop_of_slow_items_takes_none_after_it_is_asked_to_stop(celery_run, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0.2
    items = iter("abcdef")
    with celery_run():
        loop = ProgressBar("kelp").track(items, total=6, stop=True)
        done = [next(loop), next(loop)]
        assert until(lambda: rows.get().progress == 1)
        rows.ask_to_stop("kelp")
        sleep(0.25)

        with pytest.raises(Cancelled):
            next(loop)

    assert (done, next(items)) == (["a", "b"], "c")
