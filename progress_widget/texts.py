"""Every sentence for people; and how text from anywhere is made to fit."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

# Rows keep these texts in English; a page shows them in its reader's language.
COMPLETE = gettext_noop("Complete")
ERROR = gettext_noop(
    "The task has ended in an error. Try again, or ask the people who run this site."
)
TIMED_OUT = gettext_noop("The task has taken longer than it is allowed to, and was stopped.")
LOST = gettext_noop("The worker that ran the task was killed or ran out of memory. Try again.")
UNREGISTERED = gettext_noop("No worker knows this task. The people who run this site can tell why.")
REVOKED = gettext_noop("The task was cancelled. What it had done until then may remain.")
EXPIRED = gettext_noop("No worker was free in time, so the task has not been started. Try again.")
REASONS = (ERROR, TIMED_OUT, LOST, UNREGISTERED, REVOKED, EXPIRED)

LATE = gettext_noop(
    "Waiting since %(time)s for a worker that is free. If this lasts, the people who run this site "
    "can tell why."
)
SILENT = gettext_noop(
    "No news since %(time)s: the worker may have been stopped. The task goes on when it is "
    "delivered again, and this page will show it."
)

TEXTS = {
    "waiting": _("Waiting to start"),
    "running": _("Running"),
    "retrying": _("Attempt %(number)s will follow"),
    "succeeded": _("Complete"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
    "stalled": _("No news"),
    "unknown": _("This task is no longer known"),
    "refused": _("This progress can't be shown"),
}
"""What a page says of each state, in a few words."""


def cropped(text: object, length: int) -> str:
    """Return text as a column holds it: cut to length, without NUL and half surrogate pairs."""
    return str(text).replace("\0", "").encode(errors="replace").decode()[:length]
