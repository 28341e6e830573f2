"""Every rule by which the tasks of a group are counted in its row, each once."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from progress_widget.clock import NOW
from progress_widget.states import ENDED, State
from progress_widget.texts import COMPLETE, PARTLY, REVOKED

if TYPE_CHECKING:
    from typing_extensions import Self

    from progress_widget.models import GroupMember, TaskProgress  # noqa: F401  # in quotes


class GroupMemberQuerySet(models.QuerySet["GroupMember"]):
    """Which tasks belong to a group, and what has become of them."""

    def uncounted(self, group: str) -> Self:
        """Return the tasks of a group that have not ended, as far as anybody knows."""
        return self.filter(group__task_id=group, ended_state="")

    def group_of(self, task_id: str) -> str | None:
        """Return the id of the group to which a task belongs that has not been counted yet."""
        self._for_write = True
        tasks = self.filter(task_id=task_id, ended_state="")
        return tasks.values_list("group__task_id", flat=True).first()

    def begin(self, group: str) -> None:
        """Note that a task of the group has begun: a sign of life."""
        self._touch(group)

    def end(self, group: str, task_ids: Collection[str], state: State) -> bool:
        """Count tasks that have ended, unless they are counted already.

        Once all are, the group has ended. The body of a chord is never run if a task of the header
        has failed, so it counts as failed once all of these have ended.

        Returns:
            Whether the group has ended with these tasks.
        """
        with transaction.atomic(using=self.db, savepoint=False):
            # First, by whomever: so ends that come at once wait for each other, in this order.
            # An UPDATE, since SQLite may refuse one in a transaction that has begun by reading.
            if not self._touch(group):
                return False
            row = self._rows.get(task_id=group)
            tasks = self.filter(group=row, ended_state="")
            counted = tasks.filter(task_id__in=task_ids).update(ended_state=state)
            if not counted:
                return False
            row.progress += counted
            if state != State.SUCCEEDED:
                row.failed += counted
            if row.failed and row.progress + 1 == row.total:
                bodies = tasks.filter(is_body=True).update(ended_state=State.FAILED)
                row.progress += bodies
                row.failed += bodies
            values = {"progress": row.progress, "failed": row.failed}
            is_over = row.progress == row.total
            self._rows.filter(pk=row.pk).update(**values, **(_end_of(row) if is_over else {}))
        return is_over

    def _touch(self, group: str) -> int:
        rows = self._rows.filter(task_id=group).exclude(state__in=ENDED)
        return rows.update(
            state=State.RUNNING, started_at=Coalesce(F("started_at"), NOW), updated_at=NOW
        )

    @property
    def _rows(self) -> models.QuerySet[TaskProgress]:
        rows: Any = self.model._meta.get_field("group").related_model
        return rows._base_manager.using(self.db)  # type: ignore[no-any-return]


def _end_of(row: TaskProgress) -> dict[str, Any]:
    """Return what is written of a group all of whose tasks have ended."""
    if not row.failed:
        end = {"state": State.SUCCEEDED, "step": COMPLETE}
    elif row.cancel_asked_at:
        end = {"state": State.CANCELLED, "message": REVOKED}
    else:
        is_partly_done = row.failed < row.progress
        end = {"state": State.FAILED, "message": PARTLY if is_partly_done else ""}
    return end | {"finished_at": NOW, "cancel_asked_at": None}
