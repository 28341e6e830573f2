"""What the list of tasks says of a row, beside its bar."""

from __future__ import annotations

from datetime import datetime

from django.apps import apps
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from progress_widget.measures import duration_text
from progress_widget.models import TaskProgress


def name_of(row: TaskProgress, url: str = "") -> str:
    """Return what a task is, for people or, failing that, for developers, or else its id.

    Args:
        url: Where the name leads; the id below it does not, since it could hardly be selected then.
    """
    name = row.label or row.task_name
    if not url:
        return name or row.task_id
    link = format_html('<a href="{}" dir="auto">{}</a>', url, name or row.task_id)
    id_below = format_html('<div class="progress-admin__id">{}</div>', row.task_id)
    return link + id_below if name else link


def time_of(when: datetime) -> SafeString:
    """Return how long ago something was, and when."""
    local = timezone.localtime(when) if timezone.is_aware(when) else when
    exact = localize(local)
    said = _ago(local) or exact
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, said)


def duration_of(row: TaskProgress) -> str | None:
    """Return how long a task has run that has ended; one that runs has its bar."""
    if row.started_at is None or row.finished_at is None:
        return None
    return duration_text((row.finished_at - row.started_at).total_seconds())


def _ago(when: datetime) -> str:
    """Return in words how long ago it was; "" where these are not in the language of the page."""
    is_english = (get_language() or "en").startswith("en")
    if is_english or apps.is_installed("django.contrib.humanize"):
        return str(naturaltime(when))
    return ""
