from __future__ import annotations

import pytest

from progress_widget.exceptions import OutOfRange
from progress_widget.models import MAX_NUMBER, State
from progress_widget.writing.reports import Outcome, Report
from progress_widget.writing.values import Assigned


def changes_of(report: Report) -> dict[str, object]:
    return report.snapshot().changes_since(report.written)


@pytest.fixture
def report() -> Report:
    return Report(task_id="kelp", attempt=1, reached=(3, 0), total=Assigned(10))


def test_new_report_has_nothing_to_write(report):
    assert changes_of(report) == {}
    assert not report.is_pending


def test_same_value_assigned_again_is_a_change(report):
    report.reach(3)
    report.assign(report.snapshot(), total=Assigned(10), step=Assigned(""))

    assert changes_of(report) == {"progress": 3, "total": 10, "step": ""}


def test_what_is_added_is_a_change_of_its_own(report):
    report.add(2)
    report.add(1)

    assert changes_of(report) == {"added": 3}


def test_what_is_added_after_a_progress_goes_into_it(report):
    report.add(2)
    report.reach(5)
    report.add(1)

    assert changes_of(report) == {"progress": 6}


def test_what_is_added_over_the_total_stays_at_the_total(report):
    report.reach(9)
    report.add(5)

    assert report.snapshot().progress == 10


@pytest.mark.parametrize(("progress", "taken"), [(0, True), (10, True), (11, False), (-1, False)])
def test_progress_within_the_total_is_taken(report, progress, taken):
    assert report.reach(progress) is taken
    assert report.snapshot().progress == (progress if taken else 3)


def test_unknown_total_takes_what_can_be_stored():
    report = Report(task_id="kelp")

    assert report.reach(MAX_NUMBER)
    assert not report.reach(MAX_NUMBER + 1)


def test_nothing_is_taken_of_values_that_do_not_agree(report):
    with pytest.raises(OutOfRange, match="set a larger total first"):
        report.assign(report.snapshot(), total=Assigned(2), step=Assigned("Drying"))

    assert changes_of(report) == {}


def test_lower_total_takes_back_what_was_added_beyond_it(report):
    report.add(20)

    report.assign(report.snapshot(), total=Assigned(12))

    assert report.snapshot().progress == 10


def test_total_is_taken_before_a_progress_that_needs_it():
    seen = []

    class Watched(Report):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            seen.append(name)

    report = Watched(task_id="kelp", total=Assigned(10))
    seen.clear()

    report.assign(report.snapshot(), progress=50, total=Assigned(50))

    assert seen == ["total", "reached"]


def test_failure_that_was_reported_stays(report):
    report.end(Outcome(State.FAILED, "No kelp."))

    report.end(Outcome(State.FAILED, overrule=True))

    assert report.outcome == Outcome(State.FAILED, "No kelp.")


@pytest.mark.parametrize(("overrule", "expected"), [(True, True), (False, False)])
def test_only_the_queue_ends_what_has_ended(report, overrule, expected):
    report.is_fenced = True

    report.end(Outcome(State.FAILED, overrule=overrule))

    assert report.is_pending is expected


def test_outcome_that_came_meanwhile_is_kept(report):
    written, later = Outcome(State.SUCCEEDED), Outcome(State.FAILED, overrule=True)
    report.end(written)
    report.end(later)

    report.forget(written)

    assert report.outcome is later


def test_nothing_is_pending_after_giving_up_a_start():
    report = Report(task_id="kelp", starts=True)
    report.add(1)
    report.end(Outcome(State.FAILED))

    report.give_up()

    assert not report.is_pending


def test_outcome_is_not_given_up_for_the_changes_before_it(report):
    report.add(1)
    report.end(Outcome(State.FAILED))

    report.give_up()

    assert changes_of(report) == {}
    assert report.outcome == Outcome(State.FAILED)
    report.give_up()
    assert report.outcome is None
