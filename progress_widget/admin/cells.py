"""What the list of tasks says of a row, beside its bar."""

from __future__ import annotations

from datetime import datetime

from django.apps import apps
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from progress_widget.measures import duration_text
from progress_widget.models import TaskProgress
from progress_widget.texts import TOOK


def name_of(row: TaskProgress, url: str = "") -> str:
    """Return what a task is, for people or, failing that, for developers, or else its id.

    Args:
        url: Where the name leads; the id below it does not, since it could hardly be selected then.
    """
    name = row.label or row.task_name
    if not url:
        return name or row.task_id
    link = format_html('<a href="{}" dir="auto">{}</a>', url, name or row.task_id)
    task_id = _below(format_html('<span dir="ltr">{}</span>', row.task_id)) if name else ""
    return format_html('<div class="progress-task__name">{}{}</div>', link, task_id)


def times_of(row: TaskProgress) -> SafeString:
    """Return how long ago a task was started, and how long it took, if it has ended.

    It counts from when its row was created: attempts begin later, and polls do not refresh this.
    """
    when = row.created_at
    local = timezone.localtime(when) if timezone.is_aware(when) else when
    exact = localize(local)
    said = _ago(local) or exact
    time = format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, said)
    if row.started_at is None or row.finished_at is None:
        return time
    seconds = (row.finished_at - row.started_at).total_seconds()
    return time + _below(gettext(TOOK) % {"time": duration_text(seconds)})


def _below(text: str) -> SafeString:
    return format_html('<div class="progress-task__below">{}</div>', text)


def _ago(when: datetime) -> str:
    """Return in words how long ago it was; "" where these are not in the language of the page."""
    is_english = (get_language() or "en").startswith("en")
    if is_english or apps.is_installed("django.contrib.humanize"):
        return str(naturaltime(when))
    return ""
