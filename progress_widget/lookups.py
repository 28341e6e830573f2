"""How rows are looked up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import F, Max, Q
from django.db.models.functions import Coalesce

from progress_widget.assignments import from_now
from progress_widget.clock import NOW
from progress_widget.conf import conf
from progress_widget.states import ENDED

if TYPE_CHECKING:
    from typing_extensions import Self

    from progress_widget.models import TaskProgress


FINISHED = Q(state__in=ENDED) | Q(attempt=0, total__gt=0, progress=F("total"))
"""The rows whose ``is_finished`` is true."""


def reference_to(thing: models.Model) -> tuple[int, str]:
    """Return by which content type and id a row is about this object."""
    return ContentType.objects.get_for_model(thing).pk, str(thing.pk)


class Lookups(models.QuerySet["TaskProgress"]):
    """Which rows there are."""

    def owned_by(self, user: Any) -> Self:
        """Return the rows that were started for a user; None and an anonymous one have none.

        Nor has one without a key, or it would have those that nobody owns.
        """
        if user is None or not user.is_authenticated or user.pk is None:
            return self.none()
        return self.filter(owner_id=user.pk)

    def about(self, thing: models.Model) -> Self:
        """Return the rows that are about an object: a saved instance of any model."""
        content_type, object_id = reference_to(thing)
        return self.filter(content_type_id=content_type, object_id=object_id)

    def newest_about(self, things: Iterable[models.Model]) -> dict[Any, TaskProgress]:
        """Return the row about each object that was made last, in one query.

        Returns:
            The rows by what ``reference_to()`` says of their objects, each with its ``now``.
        """
        about = Q()
        for reference in {reference_to(thing) for thing in things}:
            about |= Q(content_type_id=reference[0], object_id=reference[1])
        if not about:
            return {}
        groups = self.filter(about).order_by().values("content_type_id", "object_id")
        newest = groups.annotate(newest=Max("pk")).values("newest")
        rows = self.model._base_manager.using(self.db).filter(pk__in=newest).annotate(now=NOW)  # type: ignore[no-redef]
        return {(row.content_type_id, row.object_id): row for row in rows}

    def unfinished(self) -> Self:
        """Return the rows whose page would go on asking."""
        return self.exclude(FINISHED)

    def outlived(self, days: float | None = None) -> Self:
        """Return the rows that were finished so many days ago; None means RETENTION_DAYS."""
        self._for_write = True
        then = from_now(-86_400 * (conf.retention_days if days is None else days))
        rows = self.alias(ended_at=Coalesce("finished_at", "updated_at"))
        # What was finished by then was created before, and created_at has an index.
        return rows.filter(FINISHED, created_at__lt=then, ended_at__lt=then)
