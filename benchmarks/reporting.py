"""What many bars of one process write: ``python -m benchmarks.reporting`` prints it.

DATABASE_URL names a PostgreSQL database; on others, nothing is measured. RABBITMQ_URL and REDIS_URL
(else files) name further servers.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import django

from benchmarks.common import throw_away_database
from benchmarks.counting import can_count, updates_added
from benchmarks.workers import worker

BARS, SECONDS = 200, 10.0
PAUSES = {"at full speed": 0.0, "with 1 ms between two rounds": 0.001}

METHOD = """\
One task of a real worker (prefork, concurrency 1) has {bars} bars, and advances one after the
other for {seconds:g} s: without a pause, so that the thread that writes competes with the task for
Python's lock, and with a pause after each round, as a task has that waits for a network. The
thread rests for half a second, then writes the bars that have changed, each in a transaction of
its own; if writing took no time, that would be {most} UPDATEs a second. They are counted on the
thread's connection; which of them are heap-only, which spares the indexes, PostgreSQL's statistics
tell after the worker's end.
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="") as folder:
        os.environ["PROGRESS_BENCH_FOLDER"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        django.setup()
        with throw_away_database():
            print(section(Path(folder)))


def section(folder: Path) -> str:
    """Measure, and return the section of the page."""
    title = f"## {BARS} bars that report at once"
    if not can_count():
        return f"{title}\n\nNot measured: that requires PostgreSQL's statistics."
    lines = ["| | reports a second | UPDATEs a second | heap-only | the thread's work |"]
    lines.append("|---|--:|--:|--:|--:|")
    for name, pause in PAUSES.items():
        told, hot = reported(folder, pause)
        lines.append(
            f"| {name} | {told['reports']:,.0f} | {told['updates']:,.0f} | {hot:.0%} "
            f"| {told['work']:.0%} of a processor |"
        )
    described = METHOD.format(bars=BARS, seconds=SECONDS, most=BARS * 2)
    return "\n\n".join([title, "\n".join(lines), described.strip()])


def reported(folder: Path, pause: float) -> tuple[dict[str, float], float]:
    """Return what the task says, and the share of the updates that are heap-only."""
    from progress_widget.models import TaskProgress

    told: dict[str, float] = {}

    def report() -> None:
        with worker(folder) as ask:
            told.update(ask("report_many", (BARS, SECONDS, pause)))

    updates, hot = updates_added(TaskProgress._meta.db_table, report)
    return told, hot / updates


if __name__ == "__main__":
    main()
