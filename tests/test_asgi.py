"""Bars in pages of async views, on a real ASGI server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from django.conf import settings
from django.db import connection

from progress_widget.models import TaskProgress

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(django_db_setup: None) -> Iterator[str]:
    """The address of the server, on the tests' database."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "tests.asgi:application"),
                *("--fd", str(listener.fileno()), "--lifespan", "off", "--log-level", "warning"),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.asgi_settings",
                "PROGRESS_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            },
            pass_fds=[listener.fileno()],
        )
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.send_signal(signal.SIGINT)
        server.wait(30)


@pytest.fixture
def fetch(site: str) -> Callable[..., tuple[int, str]]:
    """Return the answer to a GET: its status code and its text."""

    def fetch(path: str, **headers: str) -> tuple[int, str]:
        request = Request(site + path, headers={"HX-Request": "true", **headers})
        with urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()

    return fetch


@pytest.fixture
def cookie(client: Any, admin_user: Any) -> str:
    client.force_login(admin_user)
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"


@pytest.mark.parametrize("page", ["with_tag", "by_hand"])
def test_async_view_shows_a_bar_that_polls(fetch, bar_in, cookie, page):
    row = TaskProgress.objects.create(task_id="kelp", total=10, progress=5)
    bar = bar_in(fetch(f"/{page}/kelp/", Cookie=cookie)[1])

    unchanged, _ = fetch(bar["hx-get"], Cookie=cookie)
    TaskProgress.objects.filter(pk=row.pk).update(progress=7)
    news = bar_in(fetch(bar["hx-get"], Cookie=cookie)[1])

    assert (bar["data-percent"], unchanged, news["data-percent"]) == ("50.0", 204, "70.0")


@pytest.mark.parametrize("page", ["with_tag", "by_hand"])
def test_its_bar_belongs_to_the_user(fetch, bar_in, cookie, page):
    TaskProgress.objects.create(task_id="kelp", total=10, progress=5)
    bar = bar_in(fetch(f"/{page}/kelp/", Cookie=cookie)[1])

    _, refused = fetch(bar["hx-get"])

    assert bar_in(refused)["data-state"] == "refused"
