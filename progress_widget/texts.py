"""Every sentence for people, and what makes text from anywhere fit a column."""

from __future__ import annotations

from django.utils.translation import gettext_noop

# Marked here, translated where they are shown: rows store those of the first part in English.
COMPLETE = gettext_noop("Complete")
ERROR = gettext_noop(
    "Something went wrong. Try again; if it happens again, contact the site's administrators."
)
TIMED_OUT = gettext_noop(
    "This took longer than allowed and was stopped. Try again, or contact the site's "
    "administrators."
)
LOST = gettext_noop("This was interrupted before it was done. Try again.")
UNREGISTERED = gettext_noop(
    "This could not be started because of a fault in the site. Contact the site's administrators."
)
REVOKED = gettext_noop("This was cancelled. What had been done by then may remain.")
EXPIRED = gettext_noop("This could not be started in time. Try again.")
UNPUBLISHED = gettext_noop(
    "This could not be started. Try again; if it happens again, contact the site's administrators."
)
PARTLY = gettext_noop("Some of it could not be done.")
REASONS = (ERROR, TIMED_OUT, LOST, UNREGISTERED, REVOKED, EXPIRED, UNPUBLISHED, PARTLY)

LATE = gettext_noop(
    "Waiting since %(time)s: nothing has been reported yet. If this goes on, contact the site's "
    "administrators."
)
SILENT = gettext_noop(
    "No news since %(time)s: this may have been interrupted. If it is resumed, you will see it "
    "here."
)
GONE = gettext_noop("The record of its progress has been deleted.")
AGAIN = gettext_noop("The last attempt did not succeed. The next one will start by itself.")

STOPPING = gettext_noop("This stops as soon as it can.")

UNREPORTED = gettext_noop("No progress reported yet")
PROGRESS = gettext_noop("Progress")
REFRESH = gettext_noop("Refresh")

# Translators: a button that leads to the question; the next two are the question and its "yes".
CANCEL = gettext_noop("Cancel")
QUESTION = gettext_noop("Cancel this? What has been done by then may remain.")
CONFIRM = gettext_noop("Yes, cancel it")

TASKS = gettext_noop("Your tasks")
OPEN = gettext_noop("Open")
DISMISS = gettext_noop("Dismiss")
NONE_LEFT = gettext_noop("There are no more tasks here.")

# In the admin: an entry of an object's history.
STARTED = gettext_noop("Started “%(task)s”.")

# In the list of tasks in the admin; the first is another entry of a history.
ASKED_FOR = gettext_noop("Asked it to stop.")
TOOK = gettext_noop("took %(time)s")
STOPS = gettext_noop("“%(task)s” stops as soon as it can.")
TOO_LATE = gettext_noop("“%(task)s” had already ended or been asked to stop.")
ASKED = gettext_noop("Tasks asked to stop: %(number)s")
ASKED_BEFORE = gettext_noop("Tasks that had already ended or been asked to stop: %(number)s")
NOT_FINISHED = gettext_noop("Tasks not finished, and so not deleted: %(number)s")
GOES_ON = gettext_noop(
    "This task has not finished. Deleting its record does not stop it; if it still runs, the "
    "record comes back."
)

# Announced where a page has many bars.
STILL_RUNNING = gettext_noop("%(number)s still running")
ALL_ENDED = gettext_noop("All have ended")
FAILURES = gettext_noop("%(number)s failed")

TEXTS = {
    "waiting": gettext_noop("Waiting to start"),
    "running": gettext_noop("Running"),
    "retrying": gettext_noop("Attempt %(number)s will follow"),
    "succeeded": gettext_noop("Complete"),
    "failed": gettext_noop("Failed"),
    "cancelling": gettext_noop("Cancelling"),
    "cancelled": gettext_noop("Cancelled"),
    "stalled": gettext_noop("No news"),
    "unknown": gettext_noop("This task is no longer known"),
    "refused": gettext_noop("This progress can't be shown"),
}
"""What a page says about each state, in a few words."""

# For developers, under DEBUG, and so not translated.
NO_STYLESHEET = "This page has a bar, but not the stylesheet of {% progress_widget_media %}."
NO_TRAY_STYLESHEET = "This page has a tray, but not {% progress_widget_media tray=True %}."


def cropped(text: object, length: int) -> str:
    """Return text as a column can hold it: cut to length, without NULs or lone surrogates."""
    return str(text).replace("\0", "").encode(errors="replace").decode()[:length]
