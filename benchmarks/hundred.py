"""What a second of watching a hundred bars costs the server: ``python -m benchmarks.hundred``.

With ``--section``, it prints only what ``make bench`` puts on its page. DATABASE_URL (else SQLite)
and REDIS_URL (else celery-progress is not measured on Redis) name servers.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from statistics import median, quantiles
from time import perf_counter_ns, process_time_ns
from typing import Any, NamedTuple

import django
from django.db import connection

from benchmarks.common import as_ratio, throw_away_database, verdict
from benchmarks.polls import (
    Blocks,
    Site,
    celery_progress,
    in_turns,
    make_rows,
    paired,
    ratio,
    table,
)

BARS, TOGETHER = 100, 50
ROUNDS = 20
PAGE = f"/page/block/{BARS}/"
JOINT_URL = "/progress/"

UNCHANGED, CHANGED = "unchanged", "all changing"
JOINT, SINGLE = "together, {}", "each by itself, {}"
OTHER = "celery-progress, {}"
OTHERS_PACE = 2
"""How often a bar of celery-progress asks in a second: its pollInterval is 500 ms."""

LEAST = {UNCHANGED: {"Redis": 10, "django-db": 20}, CHANGED: {"Redis": 2, "django-db": 4}}
"""How many times as long celery-progress's polls take at least, by its result backend."""

METHOD = """\
These are the requests of one second for a page of {bars} bars that are all in sight, each package
at its default pace. Here a bar is asked for once a second, and the page's script joins {together}
of them in one request; that a bar out of sight or slow to move is asked for less often, down to
every fifth second, is left out. A bar of celery-progress asks 500 ms after its last answer, which
is reckoned as twice a second; what it sends back is the same, changed or not.

The requests go through the middleware as above, one second's after another's, {rounds} times, in
an order that rotates. The targets are for the processor time of the process, which leaves out what
the database and Redis do; the time that passes includes that. A process has seen the page's tokens
before, as it has from the second poll on. Bytes are those of URLs and bodies, without headers.
"""


class Request(NamedTuple):
    url: str
    body: bytes = b""

    @property
    def size(self) -> int:
        return len(self.url) + len(self.body)


class Second(NamedTuple):
    """What a page asks within a second."""

    requests: list[Request]
    status: int

    app: Any = None
    """Celery's, for celery-progress's view."""

    def ask(self, site: Site) -> list[bytes]:
        """Return the contents of the answers."""
        if self.app is not None:
            self.app.set_current()
        contents = []
        for url, body in self.requests:
            answer = site.post(url, body) if body else site.get(url)
            if answer.status_code != self.status:
                raise RuntimeError(f"{url} is answered with {answer.status_code}")
            contents.append(answer.content)
        return contents

    def caller(self, site: Site) -> Callable[[], list[bytes]]:
        return lambda: self.ask(site)


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.site_settings"
    django.setup()
    with throw_away_database(), celery_progress(range(BARS)) as apps:
        make_rows()
        gc.freeze()
        site = Site()
        seconds = own_seconds(site) | other_seconds(apps)
        sizes = {name: size(second, site) for name, second in seconds.items()}
        calls = {name: second.caller(site) for name, second in seconds.items()}
        elapsed = in_turns(calls, ROUNDS, 1, perf_counter_ns)
        worked = in_turns(calls, ROUNDS, 1, process_time_ns)
        print(section(elapsed, worked, sizes, list(apps)))
        if "--section" not in sys.argv:
            print(details(worked, list(apps)))


def own_seconds(site: Site) -> dict[str, Second]:
    """Return the polls of a page that shows the latest, and of one that has seen nothing of it."""
    set_progress(420)
    before = site.poll_urls(PAGE)
    set_progress(430)
    now = site.poll_urls(PAGE)
    return {
        JOINT.format(UNCHANGED): Second(joint(now), 204),
        JOINT.format(CHANGED): Second(joint(before), 200),
        SINGLE.format(UNCHANGED): Second([Request(url) for url in now], 204),
        SINGLE.format(CHANGED): Second([Request(url) for url in before], 200),
    }


def set_progress(least: int) -> None:
    """Let each task have come a different way."""
    from django.db.models import F

    from benchmarks.site_urls import ids_of
    from progress_widget.models import TaskProgress

    rows = TaskProgress.objects.filter(task_id__in=ids_of(BARS))
    rows.update(progress=least + F("pk") % 500)


def joint(urls: list[str]) -> list[Request]:
    """Return the requests in which the page's script joins these polls."""
    count = f"{len(urls)} {len(urls)}"
    parts = [urls[start : start + TOGETHER] for start in range(0, len(urls), TOGETHER)]
    bodies = ["\n".join([count, *part]) for part in parts]
    return [Request(JOINT_URL, body.encode()) for body in bodies]


def other_seconds(apps: dict[str, Any]) -> dict[str, Second]:
    """Return the polls of celery-progress's bars, once for each of the apps."""
    from django.urls import reverse

    from benchmarks.site_urls import ids_of

    urls = [reverse("celery_progress:task_status", args=[task_id]) for task_id in ids_of(BARS)]
    requests = [Request(url) for url in urls] * OTHERS_PACE
    return {OTHER.format(name): Second(requests, 200, app) for name, app in apps.items()}


def size(second: Second, site: Site) -> tuple[int, int, int, int]:
    """Return how many requests, queries, and bytes up and down it takes."""
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        contents = second.ask(site)
    up = sum(request.size for request in second.requests)
    return len(contents), len(queries), up, sum(map(len, contents))


# Reporting


def section(
    elapsed: Blocks, worked: Blocks, sizes: dict[str, tuple[int, ...]], others: list[str]
) -> str:
    """Return the section of the page."""
    described = METHOD.format(bars=BARS, together=TOGETHER, rounds=ROUNDS)
    return "\n\n".join(
        [
            "## What a hundred bars cost in a second",
            table_of(elapsed, worked, sizes, others),
            targets(worked, others),
            described.strip(),
        ]
    )


def table_of(
    elapsed: Blocks, worked: Blocks, sizes: dict[str, tuple[int, ...]], others: list[str]
) -> str:
    ofs = [f"of celery-progress's, {name}" for name in others]
    heads = [
        "",
        "requests",
        "queries",
        "bytes up",
        "bytes down",
        "ms that pass",
        "ms of work",
        *ofs,
    ]
    lines = []
    for name, counted in sizes.items():
        times = [f"{median(blocks[name]):.1f}" for blocks in (elapsed, worked)]
        ratios = [as_ratio(ratio(worked, name, OTHER.format(other))) for other in others]
        lines.append([name, *(f"{number:,}" for number in counted), *times, *ratios])
    return table(heads, lines)


def targets(worked: Blocks, others: list[str]) -> str:
    told = []
    for what, times_by_other in LEAST.items():
        for other, times in times_by_other.items():
            if other in others:
                found = ratio(worked, JOINT.format(what), OTHER.format(other))
                told.append(
                    f"- Target: {BARS} bars, {what}, take at most 1/{times} of the work "
                    f"of {BARS} of celery-progress's on {other}: {as_ratio(found)}, "
                    f"{verdict(found <= 1 / times)}."
                )
    return "\n".join(told)


def details(worked: Blocks, others: list[str]) -> str:
    """Return what is not on the page: how certain the ratios are."""
    lines = []
    for what in LEAST:
        for other in others:
            pairs = paired(worked, JOINT.format(what), OTHER.format(other))
            lines.append([f"{what}, {other}", *(f"{cut:.4f}" for cut in quantiles(pairs))])
    return "\n## Quartiles of the ratios\n\n" + table(["", "25 %", "50 %", "75 %"], lines)


if __name__ == "__main__":
    main()
