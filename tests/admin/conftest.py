from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from progress_widget.models import TaskProgress
from tests.models import Harvest

PERMISSIONS = {
    "changer": ["view_harvest", "change_harvest"],
    "viewer": ["view_harvest"],
    "outsider": [],
}
"""What the users may do that are neither superuser nor anonymous; all are staff."""


@pytest.fixture
def log_in(client) -> Callable[[str], Any]:
    """Log in as "superuser", as one of PERMISSIONS or, as "anonymous", not at all."""

    def log_in(name: str) -> Any:
        client.logout()
        if name == "anonymous":
            return None
        user, _ = get_user_model().objects.get_or_create(
            username=name, is_staff=True, is_superuser=name == "superuser"
        )
        known = Permission.objects.filter(codename__in=PERMISSIONS.get(name, []))
        user.user_permissions.set(known)
        client.force_login(user)
        return user

    return log_in


@pytest.fixture
def visit(client) -> Callable[..., BeautifulSoup]:
    """Visit a page that is there."""

    def visit(url: str, **options: Any) -> BeautifulSoup:
        response = client.get(url, **options)
        assert response.status_code == 200
        return BeautifulSoup(response.content, "html.parser")

    return visit


@pytest.fixture
def harvest() -> Harvest:
    """An object whose task has come to 40 %."""
    TaskProgress.objects.create(task_id="kelp-1", total=10, progress=4, attempt=1)
    return Harvest.objects.create(name="Spring", task_id="kelp-1")
