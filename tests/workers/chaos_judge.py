"""What really happened, beside what the pages said."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.workers.chaos_faults import Faults
from tests.workers.chaos_kinds import Kind
from tests.workers.chaos_oracle import RETURNED, Oracle, Run
from tests.workers.conftest import Page

STALLED_AFTER = 5.0
TOLD = 0.1 + 0.5 + 2.0
"""Within how many seconds an end is told: a poll, WRITE_INTERVAL and some slack."""
LOST = 6.0
"""How much later, if others have to tell it: worker_lost_wait, and slack."""
ASKED = STALLED_AFTER + 2.0
"""How much later, if only a result backend knows: it is asked where a bar has waited long."""
RECOVERY = 10.0
"""How long after a fault, since the writer's attempts have grown rare."""
HELD = 6.0
"""For how long a task that is over may be held, even by a database that is away."""
FALSE_ONCE_STARTED = ("Waiting to start", "worker that is free")


@dataclass(frozen=True)
class Seen:
    at: float
    state: str
    percent: float | None
    is_finished: bool
    text: str


@dataclass
class Watched:
    """One bar on a page, and all that was seen of it."""

    kind: Kind
    bar_id: str
    page: Page
    is_shared: bool
    parts: tuple[str, ...]
    revoked_at: float | None = None
    opened_at: float = field(default_factory=time.time)
    polled_at: float = 0.0
    unfinished_at: float = 0.0
    polls: int = 0
    history: list[Seen] = field(default_factory=list)

    @property
    def workers(self) -> tuple[str, ...]:
        """Give the ids of the tasks that work on this bar."""
        return self.parts or (self.bar_id.removesuffix("-other"),)

    def look(self) -> None:
        self.unfinished_at, self.polled_at = self.polled_at, time.time()
        self.polls += 1
        bar = self.page.poll().bar
        percent = bar.get("data-percent")
        seen = Seen(
            self.polled_at,
            self.page.state,
            float(str(percent)) if percent else None,
            bar.get("hx-get") is None,
            self.page.text,
        )
        if not self.history or seen.text != self.history[-1].text or seen.is_finished:
            self.history.append(seen)

    @property
    def is_finished(self) -> bool:
        return bool(self.history) and self.history[-1].is_finished


@dataclass(frozen=True)
class Truth:
    """How a task has really ended.

    Attributes:
        states: What the page may say at last.
        at: Since when this is true; None while it is not yet.
        by: Until when the page has to say it.
    """

    states: frozenset[str]
    at: float | None
    by: float = float("inf")


UNKNOWN = Truth(frozenset(), None)
OPEN = frozenset({"running", "stalled", "retrying", "waiting"})


@dataclass(frozen=True)
class Lie:
    rule: str
    watched: Watched
    what: str


@dataclass
class Judge:
    oracle: Oracle
    faults: Faults

    def truth(self, watched: Watched) -> Truth:
        found = self._of_shared(watched) if watched.is_shared else self._of_own(watched)
        return found if found.at is None else self._with_deadline(watched, found)

    def is_over(self, watched: Watched) -> bool:
        return watched.is_finished or self._is_due(watched)

    def _is_due(self, watched: Watched) -> bool:
        return self.truth(watched).by < watched.polled_at

    def lies(self, watched: Watched) -> Iterator[Lie]:
        truth, last = self.truth(watched), watched.history[-1]
        rules = {
            "no end is known": truth.at is None,
            "wrong end": last.is_finished and last.state not in truth.states,
            "early end": last.is_finished and truth.at is not None and last.at < truth.at,
            "never told": not last.is_finished
            and not truth.states & OPEN
            and self._is_due(watched),
            "told late": last.is_finished and watched.unfinished_at > truth.by,
            "other state": not last.is_finished
            and truth.states & OPEN
            and last.state not in truth.states,
            "percent goes back": self._goes_back(watched),
            "percent ahead of the task": self._is_ahead(watched),
            "stalled in quiet": self.faults.is_harmless and self._stalls(watched),
            "false words": self._says_waiting(watched),
        }
        for rule, holds in rules.items():
            if holds:
                yield Lie(rule, watched, self._evidence(watched, truth))

    def harm(self, watched: Watched) -> Iterator[Lie]:
        """Yield what the bar has done to the task."""
        kind = watched.kind
        for task_id in watched.workers:
            runs = self.oracle.runs(task_id)
            is_disturbed = any(run.killed_at for run in runs) or watched.revoked_at
            hows = tuple(run.how for run in runs)
            is_excused = kind.asks_database and not self.faults.is_harmless
            if not (is_disturbed or kind.is_killed or is_excused) and hows != kind.hows:
                yield Lie("task harmed", watched, f"{task_id} ended {hows}, not {kind.hows}")
            for run in runs:
                held = _held(run)
                if held > HELD and not (is_disturbed or kind.is_killed):
                    yield Lie("task held", watched, f"{task_id} for {held:.1f} s")

    def _of_own(self, watched: Watched) -> Truth:
        kind, runs = watched.kind, self.oracle.runs(watched.bar_id)
        if watched.revoked_at is not None:
            is_killed = any(run.killed_at for run in runs)
            states = {"cancelled", "failed"} if is_killed else {"cancelled"}
            return Truth(frozenset(states), watched.revoked_at)
        if not runs:
            return self._never_begun(watched)
        last, told = runs[-1], self.oracle.events(watched.bar_id, "told")
        states = {kind.state}
        if last.how not in ("", kind.hows[-1]):
            states = {"failed"}
        if any(run.killed_at for run in runs):
            return self._of_killed(watched, runs, states)
        if kind.is_killed:
            return Truth(frozenset(states), last.ended_at or last.started_at + 1)
        if last.ended_at is None or last.how in kind.hows[:-1]:
            return UNKNOWN
        return Truth(frozenset(states), min([last.ended_at, *(line["at"] for line in told)]))

    def _of_killed(self, watched: Watched, runs: list[Run], states: set[str]) -> Truth:
        last, kind = runs[-1], watched.kind
        is_redelivered = kind.task == "late"
        if last.killed_at is None:  # an earlier run was killed as it was over, or comes again
            states = states if is_redelivered else states | {"failed"}
            is_over = last.ended_at is not None and last.how not in kind.hows[:-1]
            return Truth(frozenset(states), last.ended_at) if is_over else UNKNOWN
        if last.ended_at is not None:  # killed while it was held
            return Truth(frozenset(states | {"failed"}), last.ended_at)
        return UNKNOWN if is_redelivered else Truth(frozenset({"failed"}), last.killed_at)

    def _never_begun(self, watched: Watched) -> Truth:
        """Judge the second link of a chain whose first link has failed."""
        first = self.oracle.runs(watched.bar_id.removesuffix("-next"))
        is_broken = watched.bar_id.endswith("-next") and first and first[-1].killed_at
        return Truth(frozenset({"waiting"}), first[-1].killed_at) if is_broken else UNKNOWN

    def _of_shared(self, watched: Watched) -> Truth:
        ends = self.oracle.events(watched.bar_id, "told")
        added = self.oracle.events(watched.bar_id, "added")
        full = self.oracle.events(watched.bar_id, "reached")
        if len(added) == len(watched.parts) > 0:
            ends = [*ends, added[-1]]
        ends += [line for line in full if line["percent"] == 100]
        kills = self.oracle.events("kills", "kill")
        pids = {line["pid"] for line in (*added, *full)}
        is_hurt = bool(pids & {kill["killed"] for kill in kills})
        if ends:
            states = {"succeeded"} | (OPEN if is_hurt else set())
            return Truth(frozenset(states), min(line["at"] for line in ends))
        runs = [run for worker in watched.workers for run in self.oracle.runs(worker)]
        over = [run.ended_at or run.killed_at for run in runs]
        is_over = len(over) >= len(watched.workers) and all(over)
        return Truth(OPEN, max(over)) if is_over else UNKNOWN

    def _with_deadline(self, watched: Watched, truth: Truth) -> Truth:
        runs = self.oracle.runs(watched.bar_id)
        is_lost = watched.kind.is_killed or any(run.killed_at for run in runs)
        opened = self.oracle.events(watched.bar_id, "opened")
        is_without_row = not opened or (is_lost and truth.at - opened[-1]["at"] < 1)
        by = truth.at + TOLD + (LOST if is_lost else 0)
        if watched.is_shared is False and is_without_row:
            by = max(by, watched.opened_at + ASKED + TOLD)
        for fault in self.faults.around(truth.at - RECOVERY, by):
            by = max(by, fault.over_at + RECOVERY + (ASKED if is_lost else 0))
        return Truth(truth.states, truth.at, by)

    def _goes_back(self, watched: Watched) -> bool:
        """Whether the percentage fell without a new start of the bar to explain it."""
        starts = [line["at"] for line in self.oracle.events(watched.bar_id, "opened")][1:]
        seen = [look for look in watched.history if look.percent is not None]
        for before, after in pairwise(seen):
            if after.percent < before.percent:
                if not starts or starts[0] > after.at:
                    return True
                starts.pop(0)
        return False

    def _is_ahead(self, watched: Watched) -> bool:
        """Whether a page showed what the task had not yet done."""
        reached = self.oracle.events(watched.bar_id, "reached")
        for look in watched.history:
            done = [line["percent"] or 0 for line in reached if line["at"] <= look.at + 0.1]
            is_claimed = look.percent is not None and look.state != "succeeded"
            if is_claimed and not watched.is_shared and look.percent > max(done, default=0) + 0.05:
                return True
        return False

    def _stalls(self, watched: Watched) -> bool:
        """Whether a page missed the news of a task that was at work."""
        looks = [look.at for look in watched.history if look.state == "stalled"]
        return any(
            run.started_at < at < (run.ended_at or 0)
            for run in self.oracle.runs(watched.bar_id)
            for at in looks
        )

    def _says_waiting(self, watched: Watched) -> bool:
        """Whether a page says that a task has not begun long after it has."""
        runs = self.oracle.runs(watched.bar_id)
        if not runs:
            return False
        since = runs[0].started_at + TOLD - 2
        looks = [
            look for look in watched.history if any(t in look.text for t in FALSE_ONCE_STARTED)
        ]
        return bool(looks) and self._shown_until(watched, looks[-1]) > since

    def _shown_until(self, watched: Watched, look: Seen) -> float:
        later = [other.at for other in watched.history if other.at > look.at]
        return later[0] if later else watched.polled_at

    def _evidence(self, watched: Watched, truth: Truth) -> str:
        start = watched.opened_at
        at = "?" if truth.at is None else f"{truth.at - start:.2f}"
        return f"true: {sorted(truth.states)} at {at}, due by {truth.by - start:.2f}"

    def report(self, lie: Lie) -> str:
        """Return a lie with all that is known of it, times counted from when the page opened."""
        watched, start = lie.watched, lie.watched.opened_at
        seen = "\n".join(
            f"    {look.at - start:7.2f} {look.state} {look.percent} "
            f"{'finished' if look.is_finished else ''} {look.text[:80]!r}"
            for look in watched.history
        )
        ids = dict.fromkeys((watched.bar_id, *watched.workers))
        lines = sorted(
            (line for of in ids for line in self.oracle.lines.get(of, ())), key=lambda x: x["at"]
        )
        noted = "\n".join(
            f"    {line['at'] - start:7.2f} "
            + " ".join(str(value) for key, value in line.items() if key not in ("at", "of", "run"))
            for line in lines
        )
        last = f"{watched.polled_at - start:.2f}"
        return (
            f"{lie.rule}: {watched.kind.name} {watched.bar_id}: {lie.what}\n"
            f"  the page (last poll {last}):\n{seen}\n  the oracle:\n{noted}"
        )


def _held(run: Run) -> float:
    """Return for how long the worker was busy with a run whose body was over."""
    if run.ended_at is None or run.how != RETURNED:
        return 0.0
    return (run.let_go_at or float("inf")) - run.ended_at


PLANNED = re.compile(
    r"planned|reject requeue|positional argument|SoftTimeLimitExceeded|[Tt]ime limit|"
    r"TimeLimitExceeded|WorkerLostError|Terminated|exited with 'signal"
)
OUTAGE = re.compile(
    r"raised unexpected: \w*(Operational|Interface|Internal)Error|ChordError|"
    r"could not be written"
)


def complaints(log: str, *, is_quiet: bool) -> list[str]:
    """Return what a worker has logged that nothing explains."""
    errors = re.findall(r"^\[.*?: (?:WARNING|ERROR|CRITICAL)/.*$", log, re.MULTILINE)
    return [
        line
        for line in errors
        if not PLANNED.search(line) and (is_quiet or not OUTAGE.search(line))
    ]
