from __future__ import annotations

import threading

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.exceptions import SynchronousOnlyOperation
from django.db import OperationalError

from progress_widget.bars import ProgressBar
from progress_widget.models import State, TaskProgress
from progress_widget.writing import flushing
from progress_widget.writing.background import writer
from progress_widget.writing.flushing import Outlet
from progress_widget.writing.reports import Outcome, Report
from progress_widget.writing.saving import save

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(flushing, "monotonic", clock)
    return clock


@pytest.fixture
def outlet(clock, settings) -> Outlet:
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 2
    outlet = Outlet(Report(task_id="kelp", starts=True), run=None)
    outlet.flush()
    return outlet


@pytest.mark.parametrize(("seconds", "progress"), [(0, 0), (1.9, 0), (2, 1), (60, 1)])
def test_loop_writes_at_most_once_an_interval(outlet, clock, seconds, progress):
    clock.now += seconds
    outlet.report.add(1)

    outlet.write_when_due()

    assert rows.get().progress == progress


def test_interval_begins_anew_with_each_write(outlet, clock):
    clock.now += 1.5
    outlet.report.add(1)
    outlet.write()
    clock.now += 1
    outlet.report.add(1)

    outlet.write_when_due()

    assert rows.get().progress == 1


def test_write_does_not_wait_for_the_interval(outlet):
    outlet.report.add(1)

    outlet.write()

    assert rows.get().progress == 1


def test_interval_that_is_written_without_news_makes_no_query(
    outlet, clock, django_assert_num_queries
):
    clock.now += 5

    with django_assert_num_queries(0):
        outlet.write_when_due()


def test_report_hangs_on_its_run_once_it_has_something_to_say():
    class Run:
        pass

    outlet = Outlet(Report(task_id="kelp"), Run())
    before = vars(outlet.run).get("progress_reports")

    outlet.write()
    outlet.write()

    assert before is None
    assert outlet.run.progress_reports == [outlet.report]


# An end that could not be written.


@pytest.fixture
def refused(monkeypatch):
    """Refuse each write but those of the thread."""
    here = threading.current_thread()

    def save_or_refuse(report, **options):
        if threading.current_thread() is here:
            raise OperationalError("database is locked")
        return save(report, **options)

    monkeypatch.setattr(flushing, "save", save_or_refuse)
    yield
    writer.drain()
    assert writer.thread is None


@pytest.mark.django_db(transaction=True)
def test_end_that_could_not_be_written_is_left_to_the_thread(refused):
    row = rows.create(task_id="kelp", attempt=0)
    report = Report.found(row, in_background=False)
    report.end(Outcome(State.FAILED))

    Outlet(report, run=None).flush()
    writer.drain()

    assert rows.get().state == State.FAILED


def test_nothing_is_left_to_the_thread_in_a_transaction(refused):
    report = Report.found(rows.create(task_id="kelp"), in_background=False)
    report.end(Outcome(State.FAILED))

    Outlet(report, run=None).flush()

    assert not report.in_background


@pytest.mark.parametrize("error", [ValueError, SynchronousOnlyOperation, OperationalError])
def test_no_error_reaches_the_task(monkeypatch, error, caplog):
    def fail(*args, **kwargs):
        raise error("no")

    monkeypatch.setattr("progress_widget.writing.saving.router.db_for_write", fail)

    bar = ProgressBar("kelp", total=10)
    bar.update(progress=5)
    bar.finalize()

    assert len(caplog.records) == 1


def test_bar_that_cannot_be_looked_for_is_a_handle_on_whichever_there_is(monkeypatch):
    rows.create(task_id="kelp", total=10)
    with monkeypatch.context() as patched:
        patched.setattr("progress_widget.rows.TaskProgressManager.for_tasks", None)
        bar = ProgressBar.get("kelp")

    bar.advance(3)

    assert rows.get().progress == 3


@pytest.mark.parametrize(
    ("function", "report"),
    [
        ("save", lambda bar: bar.update(progress=2)),
        ("save", lambda bar: bar.finalize()),
        ("look", lambda bar: bar.is_cancelled),
    ],
)
def test_soft_time_limit_that_falls_into_a_write_reaches_the_task(monkeypatch, function, report):
    bar = ProgressBar("kelp", total=10)
    write = getattr(flushing, function)

    def interrupt(*args):
        monkeypatch.setattr(flushing, function, write)
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(flushing, function, interrupt)
    with pytest.raises(SoftTimeLimitExceeded):
        report(bar)
    bar.update(progress=7)

    assert rows.get().progress >= 7


def test_soft_time_limit_that_falls_into_a_read_reaches_the_task(monkeypatch):
    bar = ProgressBar("kelp", dynamic=True)

    def interrupt(self, task_ids):
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(type(rows), "for_tasks", interrupt)

    with pytest.raises(SoftTimeLimitExceeded):
        bar.progress  # noqa: B018  # it queries
