"""Somebody wants a task to stop: that is noted on its row, and told to its queue."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from django.db import router, transaction

from progress_widget import queues
from progress_widget.conf import conf
from progress_widget.models import GroupMember, TaskProgress

logger = logging.getLogger("progress_widget")


def ask_to_stop(task_id: str) -> None:
    """Ask a task to stop, or all of a group, unless it has been asked or has ended.

    The task learns it from its row, also where the queue can't be told.
    """
    alias = router.db_for_write(TaskProgress)
    members = GroupMember.objects.using(alias).uncounted(task_id).values_list("task_id", flat=True)
    if TaskProgress.objects.using(alias).ask_to_stop(task_id, members):
        transaction.on_commit(partial(_tell_queue, [task_id, *members]), using=alias)


def _tell_queue(task_ids: Sequence[str]) -> None:
    try:
        queues.cancel(task_ids, terminate=conf.cancel_terminates)
    except Exception:  # whatever a broker's client raises
        logger.exception("The queue could not be told that task %s is cancelled", task_ids[0])
