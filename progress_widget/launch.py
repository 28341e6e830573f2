"""Start a task together with its row."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import models, router, transaction

from progress_widget import queues
from progress_widget.links import safe_link
from progress_widget.lookups import reference_to
from progress_widget.models import LABEL_LENGTH, LINK_LENGTH, NAME_LENGTH, TaskProgress
from progress_widget.states import State
from progress_widget.texts import UNPUBLISHED, cropped
from progress_widget.writing.announcing import End, announce
from progress_widget.writing.contexts import context_here
from progress_widget.writing.values import task_id_of, total_of

logger = logging.getLogger("progress_widget")


def start_task(
    task: Any,
    *args: Any,
    owner: Any = None,
    label: object = "",
    about: models.Model | None = None,
    link: object = "",
    total: Any = None,
    task_id: object = None,
) -> TaskProgress:
    """Make a task's row, publish the task once that is committed, and return the row.

    Example::

        row = start_task(dry_kelp, leaves, owner=request.user, label="Kelp harvest")

    All keywords are ours. Those of the task, and options for the queue, go into a signature::

        start_task(dry_kelp.s(leaves, salt=True).set(queue="slow"), owner=request.user)

    If the task can't be published, the row has failed, and says so to the people who watch.

    Args:
        task: A task, the signature of one, or its dotted name.
        args: What the task is called with.
        owner: The user for whom it is started; None and an anonymous user mean nobody.
        label: What the task is, for people; cut to 255 characters.
        about: What it is about: a saved model instance.
        link: Where its result is: by http, by https, or a path of this site.
        total: What its progress counts up to; None means unknown, and is left to its bar.
        task_id: Names the task. If this has been started before, for the same owner, that row is
            returned and nothing is published: a form that is sent twice starts one task.

    Raises:
        TypeError: This is no task, or it does not take these arguments.
        ValueError: The id is that of another task or owner, the object is not saved, or the link
            is longer than 1,000 characters, or one that no page may show.
    """
    work = queues.work_of(task, args)
    known = known_of(queues.name_of(work), owner=owner, label=label, about=about, link=link)
    known["total"] = total_of(total).value
    given = task_id_of(task_id)
    alias = router.db_for_write(TaskProgress)
    row, is_made = TaskProgress.objects.using(alias).announce(
        given or str(uuid4()), is_new=not given, **known
    )
    if is_made:
        transaction.on_commit(partial(_publish, row, work), using=alias)
    else:
        check_same(row, known)
    return row


def known_of(
    name: str, *, owner: Any, label: object, about: models.Model | None, link: object
) -> dict[str, Any]:
    """Return what a row says of a task that is about to be published; raise as start_task()."""
    known: dict[str, Any] = {
        "task_name": cropped(name, NAME_LENGTH),
        "owner_id": getattr(owner, "pk", None),
        "label": cropped(label, LABEL_LENGTH),
        "link": _link_of(link),
    }
    if about is not None:
        known["content_type_id"], known["object_id"] = _reference_of(about)
    return known


def check_same(row: TaskProgress, known: dict[str, Any]) -> None:
    """Raise ValueError if a row that was there is that of another task, or of another owner."""
    if (row.owner_id, row.task_name) != (known["owner_id"], known["task_name"]):
        raise ValueError(f"The task id {row.task_id!r} is that of another task")


def _link_of(link: object) -> str:
    text = str(link)
    if len(text) > LINK_LENGTH:
        raise ValueError(f"A link has at most {LINK_LENGTH} characters: {text!r}")
    if text != safe_link(text):
        raise ValueError(f"A link leads to http, https or a path of this site: {text!r}")
    return text


def _reference_of(thing: models.Model) -> tuple[int, str]:
    if thing.pk is None:
        raise ValueError(f"A task can't be about what is not saved: {thing!r}")
    return reference_to(thing)


def _publish(row: TaskProgress, work: Any) -> None:
    try:
        queues.publish(work, row.task_id)
    except Exception as error:  # whatever a broker's client raises
        if queues.is_eager():  # it is the task's own
            raise
        logger.exception("Task %s, %s, could not be published", row.task_name, row.task_id)
        mark_unpublished(row)
        if isinstance(error, queues.INTERRUPTIONS):  # it is that of the task which starts this one
            raise
    else:
        if queues.is_eager():
            with suppress(TaskProgress.DoesNotExist):  # the task has deleted it
                row.refresh_from_db()


def mark_unpublished(row: TaskProgress) -> None:
    """Say in a row that its task could not be published."""
    row.state, row.message = State.FAILED, UNPUBLISHED
    try:
        # Unless a worker has begun it: the message may have arrived in spite of the error.
        rows = TaskProgress.objects.using(row._state.db)
        if rows.end(row.task_id, 0, State.FAILED, UNPUBLISHED):
            announce(End(row.task_id, context_here(row.task_id)), in_background=False)
    except Exception:  # the row waits, and its page says so
        logger.exception("The row of task %s could not be marked as failed", row.task_id)
