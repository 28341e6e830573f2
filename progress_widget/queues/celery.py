"""Celery: which task runs here, and how one has ended."""

from __future__ import annotations

from typing import Any

from celery import current_app, current_task, states
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from celery.result import AsyncResult

from progress_widget.states import State

BACKEND_STATES = {
    states.SUCCESS: State.SUCCEEDED,
    states.FAILURE: State.FAILED,
    states.REVOKED: State.CANCELLED,
}


def current_run() -> Any:
    """Return the request of the task that runs here, or None if none does."""
    if not current_task:
        return None
    request = current_task.request
    return None if request.called_directly else request


def result(task_id: str) -> State | None:
    """Ask Celery's result backend how a task without a row has ended.

    Returns:
        None if it has not ended or nobody knows. A disabled backend is not asked, nor is rpc, where
        asking would take the answer away from whoever waits for it.
    """
    try:
        if isinstance(current_app.backend, (DisabledBackend, RPCBackend)):
            return None
        return BACKEND_STATES.get(AsyncResult(task_id).state)
    except Exception:  # whatever a backend raises, it can't be asked
        return None
