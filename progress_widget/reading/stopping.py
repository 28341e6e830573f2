"""Somebody wants a task to stop: its row notes that, and its queue is asked to cancel it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from django.db import router, transaction

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.models import GroupMember, TaskProgress

logger = logging.getLogger("progress_widget")


def ask_to_stop(*task_ids: str) -> list[str]:
    """Ask tasks to stop, or all of a group, unless they have been asked or have ended.

    They learn it from their rows, even where the queue can't be reached. It is asked once for all
    of them, since each request may wait for a broker.

    Returns:
        Which of them had neither been asked nor ended.
    """
    alias = router.db_for_write(TaskProgress)
    asked: dict[str, list[str]] = {}
    for task_id in task_ids:
        uncounted = GroupMember.objects.using(alias).uncounted(task_id)
        members = uncounted.values_list("task_id", flat=True)
        if TaskProgress.objects.using(alias).ask_to_stop(task_id, members):
            asked[task_id] = [task_id, *members]
    if asked:
        revoked = [one for ids in asked.values() for one in ids]
        transaction.on_commit(partial(_ask_queue, revoked), using=alias)
    return list(asked)


def _ask_queue(task_ids: Sequence[str]) -> None:
    try:
        queues.cancel(task_ids, terminate=conf.cancel_terminates)
    except Exception:  # whatever a broker's client raises
        logger.exception("The queue could not be asked to cancel these tasks: %s", task_ids)
