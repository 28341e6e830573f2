"""A worker whose tasks run each in the schema of a tenant, as tenant-schemas-celery does it.

A header of the message says in which. ``schema_here`` and ``remember`` are those of docs/usage.md.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from celery import signals
from django.db import connection

from tests.workers.app import app

known: WeakValueDictionary[str, Any] = WeakValueDictionary()


@signals.task_prerun.connect
def enter_schema(task: Any, **signal: object) -> None:
    connection.set_schema(task.request.get("_schema_name"))


@signals.task_postrun.connect
def leave_schema(**signal: object) -> None:
    connection.set_schema_to_public()


@signals.task_received.connect
@signals.task_revoked.connect
def remember(request: Any, **signal: object) -> None:
    known[request.id] = request


def schema_here(task_id: str) -> Callable[[], AbstractContextManager[Any]]:
    from django_tenants.utils import schema_context

    request = known.get(task_id)
    if request is None:
        return partial(schema_context, connection.schema_name)
    return partial(schema_context, getattr(request, "request_dict", request).get("_schema_name"))


__all__ = ["app"]
