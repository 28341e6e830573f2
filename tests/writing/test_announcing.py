"""The signal of a task's end, in this process; real workers are in workers/test_signal.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from celery.exceptions import Retry
from django.db import OperationalError, connections, transaction

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from progress_widget.rows import TaskProgressManager
from progress_widget.writing import announcing as module
from progress_widget.writing.announcing import End, announce, announcer
from progress_widget.writing.reports import Outcome, Report
from progress_widget.writing.saving import save
from tests.celery import app
from tests.forks import are_closed, connected, holds_in_a_forked_child

pytestmark = pytest.mark.django_db(transaction=True)
rows = TaskProgress.objects
KELP = End("kelp", nullcontext)


@pytest.fixture
def run():
    """Run a function as a task, eagerly; its first argument is the task."""

    def run(function, **request):
        task = app.task(function, bind=True, name="tests.announced", shared=False)
        try:
            return task.apply(task_id="kelp", **request)
        finally:
            app.tasks.pop("tests.announced", None)

    return run


class Refusing:
    def db_for_write(self, model, **hints):
        raise ValueError


def ended(**values: Any) -> TaskProgress:
    return rows.create(task_id="kelp", **{"state": State.SUCCEEDED, **values})


# In place.


@pytest.mark.parametrize(("error", "state"), [(None, "succeeded"), (ValueError, "failed")])
def test_end_of_a_task_is_announced_with_its_row(run, told, error, state):
    def dry(self):
        ProgressBar(self.request.id, total=10).update(progress=5)
        if error:
            raise error

    run(dry)

    assert told == [("kelp", state)]


@pytest.mark.parametrize(("end", "state"), [("finalize", "succeeded"), ("fail", "failed")])
def test_end_of_a_shared_bar_is_announced_once(told, end, state):
    bar = ProgressBar("kelp", total=10)

    getattr(bar, end)()
    bar.finalize()

    assert told == [("kelp", state)]


def test_success_said_too_early_is_announced_and_what_overrules_it_is_not(run, told):
    def dry(self):
        ProgressBar(self.request.id).finalize()
        raise ValueError

    run(dry)

    assert (told, rows.get().state) == ([("kelp", "succeeded")], State.FAILED)


def test_cancellation_of_what_has_failed_is_not_announced(told):
    for state in (State.FAILED, State.CANCELLED):
        report = Report(task_id="kelp")
        rows.get_or_create(task_id="kelp")
        report.end(Outcome(state))
        save(report)

    assert (told, rows.get().state) == ([("kelp", "failed")], State.CANCELLED)


def test_retry_is_no_end_and_the_next_attempt_has_its_own(run, told):
    def wet(self):
        ProgressBar(self.request.id)
        raise Retry

    def dry(self):
        ProgressBar(self.request.id)

    run(wet)
    before = list(told)
    run(dry, retries=1)
    run(dry, retries=2)

    assert (before, told) == ([], [("kelp", "succeeded")] * 2)


def test_retry_is_not_left_to_the_thread_which_might_find_the_next_end(told, monkeypatch):
    taken = []
    monkeypatch.setattr(announcer, "take", taken.append)
    for state in (State.RETRYING, State.FAILED):
        report = Report(task_id="kelp", in_background=True)
        rows.get_or_create(task_id="kelp")
        report.end(Outcome(state))
        save(report)

    assert [end.task_id for end in taken] == ["kelp"]


def test_end_is_announced_once_it_is_committed(told):
    with transaction.atomic():
        ProgressBar("kelp").finalize()
        before = list(told)

    assert (before, told) == ([], [("kelp", "succeeded")])


def test_end_that_is_rolled_back_is_not_announced(told):
    with transaction.atomic():
        ProgressBar("kelp").finalize()
        transaction.set_rollback(True)

    assert told == []


@pytest.mark.parametrize("later", ["gone", "begun again"])
def test_row_that_has_not_ended_any_more_is_not_announced(told, later):
    with transaction.atomic():
        ProgressBar("kelp").finalize()
        if later == "gone":
            rows.all().delete()
        else:
            ProgressBar("kelp")

    assert told == []


def test_receiver_that_raises_harms_neither_the_bar_nor_other_receivers(connect, caplog):
    told = []

    def refuse(row, **signal):
        raise ValueError("no mail today")

    connect(refuse)
    connect(lambda row, **signal: told.append(row.task_id))

    ProgressBar("kelp").finalize()

    assert told == ["kelp"]
    assert "no mail today" in caplog.text


def test_without_receivers_nothing_is_queried_or_started(django_assert_num_queries):
    ended()

    with django_assert_num_queries(0):
        announce(KELP, in_background=False)
        announce(KELP, in_background=True)

    assert announcer.thread is None


def test_row_is_read_in_what_it_was_written_in(told, connect):
    entered = []

    @contextmanager
    def bay():
        entered.append(True)
        yield
        entered.pop()

    ended()
    connect(lambda row, **signal: told.append(list(entered)))

    announce(End("kelp", bay), in_background=False)

    assert told == [("kelp", "succeeded"), [True]]


def test_row_that_can_not_be_read_is_logged(told, caplog, refusing_database):
    ended()

    with refusing_database():
        announce(KELP, in_background=False)

    assert told == []
    assert "The end of task kelp could not be announced" in caplog.text


def test_router_that_raises_is_logged(told, caplog, settings):
    settings.DATABASE_ROUTERS = [f"{__name__}.Refusing"]

    announce(KELP, in_background=False)

    assert "could not be announced" in caplog.text


# In the thread.


def test_receivers_run_on_a_thread_that_ends_with_its_work(connect):
    ended()
    seen = []
    connect(lambda row, **signal: seen.append((row.state, threading.current_thread())))

    announce(KELP, in_background=True)
    announce(KELP, in_background=True)
    announcer.drain()

    assert [state for state, _ in seen] == [State.SUCCEEDED] * 2
    assert seen[0][1].name == "progress_widget receivers"
    seen[0][1].join(10)
    assert not seen[0][1].is_alive()


def test_connections_of_the_thread_are_its_own_and_closed_with_it(connect):
    ended()
    used = []
    connect(lambda row, **signal: used.append(connections["default"]))

    announce(KELP, in_background=True)
    thread = announcer.thread
    announcer.drain()
    if thread is not None:
        thread.join(10)

    assert used[0].settings_dict is not connections.settings["default"]  # it has no pool
    assert used[0].connection is None


@pytest.fixture
def held(connect) -> Iterator[threading.Event]:
    """Let a receiver work until the event is set."""
    has_begun, may_end = threading.Event(), threading.Event()

    def work(**signal: Any) -> None:
        has_begun.set()
        may_end.wait(10)

    ended()
    connect(work)
    announce(KELP, in_background=True)
    assert has_begun.wait(10)
    yield may_end
    may_end.set()


def test_slow_receiver_does_not_hold_up_who_announces(held):
    announce(KELP, in_background=True)

    assert len(announcer.ends) == 1


def test_process_that_ends_waits_for_its_receivers_but_not_for_ever(held, monkeypatch):
    monkeypatch.setattr(module, "DRAIN", 0.01)

    announcer.drain()

    assert not held.is_set()
    assert announcer.thread is not None


def test_forked_child_has_nothing_to_announce_of_its_parent(held):
    def is_fresh() -> bool:
        return announcer.thread is None and not announcer.ends

    announce(KELP, in_background=True)

    assert holds_in_a_forked_child(is_fresh)


def test_nobody_waits_with_a_fork_for_a_receiver(monkeypatch, request):
    monkeypatch.setattr(module, "may_linger", lambda: True)
    held = request.getfixturevalue("held")

    assert holds_in_a_forked_child(lambda: not held.is_set())


def test_nobody_forks_during_a_query(connect, monkeypatch):
    ended()
    is_over, has_begun = threading.Event(), threading.Event()
    connect(lambda **signal: None)

    def read(*ids):
        has_begun.set()
        is_over.wait(10)
        raise OperationalError

    monkeypatch.setattr(TaskProgressManager, "for_tasks", read)
    monkeypatch.setattr(module, "PAUSES", ())
    announce(KELP, in_background=True)
    assert has_begun.wait(10)
    threading.Timer(0.2, is_over.set).start()

    assert holds_in_a_forked_child(is_over.is_set)


def test_nobody_forks_during_a_query_of_a_receiver(connect):
    ended()
    is_over, has_begun = threading.Event(), threading.Event()

    def slow(execute: Any, *query: Any) -> Any:
        has_begun.set()
        is_over.wait(10)
        return execute(*query)

    def look(**signal: Any) -> None:
        with connections["default"].execute_wrapper(slow):
            rows.count()

    connect(look)
    announce(KELP, in_background=True)
    assert has_begun.wait(10)
    threading.Timer(0.2, is_over.set).start()

    assert holds_in_a_forked_child(is_over.is_set)


def test_nobody_forks_while_a_connection_to_sqlite_is_open(monkeypatch, request):
    monkeypatch.setattr(module, "may_linger", lambda: False)
    with connected() as found:
        held = request.getfixturevalue("held")
        threading.Timer(0.2, held.set).start()

        assert holds_in_a_forked_child(lambda: are_closed(found))


def test_fork_waits_for_a_query_only_so_long(connect, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with_lock, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with announcer.quiet:
            with_lock.set()
            may_end.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert with_lock.wait(10)

    assert holds_in_a_forked_child(lambda: not may_end.is_set())

    may_end.set()
    thread.join()


@pytest.fixture
def outage(monkeypatch) -> list[Exception]:
    """Return what the next attempts to read a row raise, in a list."""
    errors: list[Exception] = []
    for_tasks = TaskProgressManager.for_tasks

    def read(self, ids):
        if errors:
            raise errors.pop()
        return for_tasks(self, ids)

    monkeypatch.setattr(TaskProgressManager, "for_tasks", read)
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    return errors


def test_row_is_read_again_after_a_lost_connection(told, outage):
    ended()
    outage += [OperationalError(), OperationalError()]

    announce(KELP, in_background=True)
    announcer.drain()

    assert told == [("kelp", "succeeded")]


def test_end_whose_row_can_not_be_read_is_given_up_and_the_next_is_told(told, outage, caplog):
    ended()
    outage += [OperationalError()] * 3

    announce(KELP, in_background=True)
    announce(KELP, in_background=True)
    announcer.drain()

    assert told == [("kelp", "succeeded")]
    assert "could not be announced" in caplog.text
