"""How rows hang together with what they belong to, which may be in another database."""

from __future__ import annotations

from typing import Any

from django.db import models, router
from django.db.models.deletion import Collector


def cascade(collector: Collector, field: models.Field[Any, Any], rows: Any, using: str) -> None:
    """Delete the rows of what is deleted, unless that database has no table of rows.

    Django's own CASCADE would look for them there all the same, and no user could be deleted.
    """
    if router.allow_migrate_model(using, field.model):
        models.CASCADE(collector, field, rows, using)


cascade.lazy_sub_objs = True  # type: ignore[attr-defined]  # Django does not look for them first
