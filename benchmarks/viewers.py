"""How many viewers of one bar each a small server bears: ``python -m benchmarks.viewers``.

DATABASE_URL (else SQLite) and REDIS_URL (else celery-progress is not measured) name servers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import django

from benchmarks.common import throw_away_database
from benchmarks.crowd import ask, check, request_for, watch
from benchmarks.polls import Site, celery_progress, make_rows, table

VIEWERS, WORKERS = 1_000, 2
AT_ONCE = 20
ROUNDS, SECONDS = 3, 2.0
PATIENCE = 30.0

BARE, UNCHANGED, OTHER = (
    "a bare view with one SELECT",
    "a poll, unchanged",
    "celery-progress, Redis",
)

METHOD = """\
gunicorn {version} serves the project with {workers} workers (sync, its default) on a Unix socket,
as behind a proxy: each request is a connection of its own. The client is one thread of this
machine, which has {cores} processor cores for client, workers, database and Redis. Each viewer
watches a task of its own, which does not move.

The most is what comes back while {at_once} requests are under way all the time. Then there are
{viewers:,} viewers, each of whom asks again when the package's default interval has passed since
its last answer: {pace:g} s, and {pace_of_other:g} s for celery-progress. Where that is more than
the server bears, the requests wait for each other, as the milliseconds then tell. The contestants
alternate, in {rounds} turns of {seconds:g} s after one that does not count; the figures are the
turns' medians.
"""


class Crowd(NamedTuple):
    """What the viewers ask, how they are answered and how long they wait after that."""

    urls: list[str]
    status: int
    pace: float


class Measured(NamedTuple):
    """How long the answers took, in each round: to a few who never wait, and to all viewers."""

    few: list[list[float]]
    viewers: list[list[float]]


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.site_settings"
    django.setup()
    with (
        throw_away_database(),
        celery_progress(range(VIEWERS), on=["Redis"]) as apps,
        tempfile.TemporaryDirectory(prefix="") as folder,
    ):
        make_rows()
        crowds = crowds_of(Site(), apps)
        with server(folder) as address:
            print(section(measure(address, crowds)))


def crowds_of(site: Site, apps: dict[str, Any]) -> dict[str, Crowd]:
    from django.urls import reverse

    from benchmarks.site_urls import ids_of

    ids = ids_of(VIEWERS)
    crowds = {
        BARE: Crowd([f"/bare/{task_id}/" for task_id in ids], 204, 1.0),
        UNCHANGED: Crowd(site.poll_urls(f"/page/block/{VIEWERS}/"), 204, 1.0),
    }
    if apps:
        urls = [reverse("celery_progress:task_status", args=[task_id]) for task_id in ids]
        crowds[OTHER] = Crowd(urls, 200, 0.5)
    return crowds


@contextmanager
def server(folder: str) -> Iterator[str]:
    """Start gunicorn, and yield the address of its socket once it answers."""
    address, log = f"{folder}/socket", Path(folder, "log")
    command = f"gunicorn benchmarks.wsgi --workers {WORKERS} --bind unix:{address}"
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command.split(), "--log-level", "warning"],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(address)
        yield address
    except Exception:
        print(log.read_text(), file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with ask(address, request_for("/page/lines/0/")) as connection:
                return check(connection.recv(100), 200)
        except OSError:  # there is no socket yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def measure(address: str, crowds: dict[str, Crowd]) -> dict[str, Measured]:
    def few(crowd: Crowd) -> list[float]:
        urls = crowd.urls[:AT_ONCE]
        return watch(address, urls, status=crowd.status, pace=0.0, seconds=SECONDS)

    def all_of_them(crowd: Crowd) -> list[float]:
        return watch(address, crowd.urls, status=crowd.status, pace=crowd.pace, seconds=SECONDS)

    few_answers, answers = in_turns(crowds, few), in_turns(crowds, all_of_them)
    return {name: Measured(few_answers[name], answers[name]) for name in crowds}


def in_turns(
    crowds: dict[str, Crowd], watched_by: Callable[[Crowd], list[float]]
) -> dict[str, list[list[float]]]:
    """Return how long the answers to each crowd took, in each round but the first."""
    took: dict[str, list[list[float]]] = {name: [] for name in crowds}
    names = list(crowds)
    for number in range(ROUNDS + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            took[name].append(watched_by(crowds[name]))
    return {name: rounds[1:] for name, rounds in took.items()}


# Reporting


def section(measured: dict[str, Measured]) -> str:
    """Return the section of the page."""
    described = METHOD.format(
        version=version("gunicorn"),
        workers=WORKERS,
        cores=os.cpu_count(),
        viewers=VIEWERS,
        at_once=AT_ONCE,
        rounds=ROUNDS,
        seconds=SECONDS,
        pace=1.0,
        pace_of_other=0.5,
    )
    return "\n\n".join(["## What a thousand viewers get", table_of(measured), described.strip()])


def table_of(measured: dict[str, Measured]) -> str:
    of_viewers = f"of {VIEWERS:,} viewers"
    heads = ["", "requests a second, at most", of_viewers, "ms, half of them", "ms, 99 %"]
    lines = []
    for name, rounds in measured.items():
        rates = [f"{median(map(len, each)) / SECONDS:,.0f}" for each in rounds]
        cuts = [quantiles(took, n=100) for took in rounds.viewers]
        times = [median(each[percent - 1] for each in cuts) * 1000 for percent in (50, 99)]
        lines.append([name, *rates, *(f"{time:,.1f}" for time in times)])
    return table(heads, lines)


if __name__ == "__main__":
    main()
