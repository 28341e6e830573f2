from __future__ import annotations

from progress_widget.bars import ProgressBar
from progress_widget.exceptions import DoesNotExist, OutOfRange, ProgressError


def test_all_exceptions_are_of_one_family():
    assert issubclass(DoesNotExist, ProgressError)
    assert issubclass(OutOfRange, ProgressError)


def test_exceptions_are_found_on_the_bar_as_in_the_old_package():
    assert ProgressBar.exceptions.DoesNotExist is DoesNotExist
    assert ProgressBar.exceptions.OutOfRange is OutOfRange


def test_missing_row_names_its_task_and_the_way_out():
    error = DoesNotExist("kelp")

    assert error.task_id == "kelp"
    assert "'kelp'" in str(error)
    assert "ProgressBar(task_id, total)" in str(error)
