"""The states of a task."""

from __future__ import annotations

from enum import IntEnum

from django.db import models
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    """The state of a task. A page adds *stalled*, which is derived."""

    WAITING = "waiting", _("Waiting")
    """It has not started yet, or nothing has been heard from it."""

    RUNNING = "running", _("Running")
    """It has started and not yet ended."""

    RETRYING = "retrying", _("Retrying")
    """The last attempt did not succeed; the queue will run it again."""

    SUCCEEDED = "succeeded", _("Succeeded")
    """It has done all it had to do."""

    FAILED = "failed", _("Failed")
    """It ended with an exception, at a time limit, or together with its worker."""

    CANCELLED = "cancelled", _("Cancelled")
    """It was revoked, or expired before it started."""


class Taken(IntEnum):
    """Whether a row has taken how an attempt went."""

    NOT = 0
    """The row is gone, has ended, or belongs to another attempt."""

    AS_SAID = 1
    """The row had not ended."""

    OVER_ANOTHER = 2
    """In place of another end of the same attempt."""


ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
