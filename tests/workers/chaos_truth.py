"""How tasks have really ended, as the oracle says, and until when their pages have to say it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.workers.chaos_faults import Faults
from tests.workers.chaos_kinds import Kind
from tests.workers.chaos_oracle import Oracle, Run, is_alive
from tests.workers.chaos_pages import Watched

STALLED_AFTER = 5.0
TOLD = 0.1 + 0.5 + 2.0
"""Within how many seconds an end is told: a poll, WRITE_INTERVAL and some slack."""
LOST = 6.0
"""How much later, if the task can no longer tell it: worker_lost_wait, and slack."""
ASKED = STALLED_AFTER + 2.0
"""How much later, if only a result backend knows it: that is asked where a bar has waited long."""
RECOVERY = 10.0
"""How long after a fault, since the writer's attempts grow rare."""


@dataclass(frozen=True)
class Truth:
    """How a task has really ended.

    Attributes:
        states: What the page may say at last.
        at: Since when that is true; None while it is not yet known.
        by: When the page has to have said it.
    """

    states: frozenset[str] = frozenset()
    at: float | None = None
    by: float = float("inf")


NOT_YET = Truth()
OPEN = frozenset({"waiting", "running", "retrying", "stalled"})


def states_of(kind: Kind, last: Run) -> frozenset[str]:
    """Return what a page may say of a task whose last run was like this."""
    if last.how not in ("", kind.hows[-1]):
        return frozenset({"failed"})
    return OPEN if kind.state in OPEN else frozenset({kind.state})


def truth_of(watched: Watched, oracle: Oracle, faults: Faults) -> Truth:
    """Return how the work on a bar has ended."""
    runs = oracle.runs(watched.bar_id)
    if watched.is_shared:
        truth = _of_shared(watched, oracle)
    elif watched.revoked_at is not None:
        truth = _of_revoked(watched, runs, oracle)
    elif runs:
        of_run = _of_killed if _is_killed(runs) else _of_own
        truth = of_run(watched, runs, oracle)
    else:
        truth = _of_broken_chain(watched, oracle)
    if truth.at is None:
        return truth
    return replace(truth, by=_deadline(watched, truth.at, runs, oracle, faults))


def _is_killed(runs: list[Run]) -> bool:
    return any(run.killed_at for run in runs)


def _of_own(watched: Watched, runs: list[Run], oracle: Oracle) -> Truth:
    kind, last = watched.kind, runs[-1]
    if kind.is_killed:  # by its limit of one second, which begins a little before the body does
        return Truth(states_of(kind, last), last.started_at + 0.9)
    if last.ended_at is None or last.how in kind.hows[:-1]:
        return NOT_YET
    told = [line["at"] for line in oracle.events(watched.bar_id, "told")]
    return Truth(states_of(kind, last), min([last.ended_at, *told]))


def _of_killed(watched: Watched, runs: list[Run], oracle: Oracle) -> Truth:
    kind, last = watched.kind, runs[-1]
    is_redelivered = kind.task == "late"
    if last.ended_at is None and last.killed_at:
        states = frozenset({"failed"}) | (frozenset() if kind.is_recorded else OPEN)
        told = oracle.events(watched.bar_id, "told")  # what a page shows before that is its end
        states |= {line["state"] for line in told}
        at = min([last.killed_at, *(line["at"] for line in told)])
        return NOT_YET if is_redelivered else Truth(states, at)
    if last.ended_at is None or (last.how in kind.hows[:-1] and not last.killed_at):
        return NOT_YET
    # Killed when its body was over, or in an earlier run that had asked for the next already.
    either = frozenset() if is_redelivered else frozenset({"failed"})
    return Truth(states_of(kind, last) | either, last.ended_at)


def _of_revoked(watched: Watched, runs: list[Run], oracle: Oracle) -> Truth:
    """Judge a task that the test has revoked.

    Its own process says that it failed, the main process that it was cancelled; that comes first,
    whatever befalls the database.
    """
    if _is_killed(runs):
        return Truth(frozenset({"cancelled", "failed"}), watched.revoked_at)
    heeded = oracle.events(watched.bar_id, "revoked")
    return Truth(frozenset({"cancelled"}), watched.revoked_at) if heeded else NOT_YET


def _of_broken_chain(watched: Watched, oracle: Oracle) -> Truth:
    """Judge the second link of a chain whose first link was killed: it never begins.

    Celery fails the rest of such a chain in its result backend, which the page may ask.
    """
    first = oracle.runs(watched.bar_id.removesuffix("-next"))
    killed_at = first[-1].killed_at if first else None
    return NOT_YET if killed_at is None else Truth(OPEN | {"failed"}, killed_at)


def _of_shared(watched: Watched, oracle: Oracle) -> Truth:
    """Judge a bar that is over at its total; it never gets there if a part of it is lost."""
    added = oracle.events(watched.bar_id, "added")
    reached = oracle.events(watched.bar_id, "reached")
    ends = oracle.events(watched.bar_id, "told")
    ends += [line for line in reached if line["percent"] == 100]
    ends += added[-1:] if len(added) == len(watched.workers) else []
    if ends:
        # Whoever has died may have owed it, be it for the limit of its next task.
        is_owed = not all(is_alive(line["pid"]) for line in (*added, *reached))
        states = frozenset({"succeeded"}) | (OPEN if is_owed else frozenset())
        return Truth(states, min(line["at"] for line in ends))
    runs = [run for worker in watched.workers for run in oracle.runs(worker)]
    over = [run.ended_at or run.killed_at for run in runs]
    return Truth(OPEN, max(over)) if len(over) == len(watched.workers) and all(over) else NOT_YET


def _deadline(
    watched: Watched, at: float, runs: list[Run], oracle: Oracle, faults: Faults
) -> float:
    heeded = [line["at"] for line in oracle.events(watched.bar_id, "revoked")]
    opened = [line["at"] for line in oracle.events(watched.bar_id, "opened")]
    is_lost = watched.kind.is_killed or _is_killed(runs)
    by = max([at, *heeded]) + TOLD + (LOST if is_lost else 0)
    has_row = watched.is_shared or (opened and not (is_lost and at - opened[-1] < 1))
    if not has_row:
        by = max(by, watched.opened_at + ASKED + TOLD)
    told_by = by
    for fault in faults.happened:
        # One outage after the other may hold up the same write; a kill touches what it interrupts.
        touches = fault.begun_at <= (told_by if fault.name == "kill" else by)
        if touches and fault.over_at >= at - RECOVERY:
            by = max(by, fault.over_at + RECOVERY + (ASKED if is_lost else 0))
    return by
