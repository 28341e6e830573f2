"""What a run prints at its end, gathered from the tests of all its processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ABOUT_FATES = """\
# Fates

Written by `make fates`: what the partial view answered in the end, for each fate that a task met
on a real worker, and the seconds since the page was opened. The pool is prefork unless another is
named. Where STALLED_AFTER matters, the test had set it to 2 or 3 seconds. `worker_lost_wait` is 2
seconds; with Celery's default of 10, the loss of a pool process was seen after 3 seconds on
RabbitMQ and after 11 without a server. Tasks that never started (revoked before start, expired,
unregistered) had a row created beforehand; without one, the page says that nothing has been
reported yet, unless a result backend knows better. The page for the exception after `finalize()`
was opened after both: one that polls in between sees the success and stops polling. What needs
which server:

- RabbitMQ: redelivery after the loss of the whole worker. The SQLite broker removes a message when
  it is received; Redis redelivers only after minutes.
- PostgreSQL or MariaDB: what the background writer promises (see design.md).
- None: the rest.
"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # With pytest-xdist, the tests run in other processes; only their reports arrive here, with the
    # properties that the tests have recorded.
    reports = [
        report
        for group in terminalreporter.stats.values()
        for report in group
        if isinstance(report, pytest.TestReport)
    ]
    tell_fates(terminalreporter, reports)
    tell_sums(terminalreporter, reports)
    tell_chaos(terminalreporter, reports)


def recorded(reports: list[pytest.TestReport], name: str) -> Iterator[Any]:
    """Yield each value that a test has recorded under this name."""
    for report in reports:
        if report.when == "teardown":  # the last report has all that was recorded before
            yield from (value for key, value in report.user_properties if key == name)


def tell_fates(terminal: pytest.TerminalReporter, reports: list[pytest.TestReport]) -> None:
    """Print what a page showed at the end of each fate, and write it to a file if asked to."""
    rows = [
        f"| {fate} | {state} | {seconds:.1f} s |"
        for fate, state, seconds in sorted(recorded(reports, "fate"))
    ]
    if not rows:
        return
    table = ["| fate | the page says | after |", "|---|---|---|", *rows]
    terminal.section("what a page shows of each fate")
    terminal.write_line("\n".join(table))
    if path := os.environ.get("PROGRESS_FATES_FILE"):
        Path(path).write_text("\n".join((ABOUT_FATES, *table, "")))


def tell_sums(terminal: pytest.TerminalReporter, reports: list[pytest.TestReport]) -> None:
    """Print what the browser complained about, for each version of htmx."""
    sums: dict[str, Counter[str]] = {}
    for htmx, found in recorded(reports, "sums"):
        sums.setdefault(htmx, Counter()).update(found)
    for report in reports:
        if "test_hostile.py" in report.nodeid and report.when == "call" and not report.skipped:
            of_version = sums[dict(report.user_properties)["htmx"]]
            of_version.update({"hostile pages": 1, "passed": int(report.passed)})
    for htmx, found in sorted(sums.items()):
        terminal.write_line(
            f"htmx {htmx}: CSP violations {found['violations']}, axe violations {found['axe']}, "
            f"console errors {found['errors']}, "
            f"hostile pages passed {found['passed']} of {found['hostile pages']}"
        )


def tell_chaos(terminal: pytest.TerminalReporter, reports: list[pytest.TestReport]) -> None:
    """Print what the chaos has been, and how many lies it has found."""
    for figures in recorded(reports, "chaos"):
        numbers = (f"{name} {round(number, 1):g}" for name, number in figures.items())
        terminal.write_line(f"chaos: {', '.join(numbers)}")
