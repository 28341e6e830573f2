"""What tests of several modules need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import HttpRequest
from django.template import engines
from django.utils import translation

from progress_widget.models import TaskProgress
from progress_widget.reading import logs
from progress_widget.signals import progress_finished
from progress_widget.writing.announcing import announcer
from tests.celery import app

pytest_plugins = ["tests.summary"]
TABLE = "progress_widget_taskprogress"


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Restore the language: LocaleMiddleware leaves that of the last request in the thread."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def own_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test see what is logged once."""
    monkeypatch.setattr(logs, "_last", {})


@pytest.fixture
def draw() -> Callable[..., str]:
    """Render template source, with the library loaded."""

    def draw(source: str, request: HttpRequest | None = None, **context: Any) -> str:
        template = engines["django"].from_string("{% load progress_widget %}" + source)
        return template.render(context, request)

    return draw


@pytest.fixture
def bar_in() -> Callable[[Any], Tag]:
    """Find the one bar in some HTML, or in a response."""

    def bar_in(html: Any) -> Tag:
        text = html.content.decode() if hasattr(html, "content") else html
        bars = BeautifulSoup(text, "html.parser").select("[data-state]")
        assert len(bars) == 1
        return bars[0]

    return bar_in


@pytest.fixture
def page_bar(draw, bar_in) -> Callable[..., Tag]:
    """Return the bar of a page that shows a task; the options are the tag's."""

    def page_bar(task: Any, options: str = "", request: HttpRequest | None = None) -> Tag:
        return bar_in(draw("{% progressbar task " + options + " %}", request, task=task))

    return page_bar


@pytest.fixture
def poll(client) -> Callable[..., Any]:
    """Send the poll of a bar, as htmx does."""

    def poll(bar: Tag, **headers: str) -> Any:
        return client.get(bar["hx-get"], headers={"HX-Request": "true"} | headers)

    return poll


@pytest.fixture
def request_of(rf) -> Callable[..., HttpRequest]:
    """Return a user's request for a page."""

    def request_of(user: Any = None) -> HttpRequest:
        request = rf.get("/")
        request.user = user or AnonymousUser()
        return request

    return request_of


@pytest.fixture
def connect() -> Iterator[Callable[..., None]]:
    """Connect a receiver of progress_finished until the test is over."""
    connected = []

    def connect(receiver: Callable[..., None]) -> None:
        progress_finished.connect(receiver, sender=TaskProgress)
        connected.append(receiver)

    yield connect
    announcer.drain()
    for receiver in connected:
        progress_finished.disconnect(receiver, sender=TaskProgress)


@pytest.fixture
def told(connect) -> list[tuple[str, str]]:
    """Return which task has been announced to have ended how, in a list."""
    told = []
    connect(lambda row, **signal: told.append((row.task_id, str(row.state))))
    return told


@pytest.fixture
def refusing_database() -> Callable[[], AbstractContextManager[None]]:
    """Make each statement on the rows fail, in the database itself."""

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if TABLE in sql:
            return execute("SELECT * FROM no_such_table", None, False, context)
        return execute(sql, params, many, context)

    @contextmanager
    def refusing() -> Iterator[None]:
        with connection.execute_wrapper(refuse):
            yield

    return refusing


@pytest.fixture
def eager() -> Iterator[None]:
    """Run tasks where they are sent from."""
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False
