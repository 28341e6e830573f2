"""What the pages said, held against the truth; and what their bars have done to the tasks."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.workers.chaos_faults import Faults
from tests.workers.chaos_oracle import Oracle, Run, is_alive
from tests.workers.chaos_pages import Seen, Watched
from tests.workers.chaos_truth import OPEN, TOLD, Truth, truth_of

HELD = 6.0
"""For how long a worker may be held by a task that is over, even if the database is away."""
FALSE_ONCE_STARTED = ("Waiting to start", "worker that is free")
PLANNED = re.compile(
    r"planned|reject requeue|positional argument|SoftTimeLimitExceeded|[Tt]ime limit|"
    r"TimeLimitExceeded|WorkerLostError|Terminated|exited with 'signal|another id than its own"
)
OUTAGE = re.compile(
    r"raised unexpected: \w*(Operational|Interface|Internal)Error|ChordError|could not be written"
)


@dataclass
class Judge:
    oracle: Oracle
    faults: Faults

    def truth(self, watched: Watched) -> Truth:
        return truth_of(watched, self.oracle, self.faults)

    def is_known(self, watched: Watched) -> bool:
        return self.truth(watched).at is not None

    def is_over(self, watched: Watched) -> bool:
        """Whether a page has no more to say, or has had the time to."""
        return watched.is_finished or self._is_due(watched)

    def verdicts(self, watched: Watched) -> Iterator[str]:
        """Yield what is wrong with a bar."""
        truth, last = self.truth(watched), watched.history[-1]
        is_open = not last.is_finished and self._is_due(watched)
        rules = {
            "no end is known": truth.at is None,
            "wrong end": last.is_finished and last.state not in truth.states,
            "false end": truth.at is not None and self._is_belied(watched, truth),
            "early end": last.is_finished and self._is_early(watched, truth),
            "never told": is_open
            and not truth.states & OPEN
            and not self._is_left_to_the_queue(watched, truth),
            "wrong in the end": is_open and truth.states & OPEN and last.state not in truth.states,
            "told late": last.is_finished and watched.unfinished_at > truth.by,
            "percentage goes back": self._goes_back(watched),
            "percentage ahead of its task": self._is_ahead(watched),
            "stalled in quiet": self.faults.is_harmless and self._stalls(watched),
            "said not to have started": self._is_denied(watched),
            "task harmed": truth.at is not None and self._is_harmed(watched),
            "task held": self._is_held(watched),
        }
        yield from (rule for rule, holds in rules.items() if holds)

    def delay(self, watched: Watched) -> float:
        """Return within how many seconds a page told the end, since it was true and known."""
        truth = self.truth(watched)
        heeded = [line["at"] for line in self.oracle.events(watched.bar_id, "revoked")]
        return 0.0 if truth.at is None else watched.polled_at - max([truth.at, *heeded])

    def evidence(self, watched: Watched) -> str:
        """Return all that is known of a bar, times counted from when its page was opened."""
        truth, start = self.truth(watched), watched.opened_at
        seen = [
            f"  {look.at - start:7.2f} to {look.until - start:.2f}: {look.state} {look.percent} "
            f"{'finished ' if look.is_finished else ''}{look.text[:80]!r}"
            for look in watched.history
        ]
        ids = dict.fromkeys((watched.bar_id, *watched.workers))
        lines = sorted(
            (line for of in ids for line in self.oracle.lines.get(of, ())),
            key=lambda line: line["at"],
        )
        noted = [
            f"  {line['at'] - start:7.2f}: "
            + " ".join(str(line[key]) for key in line if key not in ("at", "run"))
            for line in lines
        ]
        at = None if truth.at is None else round(truth.at - start, 2)
        true = f"  true: {sorted(truth.states)} at {at}, due by {truth.by - start:.2f}"
        return "\n".join([true, "  the page:", *seen, "  the oracle:", *noted])

    def _is_due(self, watched: Watched) -> bool:
        return self.truth(watched).by < watched.polled_at

    def _is_belied(self, watched: Watched, truth: Truth) -> bool:
        """Whether a page that goes on asking showed an end that is none of the task's."""
        return any(
            look.state not in OPEN | truth.states
            and not look.is_finished
            and not self._is_hearsay(watched, look)
            for look in watched.history
        )

    def _is_hearsay(self, watched: Watched, look: Seen) -> bool:
        """Whether it is the queue's word on a task that said fail(), which an outage holds up.

        The one end that a page may show and take back; it never stops asking on it.
        """
        told = self.oracle.events(watched.bar_id, "told")
        is_held_up = any(
            line["state"] == "failed"
            and line["at"] <= look.at <= self.faults.held_up_until(line["at"])
            for line in told
        )
        return is_held_up and look.state == "succeeded" and not look.is_finished

    def _is_early(self, watched: Watched, truth: Truth) -> bool:
        """Whether a page showed the end before it was true.

        The loss of a run that has asked for the next is told before that has ended.
        """
        last, at = watched.history[-1], truth.at or 0.0
        if last.state == "failed":
            killed = [run.killed_at for run in self.oracle.runs(watched.bar_id) if run.killed_at]
            at = min([at, *killed])
        return last.at < at

    def _is_left_to_the_queue(self, watched: Watched, truth: Truth) -> bool:
        """Whether the row cannot have the end, of which only the result backend knows.

        The process that was to write it has died before outages let it, or the last run has made
        no bar and found no row.
        """
        runs = self.oracle.runs(watched.bar_id)
        if self.faults.is_harmless or not runs or truth.at is None:
            return False
        opened = self.oracle.events(watched.bar_id, "opened")
        has_bar = any(line["at"] >= runs[-1].started_at for line in opened)
        if not has_bar and watched.history[-1].state in truth.states:
            return True
        pid, until = runs[-1].pid, self.faults.held_up_until(truth.at)
        return not is_alive(pid) and self.oracle.last_start_in(pid) <= until

    def _goes_back(self, watched: Watched) -> bool:
        """Whether the percentage fell without a new start of the bar to explain it."""
        starts = [line["at"] for line in self.oracle.events(watched.bar_id, "opened")][1:]
        seen = [
            look
            for look in watched.history
            if look.percent is not None and not self._is_hearsay(watched, look)
        ]
        falls = [after for before, after in pairwise(seen) if after.percent < before.percent]
        return len(falls) > len(starts) or any(
            start > fall.at for start, fall in zip(starts, falls, strict=False)
        )

    def _is_ahead(self, watched: Watched) -> bool:
        """Whether a page showed what the task had not yet done."""
        reached = self.oracle.events(watched.bar_id, "reached")
        return not watched.is_shared and any(
            look.percent
            > 0.05 + max((at["percent"] for at in reached if at["at"] < look.at), default=0)
            for look in watched.history
            if look.percent is not None and look.state != "succeeded"
        )

    def _stalls(self, watched: Watched) -> bool:
        """Whether a page missed the news of a task that was at work.

        A task may have to wait for its next run for so long that it stalls; the run ends that.
        """
        return any(
            run.started_at + TOLD < look.until and look.at < (run.ended_at or 0)
            for run in self.oracle.runs(watched.bar_id)
            for look in watched.history
            if look.state == "stalled"
        )

    def _is_denied(self, watched: Watched) -> bool:
        """Whether a page said that a task has not begun, a second after it had."""
        runs = self.oracle.runs(watched.bar_id)
        return bool(runs) and any(
            look.until > runs[0].started_at + 1
            for look in watched.history
            if any(words in look.text for words in FALSE_ONCE_STARTED)
        )

    def _is_harmed(self, watched: Watched) -> bool:
        """Whether a run ended in another way than it would without a bar."""
        kind = watched.kind
        is_excused = kind.is_killed or (kind.asks_database and not self.faults.is_harmless)
        return not is_excused and any(
            tuple(run.how for run in runs) != kind.hows for runs in self._undisturbed(watched)
        )

    def _is_held(self, watched: Watched) -> bool:
        """Whether a worker was not free for others although a task was over."""
        return any(_held(run) > HELD for runs in self._undisturbed(watched) for run in runs)

    def _undisturbed(self, watched: Watched) -> Iterator[list[Run]]:
        """Yield the runs of each of its tasks that the test itself has let alone."""
        for task_id in watched.workers:
            runs = self.oracle.runs(task_id)
            if runs and watched.revoked_at is None and not any(run.killed_at for run in runs):
                yield runs


def _held(run: Run) -> float:
    if run.how == "SystemExit" and run.let_go_at is None:
        return 0.0  # a hard limit ends the process a moment later, whatever it is at
    return 0.0 if run.ended_at is None else (run.let_go_at or time.time()) - run.ended_at


def complaints(log: str, *, is_quiet: bool) -> list[str]:
    """Return what a worker has logged that nothing explains."""
    lines = re.findall(r"^\[.*?: (?:WARNING|ERROR|CRITICAL)/.*$", log, re.MULTILINE)
    return [
        line for line in lines if not PLANNED.search(line) and (is_quiet or not OUTAGE.search(line))
    ]
