"""What a bar costs a short task, in a worker that is busy with nothing else."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from django.db import connection

from benchmarks.common import verdict
from benchmarks.counting import sessions_added

TASKS, ROUNDS = 200, 6
PATIENCE = 300.0
MOST_MILLISECONDS, MOST_SESSIONS = 3.0, 0.05

KINDS = {
    "short": "a task of one millisecond",
    "short_with_bar": "with a bar: started, advanced, ended",
    "short_with_recorder": "with celery-progress, one `set_progress()`, {results}",
    "short_in_django_db": "with its result in django-celery-results",
    "short_with_recorder_in_django_db": "with both: celery-progress on django-celery-results",
}
BARE, BAR = "short", "short_with_bar"

METHOD = """\
Of each kind, {tasks} tasks are published while the worker (prefork, concurrency 1) is held; then it
runs them one after another. A task's cost is the time from its start to that of the next one, which
includes all that the worker does before and after it. The kinds alternate, {rounds} times, in an
order that rotates; what a kind costs more than the bare task is the median of the rounds.
"""

Costs = dict[str, list[float]]


def section(folder: Path, results: str) -> str:
    """Measure, and return the section of the page."""
    costs: Costs = {kind: [] for kind in KINDS}
    kinds = list(KINDS)
    for number in range(ROUNDS):
        shift = number % len(kinds)
        for kind in kinds[shift:] + kinds[:shift]:
            costs[kind].append(milliseconds_of(kind, folder))
    sessions = sessions_added(lambda: milliseconds_of(BAR, folder))
    return "\n\n".join(
        [
            "## What a bar costs a short task",
            table(costs, results),
            targets(costs, sessions),
            METHOD.format(tasks=TASKS, rounds=ROUNDS).strip(),
        ]
    )


def milliseconds_of(kind: str, folder: Path) -> float:
    """Let the worker run many tasks of a kind, and return what each takes."""
    from benchmarks import tasks

    gate = folder / "gate"
    held = tasks.hold.delay(str(gate))
    sent = [getattr(tasks, kind).delay() for _ in range(TASKS)]
    gate.touch()
    starts = [result.get(timeout=PATIENCE) for result in sent]
    gate.unlink()
    for result in (held, *sent):
        result.forget()
    return (max(starts) - min(starts)) / (TASKS - 1) / 1e6


def more(costs: Costs, kind: str) -> float:
    """Return by how many milliseconds a kind takes longer than the bare task."""
    pairs = zip(costs[kind], costs[BARE], strict=True)
    return median(one - other for one, other in pairs)


def table(costs: Costs, results: str) -> str:
    lines = ["| | ms | more |", "|---|--:|--:|"]
    for kind, name in KINDS.items():
        extra = "–" if kind == BARE else f"{more(costs, kind):.1f}"
        lines.append(f"| {name.format(results=results)} | {median(costs[kind]):.1f} | {extra} |")
    return "\n".join(lines)


def targets(costs: Costs, sessions: int | None) -> str:
    if connection.vendor == "sqlite":
        return f"On {connection.display_name} bars never write in the background, so no targets."
    extra = more(costs, BAR)
    told = (
        f"- Target: a bar costs a short task at most {MOST_MILLISECONDS:g} ms: {extra:.1f} ms, "
        f"{verdict(extra <= MOST_MILLISECONDS)}."
    )
    if sessions is None:
        return told
    return (
        f"{told}\n- Target: at most {MOST_SESSIONS} new sessions of the database for each task: "
        f"{sessions / TASKS:.3f}, {verdict(sessions / TASKS <= MOST_SESSIONS)}."
    )
