from __future__ import annotations

import socket

import pytest
from celery import Celery, current_app, states
from celery.backends.filesystem import FilesystemBackend
from celery.backends.rpc import RPCBackend
from kombu.exceptions import OperationalError
from kombu.pidbox import Mailbox

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


# Cancelling; real workers are in workers/test_cancelling.py.


@pytest.fixture
def app_on(monkeypatch):
    """Return a function that lets the tasks be those of an app with another broker."""

    def app_on(url, **conf):
        lonely = Celery("lonely", broker=url, set_as_current=False)
        lonely.conf.update(conf)
        monkeypatch.setattr(celery, "current_app", lonely)

    return app_on


def test_workers_are_told_which_tasks_are_revoked(app_on, monkeypatch):
    told = []
    app_on("memory://")
    monkeypatch.setattr(Mailbox, "abcast", lambda self, *args: told.append(args))

    celery.cancel(["kelp", "eel"], terminate=True)

    assert told == [("revoke", {"task_id": ["kelp", "eel"], "terminate": True})]


def test_broker_that_refuses_is_an_error_soon(app_on):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        app_on(f"amqp://127.0.0.1:{free.getsockname()[1]}//")

    with pytest.raises(OperationalError, match="refused"):
        celery.cancel(["kelp"], terminate=False)


def test_eager_task_is_over_so_that_no_broker_is_asked(app_on):
    app_on("no-such-broker://", task_always_eager=True)

    assert celery.cancel(["kelp"], terminate=False) is None
