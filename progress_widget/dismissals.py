"""Which rows a user's tray shows, and how one is taken out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F, Q
from django.db.models.functions import Greatest

from progress_widget.assignments import from_now
from progress_widget.clock import NOW
from progress_widget.conf import conf
from progress_widget.lookups import FINISHED, Lookups

if TYPE_CHECKING:
    from typing_extensions import Self

MOST_IN_TRAY = 5


class Dismissals(Lookups):
    """What is in the tray."""

    def in_tray_of(self, user: Any) -> Self:
        """Return the newest rows of a user that have something new since they were dismissed.

        They are those of the database that rows are written to, each with its ``now``.
        """
        self._for_write = True
        is_new = Q(seen_at=None) | Q(updated_at__gt=F("seen_at"))
        rows = self.owned_by(user).filter(is_new).order_by("-pk")
        return rows.annotate(now=NOW)[:MOST_IN_TRAY]

    def dismiss(self, task_id: str, user: Any) -> bool:
        """Take what is finished or silent out of its owner's tray, until there is something new.

        Returns:
            Whether there is such a row.
        """
        is_still = FINISHED | Q(updated_at__lt=from_now(-conf.stalled_after))
        rows = self.owned_by(user).filter(is_still, task_id=task_id)
        # The row's times may be those of another clock, or more precise.
        return bool(rows.update(seen_at=Greatest(NOW, F("updated_at"))))

    dismiss.alters_data = True  # type: ignore[attr-defined]  # no template may call it
