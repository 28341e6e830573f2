"""How progress_doctor takes its steps: each within its time, and none that makes no sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from threading import Thread
from typing import NamedTuple, TypeVar

from django.db import connections

from progress_widget.doctor.steps import Examination, Problem, reason

T = TypeVar("T")

OK, PROBLEM, SKIPPED = "ok", "PROBLEM", "skipped"

EXTRA = 10.0
"""Seconds that a step may take beyond the time-out, before it is given up as hanging."""


class Finding(NamedTuple):
    verdict: str
    step: str
    text: str


def examine(queue: str, timeout: float) -> Iterator[Finding]:
    """Take each step in turn, unless one that it needs was not ok.

    Args:
        queue: Where to send the task; "" leaves it to the project's routes.
        timeout: Seconds to wait for the task.
    """
    examination = Examination(queue, timeout)
    steps: list[tuple[Callable[[], str], set[str]]] = [
        (examination.settings, set()),
        (examination.database, set()),
        (examination.broker, set()),
        (examination.publish, {"database", "broker"}),
        (examination.worker, {"publish"}),
        (examination.clocks, {"worker"}),
        (examination.page, {"database"}),
    ]
    not_ok: set[str] = set()
    try:
        for step, needs in steps:
            finding = _finding(step, needs & not_ok, timeout + EXTRA)
            if finding.verdict != OK:
                not_ok.add(finding.step)
            yield finding
    finally:
        if "database" not in not_ok:
            within(timeout + EXTRA, examination.delete_row)


def _finding(step: Callable[[], str], missing: set[str], seconds: float) -> Finding:
    name = step.__name__
    if missing:
        return Finding(SKIPPED, name, f"This needs {' and '.join(sorted(missing))}.")
    try:
        return Finding(OK, name, within(seconds, step))
    except Problem as problem:
        return Finding(PROBLEM, name, str(problem))
    except Exception as error:  # what the steps do not foresee is shown as it is
        return Finding(PROBLEM, name, f"{type(error).__name__}: {reason(error)}")


def within(seconds: float, function: Callable[[], T]) -> T:
    """Return what a function does, or give it up: clients of brokers and databases may hang."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)
        finally:
            connections.close_all()

    Thread(target=run, daemon=True).start()
    wait([future], seconds)
    if not future.done():
        raise Problem(
            f"Nothing has come back for {seconds:g} s. Look whether the server is well, and "
            "whether a firewall lies in between."
        )
    return future.result()
