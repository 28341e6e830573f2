from __future__ import annotations

import pytest

from progress_widget.reading import logs
from progress_widget.reading.logs import log_once


@pytest.fixture
def at(monkeypatch):
    """Set the clock, in seconds."""
    return lambda seconds: monkeypatch.setattr(logs, "monotonic", lambda: seconds)


def test_fault_that_goes_on_is_logged_once(at, caplog):
    for seconds in range(0, 600, 50):
        at(float(seconds))
        log_once("The kelp is wet")

    assert caplog.messages == ["The kelp is wet"]


def test_fault_that_comes_back_is_logged_again(at, caplog):
    for seconds in (0.0, 50.0, 111.0):
        at(seconds)
        log_once("The kelp is wet")

    assert caplog.messages == ["The kelp is wet"] * 2


def test_each_fault_is_logged(at, caplog):
    at(0.0)
    for kind in ("kelp", "dulse"):
        log_once("The %s is wet", kind)
    for error in (ValueError("dry"), KeyError("dry"), KeyError("wet")):
        log_once("The %s is wet", "kelp", error=error)

    logged = [(one.getMessage(), one.exc_info and one.exc_info[0]) for one in caplog.records]
    assert logged == [
        ("The kelp is wet", None),
        ("The dulse is wet", None),
        ("The kelp is wet", ValueError),
        ("The kelp is wet", KeyError),
    ]
