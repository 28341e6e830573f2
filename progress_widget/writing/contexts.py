"""What a bar's writes are done in, whichever thread does them: a tenant's schema, for example."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from progress_widget.conf import conf

Context = Callable[[], AbstractContextManager[Any]]


def context_here(task_id: str) -> Context:
    """Return what WRITE_CONTEXT says here; what it raises is left to the writes, which log it."""
    try:
        write_context = conf.write_context if task_id else None
        return write_context(task_id) if write_context else nullcontext
    except Exception as error:  # whatever a project's function raises
        return partial(_refuse, error)


def _refuse(error: Exception) -> AbstractContextManager[Any]:
    raise error
