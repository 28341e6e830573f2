"""What reporting costs a task, compared with other packages, and what polls and pages cost.

``python -m benchmarks`` prints it and writes it to docs/benchmarks.md.

What reporting costs is measured by one task in one process of a real worker, on a database created
for it; the rest by ``benchmarks.polls``, ``hundred`` and ``viewers``. DATABASE_URL and
RABBITMQ_URL (else SQLite) and REDIS_URL (else files) name servers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.db import connection

from benchmarks import reporting, short
from benchmarks.common import as_ratio, throw_away_database, verdict, versions
from benchmarks.counting import can_count, difference, statistics
from benchmarks.workers import worker

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
OTHERS = ("tqdm", "celery-progress", "django-celery-progressbar")
OLD = "django-celery-progressbar, update()"
ORDINARY = 100

Times = dict[str, float]

METHOD = """\
Each line is the fastest of {repetitions} repetitions of a loop ({fast:,} turns where a turn only
stores something, {slow} where it writes), less the bare loop. The contestants alternate, in one
task of one process of a real worker (prefork, concurrency 1), so that they run under the same
conditions; the machine has other work to do, so compare the ratios, not the nanoseconds. tqdm
writes to the null device. celery-progress stores its state in {results}, django-celery-progressbar
in the same database as the bars here; it gets values that pass its range check, and a stand-in for
`pkg_resources`, which newer Pythons lack, while it is imported.

In the background, a call only stores what is reported; the thread writes it, at most twice a second
for each bar, which costs a process about as much as two inline `update()` a second. The thread runs
while all contestants are measured, including tqdm.
"""


def main() -> None:
    of_polls = [section_of(name) for name in ("polls", "hundred", "viewers")]
    with tempfile.TemporaryDirectory(prefix="") as folder:
        os.environ["PROGRESS_BENCH_FOLDER"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        django.setup()
        with throw_away_database():
            with worker(Path(folder)) as ask:
                times = ask("measure")
                counted = queries_of_ordinary_tasks(ask)
                of_short = short.section(Path(folder), results_in())
            of_many = reporting.section(Path(folder))
            text = report(times, counted, of_short, of_many, of_polls)
    print(text)
    PAGE.write_text(text, encoding="utf-8")


def section_of(name: str) -> str:
    """Measure what one module does, in a process with its own settings."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--section"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def queries_of_ordinary_tasks(ask: Callable[..., Any]) -> str:
    """Return what PostgreSQL counts for tasks without a bar, and for one with a bar."""
    if not can_count():
        return "Not counted: that requires PostgreSQL's statistics."
    arguments = [(number % 2 == 0,) for number in range(ORDINARY)]
    with statistics() as count:
        # The server's own vacuum may interfere; what the tasks do would be counted each time.
        added = min(difference(count, lambda: ask("ordinary", *arguments)) for _ in range(3))
        of_bar = difference(count, lambda: ask("with_bar"))
    if not all(of_bar):
        raise RuntimeError("The statistics do not even show a task with a bar")
    return (
        f"{ORDINARY} tasks without a bar, half of which fail, add transactions: {added[1]} (each "
        f"query would be in one), connections: {added[0]}, by PostgreSQL's own statistics.\n"
        f"For comparison, one task with a bar: transactions: {of_bar[1]}, connections: {of_bar[0]}."
    )


def results_in() -> str:
    """Return where the worker stores results, in a word."""
    from benchmarks.app import app

    return "Redis" if app.conf.result_backend.startswith("redis") else "files"


def report(times: Times, counted: str, of_short: str, of_many: str, of_polls: list[str]) -> str:
    """Return the page."""
    from benchmarks import tasks

    turns = [name for name in times if "a turn" in name]
    calls = [name for name in times if "()" in name and name not in turns]
    parts = [
        "# What reporting and polling cost",
        "Made by `make bench`; do not edit.",
        versions("Django", "celery", *OTHERS),
        "## One turn of a loop",
        table(turns, times, {"tqdm's": "tqdm, a turn"}),
        "## One call",
        table(calls, times, {"tqdm's": "tqdm, update()", "django-celery-progressbar's": OLD}),
        *targets(times),
        "## Tasks without a bar",
        counted,
        of_short,
        "## How reporting is measured",
        METHOD.format(
            results=results_in(), repetitions=tasks.REPETITIONS, fast=tasks.FAST, slow=tasks.SLOW
        ),
        of_many,
        *of_polls,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(names: list[str], times: Times, bases: dict[str, str]) -> str:
    """Return a table that compares these, the cheapest first, with each of the bases."""
    heads = ["", "nanoseconds", *(f"of {whose}" for whose in bases)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    for name in sorted(names, key=times.__getitem__):
        ratios = [as_ratio(times[name] / times[base]) for base in bases.values()]
        lines.append("| " + " | ".join([name, f"{times[name]:,.0f}", *ratios]) + " |")
    return "\n".join(lines)


def targets(times: Times) -> list[str]:
    """Return whether this run has met the targets, in words."""
    if "update(), background" not in times:
        return [f"On {connection.display_name} bars never write in the background, so no targets."]
    turn = times["track(), a turn, background"] / times["tqdm, a turn"]
    update = times["update(), background"] / times[OLD]
    return [
        f"- Target: a turn of `track()` costs no more than tqdm's: {as_ratio(turn)}, "
        f"{verdict(turn <= 1)}.\n"
        "- Target: `update()` costs at most 1/300 of django-celery-progressbar's: "
        f"{as_ratio(update)}, {verdict(update <= 1 / 300)}."
    ]


if __name__ == "__main__":
    main()
