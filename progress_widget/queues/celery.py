"""Celery's answers: which task is running here, and how a task has ended."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from weakref import WeakValueDictionary

from celery import current_app, states
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from celery.result import AsyncResult

from progress_widget.states import State

BACKEND_STATES = {
    states.SUCCESS: State.SUCCEEDED,
    states.FAILURE: State.FAILED,
    states.REVOKED: State.CANCELLED,
}


# The runs of this process. Celery's current_task will not do: a task that is called as a function
# hides it, and threads that a task starts do not know it.
_runs: WeakValueDictionary[str, Any] = WeakValueDictionary()
_here: ContextVar[Any] = ContextVar("progress_widget_run", default=None)


def begin_run(request: Any) -> None:
    """Note that a task runs here, until end_run()."""
    request.progress_outer_run = _here.get()
    _here.set(request)
    _runs[request.id] = request


def end_run(request: Any) -> None:
    """Note that it does not any more; an eager task leaves the task that called it."""
    if _here.get() is request:
        _here.set(request.progress_outer_run)
    task_id = request.id
    if _runs.get(task_id) is request:
        del _runs[task_id]


def current_run(task_id: str) -> Any:
    """Return the request of the run of this task in this process, wherever it is asked for.

    If there is none, return that of the task in which the call is made, or None.
    """
    return _runs.get(task_id) or _here.get()


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
