"""What becomes of a task, in this process; real workers have their own tests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from celery import signals, states
from celery.app.task import Context
from celery.exceptions import (
    Reject,
    Retry,
    SoftTimeLimitExceeded,
    TimeLimitExceeded,
    WorkerLostError,
)
from django.db import transaction

from progress_widget import queues
from progress_widget.bars import ProgressBar
from progress_widget.exceptions import Cancelled
from progress_widget.lifecycle import celery
from progress_widget.models import State, TaskProgress
from progress_widget.queues.celery import HEADER
from progress_widget.texts import EXPIRED, LOST, REVOKED, TIMED_OUT, UNREGISTERED
from progress_widget.writing import flushing
from progress_widget.writing.background import writer
from progress_widget.writing.reports import Report
from tests.celery import app

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


@pytest.fixture(autouse=True)
def throttled(settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 3600


@pytest.fixture
def run():
    """Run a function as a task, eagerly; its first argument is the task."""
    made = []

    def run(function, task_id="kelp", apply=None, **options):
        name = f"tests.{function.__name__}"
        task = app.task(function, bind=True, name=name, shared=False, **options)
        made.append(name)
        return task.apply(task_id=task_id, **(apply or {}))

    yield run
    for name in made:
        app.tasks.pop(name, None)


def test_task_that_returns_succeeds(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).update(progress=5)

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.step) == (State.SUCCEEDED, 10, "Complete")
    assert row.attempt == 1


def test_task_that_raises_fails_without_the_text_of_its_exception(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).update(progress=5, step="Drying")
        raise ValueError("password=hunter2")

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.step, row.message) == (State.FAILED, 5, "Drying", "")


def test_end_of_the_task_tells_what_was_still_unwritten(run):
    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        bar.advance(4)
        raise ValueError

    run(dry)

    assert rows.get().progress == 4


def test_end_of_the_task_tells_what_each_of_its_handles_said(run):
    def dry(self):
        ProgressBar(self.request.id, total=None)
        other = ProgressBar.get(self.request.id)
        other.advance(1)
        other.advance(3)

    run(dry)

    assert (rows.get().state, rows.get().progress) == (State.SUCCEEDED, 4)


def test_exception_after_finalize_is_a_failure(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).finalize()
        raise ValueError

    run(dry)

    row = rows.get()
    assert (row.state, row.step) == (State.FAILED, "")


def test_finalized_task_that_returns_stays_succeeded(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).finalize()

    run(dry)

    assert rows.get().state == State.SUCCEEDED


@pytest.mark.parametrize("error", [None, ValueError("hunter2")])
def test_what_the_author_said_of_a_failure_stays(run, error):
    def dry(self):
        ProgressBar(self.request.id, total=10).fail("Too wet.")
        if error:
            raise error

    run(dry)

    assert (rows.get().state, rows.get().message) == (State.FAILED, "Too wet.")


def test_failure_said_during_an_outage_is_not_replaced_by_the_return(
    run, refusing_database, caplog
):
    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        with refusing_database():
            bar.fail("Too wet.")

    run(dry)

    assert (rows.get().state, rows.get().message) == (State.FAILED, "Too wet.")


def test_second_run_starts_over_and_counts(run):
    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        bar.update(progress=7)
        seen.append((rows.get().attempt, rows.get().state))
        raise ValueError

    seen = []
    run(dry)
    run(dry)

    assert seen == [(1, State.RUNNING), (2, State.RUNNING)]
    assert (rows.get().attempt, rows.get().state) == (2, State.FAILED)


def test_second_bar_of_one_run_counts_no_attempt(run):
    def dry(self):
        ProgressBar(self.request.id, total=10)
        ProgressBar(self.request.id, total=20)

    run(dry)

    row = rows.get()
    assert (row.attempt, row.total, row.state) == (1, 20, State.SUCCEEDED)


def test_old_run_that_goes_on_overwrites_nothing_of_the_new_one(run):
    bars = []

    def dry(self):
        bars.append(ProgressBar(self.request.id, total=10))
        if len(bars) == 1:
            run(dry)
            bars[0].update(progress=3, step="Old")

    run(dry)

    row = rows.get()
    assert (row.attempt, row.state, row.step) == (2, State.SUCCEEDED, "Complete")


@pytest.mark.parametrize("within", [True, False])
def test_retry_ends_as_its_last_run_does(run, within):
    states = []

    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        if within:
            with bar:
                work(self)
        else:
            work(self)

    def work(task):
        states.append(rows.get().state)
        if task.request.retries < 2:
            raise task.retry(countdown=0)

    run(dry)

    assert states == [State.RUNNING] * 3
    assert (rows.get().attempt, rows.get().state) == (3, State.SUCCEEDED)


def test_retry_within_with_does_not_fail_the_bar(run, monkeypatch):
    monkeypatch.setattr("celery.canvas.Signature.apply", lambda *args, **options: Gone())

    def dry(self):
        with ProgressBar(self.request.id, total=10) as bar:
            bar.advance(4)
            raise self.retry(countdown=0)

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.finished_at) == (State.RETRYING, 4, None)


class Gone:
    """The result of a retry that another worker will run."""

    def get(self):
        return None


def test_too_many_retries_are_a_failure(run):
    def dry(self):
        with ProgressBar(self.request.id, total=10):
            raise self.retry(countdown=0)

    run(dry, max_retries=1)

    assert (rows.get().attempt, rows.get().state) == (2, State.FAILED)


def test_exception_within_with_fails_the_bar_of_the_task(run):
    def dry(self):
        with ProgressBar(self.request.id, total=10):
            raise ValueError("hunter2")

    run(dry)

    assert (rows.get().state, rows.get().message) == (State.FAILED, "")


def test_leaving_with_normally_finalizes_before_the_task_ends(run):
    def dry(self):
        with ProgressBar(self.request.id, total=10):
            pass
        states.append(rows.get().state)

    states = []
    run(dry)

    assert states == [State.SUCCEEDED]


def test_bar_of_another_id_is_flushed_but_goes_on(run):
    ProgressBar("shared", total=10)

    def dry(self):
        ProgressBar.get("shared").advance(4)

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.attempt) == (State.RUNNING, 4, 0)


def test_bar_of_another_id_fails_when_its_with_is_left_by_an_exception(run):
    def dry(self):
        with ProgressBar("other", total=10):
            raise ValueError

    run(dry)

    assert (rows.get().state, rows.get().attempt) == (State.FAILED, 0)


def test_task_without_a_bar_costs_no_query(run, django_assert_num_queries):
    def dry(self):
        return 5

    with django_assert_num_queries(0):
        result = run(dry)

    assert result.get() == 5


def test_task_called_as_a_function_writes_nothing(django_assert_num_queries):
    @app.task(bind=True, shared=False)
    def dry(self):
        with ProgressBar(self.request.id, total=10) as bar:
            bar.update(progress=5)
        return bar.as_percent

    with django_assert_num_queries(0):
        assert dry() == "100.0%"


def test_run_whose_transaction_is_rolled_back_ends_the_row_all_the_same(run):
    def dry(self):
        with transaction.atomic():
            ProgressBar(self.request.id, total=10).update(progress=5)
            if rows.get().attempt == 2:
                raise ValueError

    run(dry)
    run(dry)

    assert (rows.get().attempt, rows.get().state) == (2, State.FAILED)


# What the worker's main process reports, through the thread.


@pytest.fixture
def main_process(transactional_db, settings):
    """Act as a process with no current task; what it reports is written when this is called."""
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0.01
    yield writer.drain
    writer.drain()
    assert writer.thread is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("expired", "message"), [(False, REVOKED), (True, EXPIRED)])
def test_revoked_task_is_cancelled(main_process, expired, message):
    rows.create(task_id="kelp", attempt=1, progress=3, total=10)

    signals.task_revoked.send(
        sender=None, request=Context(id="kelp"), terminated=True, signum=15, expired=expired
    )
    main_process()

    row = rows.get()
    assert (row.state, row.message, row.progress) == (State.CANCELLED, message, 3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("exception", "message"),
    [
        (TimeLimitExceeded(3), TIMED_OUT),
        (SoftTimeLimitExceeded(), TIMED_OUT),
        (WorkerLostError("hunter2"), LOST),
        (Reject("hunter2", requeue=False), ""),
    ],
)
def test_task_that_can_no_longer_speak_fails(main_process, exception, message):
    rows.create(task_id="kelp", attempt=1)

    signals.task_failure.send(sender=None, task_id="kelp", exception=exception)
    signals.task_failure.send(sender=None, task_id="kelp", exception=exception)
    main_process()

    assert (rows.get().state, rows.get().message) == (State.FAILED, message)


@pytest.mark.django_db(transaction=True)
def test_task_that_no_worker_knows_fails(main_process):
    rows.create(task_id="kelp", state=State.WAITING)

    signals.task_unknown.send(sender=None, name="dry", id="kelp", message=None, exc=KeyError())
    main_process()

    assert (rows.get().state, rows.get().message) == (State.FAILED, UNREGISTERED)


@pytest.mark.django_db(transaction=True)
def test_main_process_makes_no_row(main_process):
    signals.task_failure.send(sender=None, task_id="kelp", exception=ValueError())
    main_process()

    assert not rows.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["revoked", "failure"])
def test_revoked_task_is_cancelled_whichever_signal_comes_first(main_process, first):
    rows.create(task_id="kelp", attempt=1)
    signals_ = {
        "revoked": lambda: signals.task_revoked.send(
            sender=None, request=Context(id="kelp"), terminated=True, signum=9, expired=False
        ),
        "failure": lambda: signals.task_failure.send(
            sender=None, task_id="kelp", exception=ValueError()
        ),
    }

    signals_.pop(first)()
    main_process()
    signals_.popitem()[1]()
    main_process()

    assert rows.get().state == State.CANCELLED


@pytest.mark.parametrize("turn", [1, 2])
def test_end_is_written_though_a_soft_time_limit_falls_into_what_celery_calls(
    run, monkeypatch, turn
):
    rows.create(task_id="kelp", state=State.WAITING)
    save, turns = flushing.save, []

    def interrupt(report):
        turns.append(report)
        if len(turns) == turn:
            raise SoftTimeLimitExceeded
        save(report)

    def nothing(self):
        """Make no bar."""

    monkeypatch.setattr(flushing, "save", interrupt)

    run(nothing, apply={"headers": {HEADER: True}})

    assert (rows.get().state, rows.get().attempt) == (State.SUCCEEDED, 1)


# What Celery says about the end of a run.


def postrun(run, state, retval=None, eager=True, **options):
    """Start a bar in a run, and let Celery say about its end what it only says in workers."""

    def dry(self):
        ProgressBar(self.request.id, total=10).update(progress=5)
        self.request.is_eager = eager
        signals.task_postrun.send(
            self, task_id=self.request.id, task=self, args=(), kwargs={}, retval=retval, state=state
        )
        seen.append(rows.get())
        rows.all().delete()  # so that what eager mode says about the end finds nothing

    seen = []
    run(dry, **options)
    return seen[0]


@pytest.mark.parametrize(
    ("state", "retval", "options", "expected"),
    [
        (states.IGNORED, None, {}, State.RUNNING),
        (states.RETRY, None, {}, State.RETRYING),
        (states.REJECTED, Reject(requeue=True), {}, State.RETRYING),
        (states.REJECTED, Reject(requeue=False), {"acks_late": True}, State.FAILED),
        (states.FAILURE, ValueError(), {"acks_late": True}, State.FAILED),
        ("MADE-UP", None, {"acks_late": True}, State.RETRYING),
        ("MADE-UP", None, {}, State.FAILED),
    ],
)
def test_row_follows_what_celery_says_of_the_end(run, settings, state, retval, options, expected):
    row = postrun(run, state, retval, eager=False, **options)

    assert (row.state, row.progress) == (expected, 5)


@pytest.mark.parametrize("options", [{}, {"acks_late": True}])
def test_eager_run_that_is_broken_off_fails(run, options):
    assert postrun(run, None, **options).state == State.FAILED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("options", "expected"), [({}, State.FAILED), ({"acks_late": True}, State.RETRYING)]
)
def test_run_that_is_broken_off_leaves_the_first_word_to_the_main_process(
    main_process, run, settings, options, expected
):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 1
    before = []

    def dry(self):
        ProgressBar(self.request.id, total=10)
        self.request.is_eager = False
        signals.task_postrun.send(
            self, task_id="kelp", task=self, args=(), kwargs={}, retval=None, state=None
        )
        before.append(rows.get().state)
        main_process()
        before.append(rows.get().state)

    run(dry, **options)

    assert before == [State.RUNNING, expected]


@pytest.mark.django_db(transaction=True)
def test_failure_within_the_tasks_own_process_is_left_to_its_end(main_process, run):
    def dry(self):
        ProgressBar(self.request.id, total=10)
        signals.task_failure.send(sender=self, task_id="kelp", exception=ValueError())
        main_process()
        seen.append(rows.get().state)

    seen = []
    run(dry)

    assert seen == [State.RUNNING]


# A run that made no bar, after one that did.


def dry_only_the_first_time(self):
    if self.request.retries == 0:
        ProgressBar(self.request.id, total=10).update(progress=5)
        raise self.retry(countdown=0, throw=True)


def test_retried_run_that_makes_no_bar_ends_that_of_the_run_before(run):
    run(dry_only_the_first_time)

    row = rows.get()
    assert (row.state, row.progress, row.attempt) == (State.SUCCEEDED, 10, 2)


def test_retried_run_that_fails_before_its_bar_fails_that_of_the_run_before(run):
    def dry(self):
        dry_only_the_first_time(self)
        raise ValueError

    run(dry)

    row = rows.get()
    assert (row.state, row.progress, row.attempt) == (State.FAILED, 5, 2)


def test_first_run_without_a_bar_asks_the_database_nothing(run, django_assert_num_queries):
    def ordinary(self):
        pass

    with django_assert_num_queries(0):
        run(ordinary)


@pytest.mark.parametrize(
    ("when", "seconds"),
    [(None, 0), (30, 30), (0.5, 0.5), (datetime(2000, 1, 1, tzinfo=timezone.utc), 0)],
)
def test_retry_says_how_long_it_is_put_off(when, seconds):
    assert celery.seconds_until(Retry(when=when)) == seconds


def test_retry_may_be_put_off_to_a_moment():
    when = datetime.now(timezone.utc) + timedelta(hours=1)

    assert 3500 < celery.seconds_until(Retry(when=when)) <= 3600


@pytest.mark.parametrize(
    ("acks_late", "acks", "state"),
    [
        (True, {"acks_on_failure_or_timeout": False}, State.RETRYING),
        (True, {"acks_on_failure_or_timeout": True}, State.FAILED),
        (False, {"acks_on_failure_or_timeout": False}, State.FAILED),
        (True, {"acks_on_timeout": False}, State.RETRYING),
        (True, {"acks_on_failure_or_timeout": False, "acks_on_timeout": True}, State.FAILED),
    ],
)
def test_time_limit_is_final_unless_the_task_is_delivered_again(
    main_process, acks_late, acks, state
):
    rows.create(task_id="kelp", attempt=1)

    def limited():
        pass

    task = app.task(
        limited,
        name="tests.limited",
        shared=False,
        acks_late=acks_late,
        **acks,
    )

    signals.task_failure.send(sender=task, task_id="kelp", exception=TimeLimitExceeded(1))
    main_process()

    assert rows.get().state == state
    app.tasks.pop("tests.limited")


@pytest.mark.parametrize(
    ("raised", "end"),
    [
        (ValueError("password=hunter2"), (State.FAILED, "")),
        (SoftTimeLimitExceeded(), (State.FAILED, TIMED_OUT)),
        (Cancelled(), (State.CANCELLED, REVOKED)),
        (Retry(when=60), (State.RETRYING, "")),
    ],
)
def test_end_is_known_though_celery_could_not_store_it(run, raised, end):
    def dry(self):
        ProgressBar(self.request.id, total=10).update(progress=5)
        self.request.is_eager = False
        try:
            raise raised
        except Exception:
            try:
                raise OSError("no result backend")  # as Celery does
            finally:
                signals.task_postrun.send(
                    self, task_id="kelp", task=self, args=(), kwargs={}, retval=None, state=None
                )
                seen.append(rows.get())
                rows.all().delete()  # so that what eager mode says about the end finds nothing

    seen: list[TaskProgress] = []
    run(dry, acks_late=True)

    assert (seen[0].state, seen[0].message) == end


@pytest.mark.parametrize(
    ("options", "is_in_pool", "state"),
    [
        ({"retry_on_worker_lost": True}, True, State.RETRYING),
        ({"retry_on_worker_lost": True, "max_retries": None}, True, State.RETRYING),
        ({"retry_on_worker_lost": True, "max_retries": 0}, True, State.FAILED),
        ({"retry_on_worker_lost": True}, False, State.FAILED),
        ({}, True, State.FAILED),
    ],
)
def test_task_that_takes_its_process_with_it_may_be_retried(
    run, monkeypatch, options, is_in_pool, state
):
    monkeypatch.setattr(celery, "current_process", lambda: SimpleNamespace(daemon=is_in_pool))
    outcomes = []

    def dry(self):
        outcomes.append(celery.outcome_of(self, None, None))

    run(dry, **options)

    assert outcomes[0].state == state


# Where a bar is opened.


def test_bar_that_a_called_task_opens_is_that_of_the_run(run):
    @app.task(name="tests.helper", shared=False)
    def helper(task_id):
        ProgressBar(task_id, total=4).update(progress=4)

    def dry(self):
        helper(self.request.id)
        seen.append((rows.get().attempt, rows.get().is_finished))
        raise ValueError

    seen = []
    run(dry)

    assert seen == [(1, False)]
    assert rows.get().state == State.FAILED


def test_run_is_forgotten_when_it_is_over(run):
    def dry(self):
        seen.append(queues.current_run("kelp") is self.request)

    seen = []
    run(dry)

    assert seen == [True]
    assert queues.current_run("kelp") is None


def test_eager_task_leaves_the_run_that_called_it(run):
    def inner(self):
        pass

    def outer(self):
        run(inner, task_id="inner")
        seen.append(queues.current_run("other").id)

    seen = []
    run(outer)

    assert seen == ["kelp"]


LAUNCHED = {"headers": {HEADER: True}}


def test_row_is_running_before_the_first_line_of_its_task(run):
    rows.create(task_id="kelp", state=State.WAITING)
    states = []

    def dry(self):
        states.append(rows.get().state)

    run(dry, apply=LAUNCHED)

    assert states == [State.RUNNING]
    assert (rows.get().state, rows.get().attempt) == (State.SUCCEEDED, 1)


def test_task_that_leaves_its_end_open_leaves_it_to_the_next_run(monkeypatch):
    rows.create(task_id="kelp", state=State.WAITING)
    request = Context(id="kelp", is_eager=False, headers={HEADER: True})
    beginning = Report(task_id="kelp", begins=True, is_first_run=True, is_new_attempt=True)
    monkeypatch.setattr(celery, "begin_run", lambda run, is_first: beginning)
    task = SimpleNamespace(request=request)
    celery.on_prerun(task)

    celery.on_postrun(task, "kelp", None, states.IGNORED)

    assert (beginning.is_pending, rows.get().state) == (False, State.WAITING)


def test_task_without_the_header_costs_no_query(run, django_assert_num_queries):
    def dry(self):
        pass

    with django_assert_num_queries(0):
        run(dry)


# A task that stops when it is asked to.


def test_task_that_stops_when_it_is_asked_to_is_cancelled(run):
    def dry(self):
        bar = ProgressBar(self.request.id, total=10)
        bar.update(progress=4)
        rows.ask_to_stop("kelp")
        assert bar.is_cancelled
        raise Cancelled

    run(dry, throws=(Cancelled,))

    row = rows.get()
    assert (row.state, row.message, row.progress) == (State.CANCELLED, REVOKED, 4)


def test_cancelled_task_that_tidies_up_is_cancelled(run, settings):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0

    def dry(self):
        with ProgressBar(self.request.id, total=10) as bar:
            try:
                for _ in bar.track(range(10), stop=True):
                    rows.ask_to_stop("kelp")
            except Cancelled:
                bar.update(step="Tidying up")
                raise

    run(dry)

    assert (rows.get().state, rows.get().step) == (State.CANCELLED, "Tidying up")


def test_cancelled_task_that_had_said_that_it_is_done_is_cancelled(run):
    def dry(self):
        ProgressBar(self.request.id, total=10).finalize()
        raise Cancelled

    run(dry)

    assert rows.get().state == State.CANCELLED


def test_cancelled_task_that_is_delivered_late_by_another_signal_stays_cancelled(run):
    def dry(self):
        ProgressBar(self.request.id, total=10)
        raise Cancelled

    run(dry)
    rows.end("kelp", None, State.FAILED, overrule=True)

    assert rows.get().state == State.CANCELLED


def test_task_that_returns_in_spite_of_the_wish_has_succeeded(run):
    def dry(self):
        ProgressBar(self.request.id, total=10)
        rows.ask_to_stop("kelp")

    run(dry)

    assert rows.get().state == State.SUCCEEDED
