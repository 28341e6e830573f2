"""Celery's groups and chords, as many tasks that have one row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import uuid4

from celery import chord, group, signals
from celery.canvas import Signature

from progress_widget.queues.celery import (
    GROUP_HEADER,
    RETRY_POLICY,
    check_arguments,
    name_of,
    producer_of,
)


class GroupWork(NamedTuple):
    """A group or a chord that is ready to be published."""

    work: Any

    task_ids: list[str]
    """Those of its tasks; of a chord, those of the header."""

    body_id: str | None

    name: str
    """The dotted names of its tasks."""


def group_work_of(tasks: Any, group_id: str) -> GroupWork:
    """Return a group, a chord or some signatures as a group whose tasks say that they are of it.

    Raises:
        TypeError: One of them is not the signature of a single task, or its task does not take
            these arguments.
        ValueError: There is none.
    """
    kind = tasks.subtask_type if isinstance(tasks, Signature) else None
    body = _marked(tasks.body, group_id) if kind == "chord" else None
    if kind in ("group", "chord"):
        header = getattr(tasks.tasks, "tasks", tasks.tasks)  # a chord's may be a group
    elif isinstance(tasks, Iterable) and not isinstance(tasks, (Signature, str)):
        header = tasks
    else:
        raise TypeError(f"start_group() takes signatures, a group or a chord, not {tasks!r}")
    marked = [_marked(one, group_id) for one in header]
    if not marked:
        raise ValueError("A group has at least one task")
    for one in marked:
        check_arguments(one)
        one.options.setdefault("retry_policy", RETRY_POLICY)
    app = marked[0].app
    work = group(marked, app=app) if body is None else chord(marked, body, app=app)
    work.options.update(tasks.options if kind else {})
    names = {name_of(one): None for one in (*marked, *([] if body is None else [body]))}
    ids = [one.options["task_id"] for one in marked]
    return GroupWork(work, ids, body and body.options["task_id"], ", ".join(names))


def _marked(work: Any, group_id: str) -> Any:
    """Return a signature with an id, and a header that says of which group it is."""
    if not isinstance(work, Signature) or work.subtask_type:
        raise TypeError(
            "start_group() counts single tasks, by their signatures; of what consists of several, "
            f"make one task, or start them one by one: {work!r}"
        )
    headers = (work.options.get("headers") or {}) | {GROUP_HEADER: group_id}
    return work.clone(task_id=work.options.get("task_id") or str(uuid4()), headers=headers)


def publish_group(group_work: GroupWork, published: set[str]) -> None:
    """Publish all tasks of a group, or raise soon.

    Args:
        published: Gets the ids of those that have been published, also if others could not be.
    """
    work, is_chord = group_work.work, group_work.body_id is not None
    if work.app.conf.task_always_eager:
        work.apply_async()
        return

    def note(headers: Any = None, **signal: object) -> None:
        published.add(str((headers or {}).get("id")))

    signals.after_task_publish.connect(note, weak=False)
    try:
        with producer_of(work.app) as producer:
            if not is_chord:
                work.apply_async(producer=producer)
        if is_chord:  # which takes no producer
            work.apply_async()
    finally:
        signals.after_task_publish.disconnect(note)
