from __future__ import annotations

import pytest
from celery import current_app, states
from celery.backends.filesystem import FilesystemBackend
from celery.backends.rpc import RPCBackend

from progress_widget.models import State
from progress_widget.queues import celery
from tests.celery import app


@pytest.fixture
def backend(monkeypatch):
    """Return a function that sets the result backend of the tests' app."""

    def backend(given):
        monkeypatch.setattr(type(current_app._get_current_object()), "backend", given)

    return backend


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (states.SUCCESS, State.SUCCEEDED),
        (states.REVOKED, State.CANCELLED),
        (states.FAILURE, State.FAILED),
        (states.STARTED, None),
        (None, None),
    ],
)
def test_backend_tells_how_a_task_has_ended(backend, tmp_path, stored, expected):
    files = FilesystemBackend(url=f"file://{tmp_path}", app=app)
    backend(files)
    if stored is not None:
        result = ValueError() if stored in states.EXCEPTION_STATES else None
        files.store_result("kelp", result, stored)

    assert celery.result("kelp") == expected


def test_disabled_backend_knows_nothing():
    assert celery.result("kelp") is None


def test_backend_by_messages_is_not_asked(backend):
    class Rpc(RPCBackend):
        def get_task_meta(self, *args, **kwargs):
            raise SystemExit

    backend(Rpc(app=app))

    assert celery.result("kelp") is None


def test_backend_in_trouble_knows_nothing(backend):
    backend(None)

    assert celery.result("kelp") is None
