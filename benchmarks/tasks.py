"""What is measured. Every loop is its own function, since Python specialises code by its use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import (
    clock_gettime,
    monotonic_ns,
    perf_counter,
    perf_counter_ns,
    pthread_getcpuclockid,
    sleep,
)
from typing import Any, TextIO
from uuid import uuid4

from celery import Task, current_app, shared_task
from celery_progress.backend import ProgressRecorder
from django.db.backends.signals import connection_created
from django.test import override_settings
from django_celery_progressbar.bars import ProgressBar as OldBar
from django_celery_results.backends import DatabaseBackend
from tqdm import tqdm

from progress_widget.bars import ProgressBar
from progress_widget.models import has_heartbeat

REPETITIONS = 9
FAST, SLOW = 500_000, 500
"""Turns of a loop: where a turn only stores something, and where it writes."""

Loop = Callable[[range], None]


def go_through(items: range) -> None:
    for _ in items:
        pass


def track(bar: ProgressBar, items: range) -> None:
    for _ in bar.track(items):
        pass


def track_with_tqdm(file: TextIO, items: range) -> None:
    for _ in tqdm(items, file=file):
        pass


def update(bar: ProgressBar, items: range) -> None:
    for number in items:
        bar.update(progress=number)


def advance(bar: ProgressBar, items: range) -> None:
    for _ in items:
        bar.advance()


def update_tqdm(bar: Any, items: range) -> None:
    for _ in items:
        bar.update()


def update_old_bar(bar: OldBar, items: range) -> None:
    for number in items:
        bar.update(progress=number)


def update_recorder(recorder: ProgressRecorder, items: range) -> None:
    for number in items:
        recorder.set_progress(number, SLOW)


def loops(task: Task, file: TextIO) -> dict[str, tuple[int, Loop]]:
    """Return each contestant's number of turns and loop."""
    found: dict[str, tuple[int, Loop]] = {
        "bare loop": (FAST, go_through),
        "tqdm, a turn": (FAST, partial(track_with_tqdm, file)),
        "tqdm, update()": (FAST, partial(update_tqdm, tqdm(total=None, file=file))),
        "celery-progress, set_progress()": (SLOW, partial(update_recorder, ProgressRecorder(task))),
        # It accepts a value whose sum with the last progress is below the total.
        "django-celery-progressbar, update()": (
            SLOW,
            partial(update_old_bar, OldBar(str(uuid4()), total=2 * SLOW, step="")),
        ),
    }
    if has_heartbeat():
        found |= loops_of_bars("background", FAST)
    with override_settings(PROGRESS_WIDGET_BACKGROUND_WRITES=False):
        found |= loops_of_bars("inline", SLOW)
    return found


def loops_of_bars(mode: str, turns_of_update: int) -> dict[str, tuple[int, Loop]]:
    """Return the loops of bars, in the mode that applies when the bars are created."""
    new = partial(ProgressBar, total=None, step="")
    return {
        f"track(), a turn, {mode}": (FAST, partial(track, new(uuid4()))),
        f"update(), {mode}": (turns_of_update, partial(update, new(uuid4(), total=FAST))),
        f"advance(), {mode}": (FAST, partial(advance, new(uuid4()))),
    }


@shared_task(bind=True)
def measure(self: Task) -> dict[str, float]:
    """Return the nanoseconds of one turn of each loop; for all but the bare one, what it adds."""
    best: dict[str, float] = {}
    with open(os.devnull, "w") as file:
        contestants = loops(self, file)
        for _ in range(REPETITIONS):
            for name, (turns, loop) in contestants.items():
                items = range(turns)
                before = perf_counter_ns()
                loop(items)
                spent = (perf_counter_ns() - before) / turns
                best[name] = min(spent, best.get(name, spent))
    bare = best["bare loop"]
    return {name: spent if name == "bare loop" else spent - bare for name, spent in best.items()}


@shared_task(bind=True)
def report_many(self: Task, count: int, seconds: float, pause: float) -> dict[str, float]:
    """Let many bars report, and return what their thread did meanwhile.

    Args:
        pause: Seconds for which the task waits, as for a network, after each report of all bars.
    """
    updates = count_updates()
    bars = [ProgressBar(uuid4(), total=10**9) for _ in range(count)]
    # What they report is written by one thread; nobody else may ask it for its time.
    [thread] = [each for each in threading.enumerate() if each.name == "progress_widget"]
    clock = pthread_getcpuclockid(thread.ident)
    before = len(updates), clock_gettime(clock), perf_counter()
    rounds = 0
    while perf_counter() < before[2] + seconds:
        rounds += 1
        for bar in bars:
            bar.advance()
        sleep(pause)
    after = len(updates), clock_gettime(clock), perf_counter()
    written, worked, passed = (one - other for one, other in zip(after, before, strict=True))
    return {
        "reports": rounds * count / passed,
        "updates": written / passed,
        "work": worked / passed,
    }


def count_updates() -> list[None]:
    """Return a list that grows with each UPDATE on a connection that is yet to be opened."""
    updates: list[None] = []

    def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            updates.append(None)
        return execute(sql, *rest)

    def observe(connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(count)

    connection_created.connect(observe, weak=False)
    return updates


@shared_task
def ordinary(fails: bool) -> None:
    if fails:
        raise ValueError("as tasks do")


@shared_task(bind=True)
def with_bar(self: Task) -> None:
    ProgressBar(self.request.id, total=1).finalize()


@shared_task
def hold(gate: str) -> None:
    """Keep the worker from running more until the file is there."""
    while not Path(gate).exists():
        sleep(0.01)


def work() -> int:
    """Work for about a millisecond; return when that began, by a clock that processes share."""
    began = monotonic_ns()
    while monotonic_ns() < began + 1_000_000:
        pass
    return began


@shared_task
def short() -> int:
    return work()


@shared_task(bind=True)
def short_with_bar(self: Task) -> int:
    bar = ProgressBar(self.request.id, total=2)
    began = work()
    bar.advance()
    return began


@shared_task(bind=True)
def short_with_recorder(self: Task) -> int:
    ProgressRecorder(self).set_progress(1, 2)
    return work()


in_django_db = DatabaseBackend(app=current_app)


@shared_task(backend=in_django_db)
def short_in_django_db() -> int:
    return work()


@shared_task(bind=True, backend=in_django_db)
def short_with_recorder_in_django_db(self: Task) -> int:
    ProgressRecorder(self).set_progress(1, 2)
    return work()
