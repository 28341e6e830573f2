"""Celery's answers: which task runs here, how one is started and has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakValueDictionary

from celery import Task, current_app, states
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from celery.canvas import Signature
from celery.exceptions import SoftTimeLimitExceeded
from celery.result import AsyncResult

from progress_widget.states import State

BACKEND_STATES = {
    states.SUCCESS: State.SUCCEEDED,
    states.FAILURE: State.FAILED,
    states.REVOKED: State.CANCELLED,
}

INTERRUPTIONS = (SoftTimeLimitExceeded,)
"""What breaks into a task, whatever it is doing: always the task's own, and raised only once."""

HEADER = "progress_widget"
"""In the message of a task whose row was made before it was published."""

GROUP_HEADER = "progress_widget_group"
"""In the message of a task of a group that has one row: the group's id."""

RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
"""A page waits while a task is published, so there is one more try, and that at once."""

PATIENCE = 4.0
"""Seconds for which a page waits at most for a free connection to the broker, or for a new one."""


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


def work_of(task: Any, args: Sequence[Any]) -> Any:
    """Return the signature of a call: of a task, of a signature or of the name of a task.

    Raises:
        TypeError: It is none of these, or the task does not take these arguments.
    """
    if isinstance(task, str):
        return current_app.signature(task, args)
    if isinstance(task, Signature) and not task.subtask_type:
        work = task.clone(args)
    elif isinstance(task, Task):
        work = task.s(*args)
    else:
        raise TypeError(f"start_task() takes a Celery task, or the signature of one, not {task!r}")
    check_arguments(work)
    return work


def check_arguments(work: Any) -> None:
    """Raise TypeError if the task of a signature is known and does not take its arguments."""
    known = work.app.tasks.get(work.task)
    if known is not None and known.typing:
        known.__header__(*work.args, **work.kwargs)  # as apply_async() checks them, but later


def name_of(work: Any) -> str:
    """Return the dotted name of the task that is called."""
    return str(work.task)


def publish(work: Any, task_id: str) -> None:
    """Publish a task, and say in its message that it has a row; raise if that fails, but soon."""
    headers = (work.options.get("headers") or {}) | {HEADER: True}
    work = work.clone(task_id=task_id, headers=headers)
    if work.app.conf.task_always_eager:
        work.apply_async()
        return
    work.options.setdefault("retry_policy", RETRY_POLICY)
    with producer_of(work.app) as producer:
        work.apply_async(producer=producer)


@contextmanager
def producer_of(app: Any) -> Iterator[Any]:
    """Give what publishes, connected to the broker; raise soon where there is none."""
    with app.producer_pool.acquire(block=True, timeout=PATIENCE) as producer:
        # Celery itself would try to connect for ever, with some brokers.
        producer.connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)
        yield producer


def cancel(task_ids: Sequence[str], *, terminate: bool) -> None:
    """Tell the workers to start none of these tasks any more; raise if that fails, but soon.

    Args:
        terminate: Whether to break off those that run as well, where their pool can.
    """
    if is_eager():
        return
    with current_app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)
        mailbox = current_app.control.mailbox(connection)
        # On this very connection: one of the pool may be dead, and would be tried for ever.
        mailbox.producer_pool = None
        mailbox.abcast("revoke", {"task_id": list(task_ids), "terminate": terminate})


def is_launched(request: Any) -> bool:
    """Whether this run is of a task whose row was made before it was published."""
    return HEADER in (request.headers or {})


def group_of(request: Any) -> str | None:
    """Return the id of the group that has one row and to which the task of this run belongs."""
    group_id: str | None = (request.headers or {}).get(GROUP_HEADER)
    return group_id


def is_eager() -> bool:
    """Whether tasks run in the process that starts them."""
    return bool(current_app.conf.task_always_eager)
