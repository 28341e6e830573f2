"""The settings: typed, explained, and read when they are used.

Reading late lets ``override_settings`` and a project's own start-up code work.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.module_loading import import_string

PREFIX = "PROGRESS_WIDGET_"

CanView = Callable[[HttpRequest, str], bool]


class Conf:
    """One property for each setting, in lower case and without the prefix."""

    @property
    def poll_interval(self) -> float:
        """Seconds between two polls of one bar; the tag's ``interval`` takes precedence."""
        return float(self._get("POLL_INTERVAL", 1.0))

    @property
    def write_interval(self) -> float:
        """Seconds, at least, between two writes of one bar that is advanced in a loop."""
        return float(self._get("WRITE_INTERVAL", 0.5))

    @property
    def background_writes(self) -> bool:
        """Whether tasks write in the background, in a thread with its own connection.

        Set it to False in tests that run a worker in their own process and transaction.
        """
        return bool(self._get("BACKGROUND_WRITES", True))

    @property
    def write_context(self) -> Callable[[str], Callable[[], AbstractContextManager[Any]]] | None:
        """``f(task_id)`` from its dotted path, or None: where the database is the same everywhere.

        It is called where a bar is made, and returns what makes the context manager in which each
        write of that bar is done, by whichever thread: so a tenant's rows get into its schema.

        Raises:
            ImportError: There is nothing at this path.
        """
        path = self._get("WRITE_CONTEXT", None)
        return import_string(path) if path else None

    @property
    def can_view(self) -> CanView | None:
        """``f(request, task_id) -> bool`` from its dotted path, or None if the token alone decides.

        Only True admits; whatever else it returns, and an exception, refuses.

        Raises:
            ImportError: There is nothing at this path.
        """
        path = self._get("CAN_VIEW", None)
        return import_string(path) if path else None

    @property
    def can_cancel(self) -> CanView | None:
        """``f(request, task_id) -> bool`` from its dotted path: who may cancel besides the owner.

        None means nobody. It is asked only of those who may see the bar, and answers as CAN_VIEW
        does.

        Raises:
            ImportError: There is nothing at this path.
        """
        path = self._get("CAN_CANCEL", None)
        return import_string(path) if path else None

    @property
    def cancel_terminates(self) -> bool:
        """Whether a task that is cancelled while it runs is broken off, where the pool can.

        Otherwise it goes on until it asks whether it is cancelled.
        """
        return bool(self._get("CANCEL_TERMINATES", False))

    @property
    def stalled_after(self) -> float:
        """Seconds without a report or a heartbeat after which a page says so.

        This is for a task that gives signs of life; for all others there is SILENT_AFTER.
        """
        return float(self._get("STALLED_AFTER", 30))

    @property
    def silent_after(self) -> float:
        """Seconds of silence after which a page says so of what gives no signs of life.

        These are inline writes, shared bars, rows made by hand, and a retry that is awaited.
        """
        return float(self._get("SILENT_AFTER", 600))

    @property
    def retention_days(self) -> float:
        """Days for which a page's poll URLs are valid, counted from when it was rendered.

        After as many days, ``purge()`` deletes a finished row.
        """
        return float(self._get("RETENTION_DAYS", 7))

    @staticmethod
    def _get(name: str, default: Any) -> Any:
        return getattr(settings, PREFIX + name, default)


conf = Conf()
