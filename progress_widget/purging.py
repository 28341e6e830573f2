"""How rows are deleted that have outlived their time."""

from __future__ import annotations

from progress_widget.lookups import Lookups


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
            # All conditions once more: a row may have been started over since it was selected.
            _, deleted = rows.filter(pk__in=[pk for _, pk in batch]).delete()
            if not deleted:  # another purge was faster
                break
            purged += deleted[self.model._meta.label]
            # The index still has what is deleted, so it is not read from its start again.
            left = rows.filter(created_at__gte=batch[-1][0]).order_by("created_at")
        return purged

    purge.alters_data = True  # type: ignore[attr-defined]  # no template may call it
