from __future__ import annotations

import pytest

from progress_widget.models import TaskProgress
from progress_widget.writing import flushing
from progress_widget.writing.flushing import Outlet
from progress_widget.writing.reports import Report

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
