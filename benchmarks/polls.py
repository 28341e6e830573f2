"""What a poll and a page of bars cost: ``python -m benchmarks.polls`` prints it.

With ``--section``, it prints only what ``make bench`` puts on its page. DATABASE_URL (else SQLite)
and REDIS_URL (else celery-progress is not measured on Redis) name servers.
"""

from __future__ import annotations

import gc
import gzip
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import unescape
from io import BytesIO
from statistics import median, quantiles
from time import perf_counter_ns, thread_time_ns
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import connection
from django.http import HttpResponse

from benchmarks.common import as_ratio, throw_away_database, verdict, versions

ROWS = 1_000
POLLED = 500  # number of the task that is polled; the pages show those from 0
COUNTS = (1, 10, 100)
ROUNDS, CALLS = 60, 20
ROUNDS_OF_PAGES, CALLS_OF_PAGES = 20, 3
ROUNDS_OF_CONNECTIONS, CALLS_OF_CONNECTIONS = 20, 5
ROUNDS_OF_PARTS, CALLS_OF_PARTS = 20, 200

BARE, LINE = "a bare view with one SELECT", "a view with one SELECT and a line of template"
UNCHANGED, CHANGED = "a poll, unchanged (204)", "a poll, changed (200)"
OTHER = "celery-progress's view, {}"
PLAIN = {BARE: BARE, LINE: LINE, UNCHANGED: BARE, CHANGED: LINE}
"""What each contestant is compared with."""

OF_USER = ", logged in"
NEW_CONNECTION = ", new connection"
PAGES = {
    "lines": "a line with `<progress>` each",
    "celery-progress": "celery-progress's markup and calls",
    "rows": "`{% progressbar row %}`, by `for_tasks()`",
    "block": "`{% progressbar id %}` in `{% progressbars %}`",
    "ids": "`{% progressbar id %}`",
}

MOST_UNCHANGED, MOST_CHANGED = 1.1, 1.4
MOST_MILLISECONDS, MOST_BYTES = 0.15, 1_300
MOST_OF_PAGE = 1, 20, 14_000  # queries, milliseconds and compressed bytes of a page of 100

METHOD = """\
Everything runs in one process, through the middleware that `startproject` sets: for each call, a
new `WSGIRequest` goes to `WSGIHandler.get_response()`. There is no server in between, and no signal
ends the request, so the connection to the database stays open, as with `CONN_MAX_AGE`; for a new
connection, it is closed after each answer, as Django does without that setting. The contestants
alternate, in blocks of {calls} calls ({pages} for pages), {rounds} times ({rounds_of_pages}), in an
order that rotates. The milliseconds are the median of the blocks' medians; a ratio is the median of
the ratios of the blocks of one round, which ran under the same conditions. The table has {rows:,}
rows.

A bar's share is what its page costs more than the same page without bars, divided by their number.
For the target, it is measured in processor time, which other work on the machine does not lengthen;
a bar whose row is given waits for nothing else.

The ratios are for a database on the same machine. A faster one makes them larger, a slower one
smaller: what a poll adds to a plain view is the package's own work.
"""

Blocks = dict[str, list[float]]
Call = Callable[[], Any]
Clock = Callable[[], int]
Sizes = dict[str, tuple[int, int, int]]


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.site_settings"
    django.setup()
    with throw_away_database(), celery_progress([POLLED]) as others:
        make_rows()
        gc.freeze()
        polls = measure_polls(others)
        connections = measure_connections()
        pages = measure_pages()
        print(section(polls, connections, *pages))
        if "--section" not in sys.argv:
            print(details(polls, measure_parts()))


# Requests


class Site:
    """The project, called without a server."""

    def __init__(self) -> None:
        self.handler = WSGIHandler()

    def get(self, url: str, cookie: str = "") -> HttpResponse:
        """Return the answer to a GET as htmx sends it."""
        return self._answer("GET", url, cookie)

    def post(self, url: str, body: bytes) -> HttpResponse:
        """Return the answer to a POST as the package's script sends it."""
        return self._answer("POST", url, body=body)

    def _answer(self, method: str, url: str, cookie: str = "", body: bytes = b"") -> HttpResponse:
        path, _, query = url.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost:8000",
            "HTTP_HX_REQUEST": "true",
            "HTTP_COOKIE": cookie,
            "CONTENT_TYPE": "text/plain;charset=UTF-8" if body else "",
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
        }
        return self.handler.get_response(WSGIRequest(environ))

    def caller(self, url: str, status: int, cookie: str = "") -> Call:
        """Return a function that requests this URL, after a check of the answer's status code."""
        answer = self.get(url, cookie)
        if answer.status_code != status:
            raise RuntimeError(f"{url} is answered with {answer.status_code} instead of {status}")
        return lambda: self.get(url, cookie)

    def poll_url(self, cookie: str = "") -> str:
        """Return the URL that the bar of the polled task would poll next."""
        return self.poll_urls(f"/page/one/{POLLED}/", cookie)[0]

    def poll_urls(self, page: str, cookie: str = "") -> list[str]:
        """Return the URLs that the bars of a page would poll next."""
        content = self.get(page, cookie).content.decode()
        return [unescape(url) for url in re.findall(r'hx-get="([^"]+)"', content)]


def make_rows() -> None:
    """Fill the table with running tasks."""
    from benchmarks.site_urls import task_id
    from progress_widget.models import TaskProgress

    TaskProgress.objects.bulk_create(
        TaskProgress(task_id=task_id(number), total=1000, progress=420, attempt=1, step="Importing")
        for number in range(ROWS)
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def advance_polled() -> None:
    """Advance the polled task, so that what was shown before is out of date."""
    from benchmarks.site_urls import task_id
    from progress_widget.models import TaskProgress

    TaskProgress.objects.filter(task_id=task_id(POLLED)).update(progress=430)


def log_in() -> str:
    """Return the cookie of a user who has just logged in."""
    from django.conf import settings
    from django.contrib.auth import get_user_model, login
    from django.contrib.sessions.backends.db import SessionStore
    from django.http import HttpRequest

    request = HttpRequest()
    request.session = SessionStore()
    login(request, get_user_model().objects.create_user("somebody"))
    request.session.save()
    return f"{settings.SESSION_COOKIE_NAME}={request.session.session_key}"


@contextmanager
def celery_progress(
    numbers: Iterable[int], on: Sequence[str] = ("Redis", "django-db")
) -> Iterator[dict[str, Any]]:
    """Store celery-progress's state of these tasks, with an app for each result backend."""
    from celery import Celery

    from benchmarks.site_urls import task_id

    backends = {"Redis": os.environ.get("REDIS_URL"), "django-db": "django-db"}
    apps = {
        name: Celery("benchmarks", backend=url, set_as_current=False)
        for name, url in backends.items()
        if url and name in on
    }
    news = {"pending": False, "current": 430, "total": 1000, "percent": 43.0, "description": "Imp"}
    stored = [(app, task_id(number)) for app in apps.values() for number in numbers]
    for app, each in stored:
        app.backend.store_result(each, news, "PROGRESS")
    try:
        yield apps
    finally:
        for app, each in stored:
            app.backend.forget(each)


# Measuring


def in_turns(
    contestants: dict[str, Call], rounds: int, calls: int, clock: Clock = perf_counter_ns
) -> Blocks:
    """Return each contestant's milliseconds for a call, by blocks: one in each round."""
    blocks: Blocks = {name: [] for name in contestants}
    names = list(contestants)
    for call in contestants.values():
        measure_block(call, calls, clock)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            blocks[name].append(measure_block(contestants[name], calls, clock))
    return blocks


def measure_block(call: Call, calls: int, clock: Clock) -> float:
    """Return the median of some calls, in milliseconds."""
    spent = []
    for _ in range(calls):
        before = clock()
        call()
        spent.append(clock() - before)
    return median(spent) / 1e6


def paired(blocks: Blocks, name: str, base: str) -> list[float]:
    """Return the ratio of the two in each round."""
    return [one / other for one, other in zip(blocks[name], blocks[base], strict=True)]


def ratio(blocks: Blocks, name: str, base: str) -> float:
    return median(paired(blocks, name, base))


def measure_polls(others: dict[str, Any]) -> Blocks:
    """Measure polls and plain views, without and with a user, and celery-progress's view."""
    site = Site()
    contestants = poll_contestants(site, log_in()) | other_contestants(site, others)
    return in_turns(contestants, ROUNDS, CALLS)


def poll_contestants(site: Site, session: str) -> dict[str, Call]:
    """Return the polls and the plain views, requested by nobody and by the session's user."""
    before = {cookie: site.poll_url(cookie) for cookie in ("", session)}
    advance_polled()
    return {
        **contestants_of(site, before[""], "", "", ""),
        **contestants_of(site, before[session], session, OF_USER, "-of-user"),
    }


def contestants_of(site: Site, before: str, cookie: str, end: str, views: str) -> dict[str, Call]:
    """Return the polls and the plain views as one visitor requests them.

    Args:
        before: The URL that a page polls which has not seen the last change.
        end: The end of the contestants' names.
        views: The end of the plain views' names.
    """
    from benchmarks.site_urls import task_id

    return {
        BARE + end: site.caller(f"/bare{views}/{task_id(POLLED)}/", 204, cookie),
        UNCHANGED + end: site.caller(site.poll_url(cookie), 204, cookie),
        LINE + end: site.caller(f"/line{views}/{task_id(POLLED)}/", 200, cookie),
        CHANGED + end: site.caller(before, 200, cookie),
    }


def other_contestants(site: Site, others: dict[str, Any]) -> dict[str, Call]:
    """Return celery-progress's view, once for each of the apps."""
    from django.urls import reverse

    from benchmarks.site_urls import task_id

    url = reverse("celery_progress:task_status", args=[task_id(POLLED)])

    def caller(app: Any) -> Call:
        def ask() -> None:
            app.set_current()
            answer = site.get(url)
            if b"PROGRESS" not in answer.content:
                raise RuntimeError(answer.content)

        return ask

    return {OTHER.format(name): caller(app) for name, app in others.items()}


def measure_connections() -> Blocks:
    """Measure what a new connection for each request adds."""
    from benchmarks.site_urls import task_id

    site = Site()
    contestants = {
        BARE: site.caller(f"/bare/{task_id(POLLED)}/", 204),
        UNCHANGED: site.caller(site.poll_url(), 204),
    }
    contestants |= {name + NEW_CONNECTION: closing(call) for name, call in contestants.items()}
    return in_turns(contestants, ROUNDS_OF_CONNECTIONS, CALLS_OF_CONNECTIONS)


def closing(call: Call) -> Call:
    """Return a function that makes the call and closes its connection."""

    def ask() -> None:
        call()
        connection.close()

    return ask


def measure_pages() -> tuple[Blocks, Blocks, Sizes]:
    """Measure the pages in elapsed and in processor time, and count their queries and bytes."""
    site = Site()
    urls = [f"/page/{kind}/{count}/" for kind in PAGES for count in (0, *COUNTS)]
    contestants = {url: site.caller(url, 200) for url in urls}
    sizes = {url: size(call) for url, call in contestants.items()}
    elapsed = in_turns(contestants, ROUNDS_OF_PAGES, CALLS_OF_PAGES)
    given = {url: call for url, call in contestants.items() if "/rows/" in url}
    worked = in_turns(given, ROUNDS_OF_PAGES, CALLS_OF_PAGES, thread_time_ns)
    return elapsed, worked, sizes


def size(call: Call) -> tuple[int, int, int]:
    """Return how many queries, bytes and compressed bytes an answer takes."""
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        content = call().content
    return len(queries), len(content), len(gzip.compress(content, 6))


def measure_parts() -> Blocks:
    """Measure the parts of a poll, each alone."""
    return in_turns(parts(), ROUNDS_OF_PARTS, CALLS_OF_PARTS)


def parts() -> dict[str, Call]:
    """Return the parts; only this function knows the package's internals."""
    from benchmarks.site_urls import task_id
    from progress_widget.models import TaskProgress
    from progress_widget.reading import rendering, tickets
    from progress_widget.reading.fragments import Fragment, fragment_of
    from progress_widget.reading.polling import present

    ticket = tickets.Ticket(task_id=task_id(POLLED), language="en-us")
    token = tickets.sign(ticket)
    row = TaskProgress.objects.for_tasks([ticket.task_id])[ticket.task_id]

    def new() -> Fragment:
        return fragment_of(row, ticket, present().of(row))

    return {
        "reading a token": lambda: tickets.read(token),
        "signing a token": lambda: tickets.sign(ticket),
        "a fragment and its version": lambda: new().version,
        "rendering a fragment": lambda: rendering.render(new(), "p00000000", token=token),
        "the SELECT": lambda: TaskProgress.objects.for_tasks([ticket.task_id]),
    }


# Reporting


def section(
    polls: Blocks, connections: Blocks, elapsed: Blocks, worked: Blocks, sizes: Sizes
) -> str:
    """Return the sections of the page."""
    described = METHOD.format(
        calls=CALLS,
        pages=CALLS_OF_PAGES,
        rounds=ROUNDS,
        rounds_of_pages=ROUNDS_OF_PAGES,
        rows=ROWS,
    )
    packages = ("Django", "django-htmx", "celery-progress", "django-celery-results")
    return "\n\n".join(
        [
            "## What a poll costs",
            versions(*packages),
            table_of_polls(polls),
            targets_of_polls(polls),
            "The same with a connection for each request (`CONN_MAX_AGE = 0`, Django's default):",
            table_of_connections(connections),
            "## What a page costs",
            table_of_pages(elapsed, sizes),
            targets_of_pages(elapsed, worked, sizes),
            "## How polls and pages are measured",
            described.strip(),
        ]
    )


def table(heads: list[str], lines: list[list[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(cells) + " |"
        for cells in (heads, ["---", *["--:"] * (len(heads) - 1)], *lines)
    )


def table_of_polls(blocks: Blocks) -> str:
    heads = ["", "ms", "of the plain view's", "logged in, ms", "of the plain view's"]
    lines = []
    for name in [name for name in blocks if OF_USER not in name]:
        base = PLAIN.get(name, BARE)
        cells = [name, *cost(blocks, name, base)]
        if name + OF_USER in blocks:
            cells += cost(blocks, name + OF_USER, base + OF_USER)
        lines.append(cells + ["–"] * (len(heads) - len(cells)))
    return table(heads, lines)


def table_of_connections(blocks: Blocks) -> str:
    lines = [[name, *cost(blocks, name + NEW_CONNECTION, BARE)] for name in (BARE, UNCHANGED)]
    return table(["", "ms", "of a bare view's on a kept connection"], lines)


def cost(blocks: Blocks, name: str, base: str) -> list[str]:
    return [f"{median(blocks[name]):.2f}", as_ratio(ratio(blocks, name, base))]


def table_of_pages(blocks: Blocks, sizes: Sizes) -> str:
    heads = ["", "bars", "queries", "bytes", "gzip", "ms", "ms a bar", "bytes a bar"]
    lines = []
    for kind, name in PAGES.items():
        for count in COUNTS:
            url = f"/page/{kind}/{count}/"
            milliseconds, length = share(blocks, sizes, kind, count)
            cells = [f"{number:,}" for number in (count, *sizes[url])]
            spent = f"{median(blocks[url]):.1f}"
            lines.append([name, *cells, spent, f"{milliseconds:.2f}", f"{length:,.0f}"])
    return table(heads, lines)


def share(blocks: Blocks, sizes: Sizes, kind: str, count: int) -> tuple[float, float]:
    """Return the milliseconds and the bytes that each bar adds to its page."""
    url, empty = f"/page/{kind}/{count}/", f"/page/{kind}/0/"
    pairs = zip(blocks[url], blocks[empty], strict=True)
    more = median(one - other for one, other in pairs)
    return more / count, (sizes[url][1] - sizes[empty][1]) / count


def targets_of_polls(blocks: Blocks) -> str:
    unchanged, changed = ratio(blocks, UNCHANGED, BARE), ratio(blocks, CHANGED, LINE)
    return (
        f"- Target: an unchanged poll costs at most {MOST_UNCHANGED} times the bare view: "
        f"{as_ratio(unchanged)}, {verdict(unchanged <= MOST_UNCHANGED)}.\n"
        f"- Target: a changed poll costs at most {MOST_CHANGED} times the view with a line: "
        f"{as_ratio(changed)}, {verdict(changed <= MOST_CHANGED)}."
    )


def targets_of_pages(elapsed: Blocks, worked: Blocks, sizes: Sizes) -> str:
    milliseconds, length = share(worked, sizes, "rows", max(COUNTS))
    block = f"/page/block/{max(COUNTS)}/"
    queries, _, compressed = sizes[block]
    page = (queries, median(elapsed[block]), compressed)
    is_met = all(one <= most for one, most in zip(page, MOST_OF_PAGE, strict=True))
    return (
        "- Target: a bar on a page, its row given, takes at most "
        f"{MOST_MILLISECONDS} ms of processor time: "
        f"{milliseconds:.3f} ms, {verdict(milliseconds <= MOST_MILLISECONDS)}.\n"
        f"- Target: it is at most {MOST_BYTES:,} bytes long: "
        f"{length:,.0f}, {verdict(length <= MOST_BYTES)}.\n"
        f"- Target: a page of {max(COUNTS)} bars in `{{% progressbars %}}` takes at most "
        f"{MOST_OF_PAGE[0]} query, {MOST_OF_PAGE[1]} ms and {MOST_OF_PAGE[2]:,} bytes (gzip): "
        f"{page[0]}, {page[1]:.1f} ms and {page[2]:,}, {verdict(is_met)}."
    )


def details(polls: Blocks, alone: Blocks) -> str:
    """Return what is not on the page: where the time goes, and how certain the ratios are."""
    spread = [
        [name + end, *(f"{cut:.3f}" for cut in quantiles(paired(polls, name + end, base + end)))]
        for end in ("", OF_USER)
        for name, base in ((UNCHANGED, BARE), (CHANGED, LINE))
    ]
    microseconds = [[name, f"{median(blocks) * 1000:.1f}"] for name, blocks in alone.items()]
    return "\n\n".join(
        [
            "\n## Parts alone",
            table(["", "microseconds"], microseconds),
            "## Quartiles of the ratios",
            table(["", "25 %", "50 %", "75 %"], spread),
        ]
    )


if __name__ == "__main__":
    main()
