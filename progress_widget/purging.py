"""How rows are deleted that have outlived their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import transaction

from progress_widget.lookups import Lookups

if TYPE_CHECKING:
    from typing_extensions import Self


class Purging(Lookups):
    """Which rows there are, and how they go."""

    def purge(self, days: float | None = None, *, batch_size: int = 1000) -> int:
        """Delete the rows of ``outlived()`` in batches, so that no lock is held for long.

        Returns:
            How many rows there were.
        """
        rows = self.outlived(days)
        left, purged = rows.order_by("created_at"), 0
        while batch := list(left.values_list("created_at", "pk")[:batch_size]):
            deleted = self._purge([pk for _, pk in batch], rows, batch_size)
            if not deleted:  # another purge was faster
                break
            purged += deleted
            # The index still has what is deleted, so it is not read from its start again.
            left = rows.filter(created_at__gte=batch[-1][0]).order_by("created_at")
        return purged

    purge.alters_data = True  # type: ignore[attr-defined]  # no template may call it

    def _purge(self, keys: list[Any], outlived: Self, batch_size: int) -> int:
        """Delete rows, and the members of groups before them; return how many rows there were."""
        model: Any = apps.get_model("progress_widget", "GroupMember")
        members = model._base_manager.using(self.db)
        while batch := list(
            members.filter(group__in=keys).values_list("pk", flat=True)[:batch_size]
        ):
            members.filter(pk__in=batch).delete()
        with transaction.atomic(using=self.db):
            # A write first: SQLite may refuse one in a transaction that has begun by reading.
            members.filter(group__in=keys).delete()
            # All conditions once more: a row may have been started over since it was selected.
            locked = outlived.filter(pk__in=keys).select_for_update().values_list("pk", flat=True)
            _, deleted = self.filter(pk__in=list(locked)).delete()
        return deleted.get(self.model._meta.label, 0)
