"""How rows are looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from progress_widget.assignments import from_now
from progress_widget.conf import conf
from progress_widget.states import ENDED

if TYPE_CHECKING:
    from typing_extensions import Self

    from progress_widget.models import TaskProgress  # noqa: F401  # in the class below, for mypy


class Lookups(models.QuerySet["TaskProgress"]):
    """Which rows there are."""

    def outlived(self, days: float | None = None) -> Self:
        """Return the rows that were finished so many days ago; None means RETENTION_DAYS."""
        self._for_write = True
        then = from_now(-86_400 * (conf.retention_days if days is None else days))
        finished = Q(state__in=ENDED) | Q(attempt=0, total__gt=0, progress=F("total"))
        rows = self.alias(ended_at=Coalesce("finished_at", "updated_at"))
        # What was finished by then was created before, and created_at has an index.
        return rows.filter(finished, created_at__lt=then, ended_at__lt=then)
