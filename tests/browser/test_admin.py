"""The bars in Django's admin, which brings its own htmx."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress
from tests.browser.visitor import INTERVAL, Visitor


@pytest.mark.parametrize("htmx", ["2"], indirect=True)
@pytest.mark.parametrize("name", ["changelist", "change"])
def test_bar_moves_and_finishes_in_the_admin(visitor: Visitor, settings: Any, name: str) -> None:
    settings.PROGRESS_WIDGET_POLL_INTERVAL = INTERVAL
    bar = ProgressBar("kelp", total=10)
    arguments = [TaskProgress.objects.get().pk] if name == "change" else []
    _log_in(visitor)

    visitor.page.goto(
        visitor.server + reverse(f"admin:progress_widget_taskprogress_{name}", args=arguments)
    )
    visitor.sees(percent=0, state="running")
    bar.update(progress=4)
    visitor.sees(percent=40)
    bar.finalize()
    visitor.sees(percent=100, state="succeeded")

    assert visitor.polls_during(intervals=3) == 0


def _log_in(visitor: Visitor) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    cookie = client.cookies["sessionid"].value
    visitor.page.context.add_cookies(
        [{"name": "sessionid", "value": cookie, "url": visitor.server}]
    )
