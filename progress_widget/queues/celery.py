"""Celery's answers: which task is running here, and how a task has ended."""

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
    """Return the request of the task that is running here, or None if there is none."""
    if not current_task:
        return None
    request = current_task.request
    return None if request.called_directly else request


def result(task_id: str) -> State | None:
    """Ask Celery's result backend how a task without a row has ended.

    Returns:
        The state, or None if the task has not ended or the backend does not know. A disabled
        backend is not asked, nor is rpc, where asking would take the result away from whoever
        is waiting for it.
    """
    try:
        if isinstance(current_app.backend, (DisabledBackend, RPCBackend)):
            return None
        return BACKEND_STATES.get(AsyncResult(task_id).state)
    except Exception:  # whatever a backend raises, it cannot answer
        return None
