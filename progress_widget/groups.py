"""Start many tasks that have one row, and one bar."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

from django.db import models, router, transaction

from progress_widget import queues
from progress_widget.launch import check_same, known_of, logger, mark_unpublished
from progress_widget.models import GroupMember, TaskProgress
from progress_widget.queues import grouping
from progress_widget.states import State
from progress_widget.writing.announcing import End, announce
from progress_widget.writing.contexts import context_here
from progress_widget.writing.values import task_id_of

BATCH_SIZE = 500


def start_group(
    tasks: Any,
    *,
    owner: Any = None,
    label: object = "",
    about: models.Model | None = None,
    link: object = "",
    task_id: object = None,
) -> TaskProgress:
    """Make a row for many tasks, publish these once it is committed, and return the row.

    Example::

        row = start_group(
            [dry.s(leaf) for leaf in leaves], owner=request.user, label="Kelp harvest"
        )

    The tasks need know nothing of it: each is counted at its end, and so is whether it failed. The
    row ends when all of them have.

    Args:
        tasks: Signatures of single tasks, a group of such, or a chord, whose body counts too.
        owner: As in ``start_task()``, like the other keywords.
        task_id: Names the row.

    Raises:
        TypeError: One of them is not the signature of a single task, or its task does not take
            these arguments.
        ValueError: There is no task; or as in ``start_task()``.
    """
    given = task_id_of(task_id)
    group_id = given or str(uuid4())
    work = grouping.group_work_of(tasks, group_id)
    known = known_of(work.name, owner=owner, label=label, about=about, link=link)
    members = [GroupMember(task_id=one) for one in work.task_ids]
    if work.body_id is not None:
        members.append(GroupMember(task_id=work.body_id, is_body=True))
    alias = router.db_for_write(TaskProgress)
    with transaction.atomic(using=alias):
        row, is_made = TaskProgress.objects.using(alias).announce(
            group_id, is_new=not given, total=len(members), **known
        )
        if is_made:
            for member in members:
                member.group = row
            GroupMember.objects.using(alias).bulk_create(members, batch_size=BATCH_SIZE)
    if is_made:
        transaction.on_commit(partial(_publish, row, work), using=alias)
    else:
        check_same(row, known)
    return row


def members_of(task_id: object) -> list[str]:
    """Return the ids of the tasks of a group that have not ended, as far as anybody knows."""
    alias = router.db_for_write(TaskProgress)
    uncounted = GroupMember.objects.using(alias).uncounted(str(task_id))
    return list(uncounted.values_list("task_id", flat=True))


def _publish(row: TaskProgress, work: grouping.GroupWork) -> None:
    published: set[str] = set()
    try:
        grouping.publish_group(work, published)
    except Exception as error:  # whatever a broker's client raises
        if queues.is_eager():  # it is a task's own
            raise
        logger.exception("Group %s, %s, could not be published", row.task_name, row.task_id)
        missing = [one for one in work.task_ids if one not in published]
        if len(missing) == len(work.task_ids):
            mark_unpublished(row)
        else:
            _count_unpublished(row, missing)
        if isinstance(error, queues.INTERRUPTIONS):  # it is that of the task which starts them
            raise
    else:
        if queues.is_eager():
            row.refresh_from_db()


def _count_unpublished(row: TaskProgress, missing: list[str]) -> None:
    """Count the tasks of a group that could not be published as failed, where others could."""
    members = GroupMember.objects.using(row._state.db)
    try:
        for start in range(0, len(missing), BATCH_SIZE):
            batch = missing[start : start + BATCH_SIZE]
            if members.end(row.task_id, batch, State.FAILED):
                announce(End(row.task_id, context_here(row.task_id)), in_background=False)
        row.refresh_from_db()
    except Exception:  # the row goes on, and falls silent
        logger.exception("Of the group %s, not all could be counted as failed", row.task_id)
