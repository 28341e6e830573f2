"""From the row to HTML: the only module that renders templates, for tag, view and admin."""

from __future__ import annotations

import re
import secrets
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from progress_widget.conf import conf
from progress_widget.models import TASK_ID_LENGTH, TaskProgress, cropped
from progress_widget.reading import tickets
from progress_widget.reading.access import may_view
from progress_widget.reading.fragments import REFUSED, TEXTS, Fragment
from progress_widget.reading.tickets import Ticket

TEMPLATE = "progress_widget/progressbar.html"
LABEL_LENGTH = 255


def progressbar(
    task: Any,
    *,
    request: HttpRequest | None = None,
    label: object = "",
    interval: float | None = None,
    template: str = TEMPLATE,
) -> SafeString:
    """Give the HTML of a bar for a page, which htmx then keeps up to date.

    Args:
        task: A task id, a row, a bar, an ``AsyncResult`` or anything else with a ``task_id`` or an
            ``id``. None and "" give "".
        request: Binds the bar to its user; None: to nobody.
        label: What the task is, for people; "": what the row says.
        interval: Seconds between two polls; None: POLL_INTERVAL.
        template: Template of the fragment, extending ``progress_widget/progressbar.html``.

    Raises:
        ValueError: The interval is not a positive number.
    """
    task_id = task_id_of(task)
    if not task_id:
        return SafeString("")
    ticket = Ticket(
        task_id=task_id,
        user="" if request is None else tickets.user_of(request),
        label=cropped(label or "", LABEL_LENGTH),
        interval=_milliseconds(conf.poll_interval if interval is None else interval),
        template=template,
        language=get_language() or "",
        since=int(timezone.now().timestamp()),
    )
    key = new_key()
    if not may_view(request, ticket):
        return refusal(key, on_page=True)
    row = task if isinstance(task, TaskProgress) else None
    row = row or TaskProgress.objects.for_tasks([task_id])[task_id]
    return render(Fragment(row, ticket), key, on_page=True)


def render(fragment: Fragment, key: str, *, on_page: bool = False) -> SafeString:
    """Give a fragment's HTML; on a page, within its wrapper."""
    return render_to_string(
        fragment.ticket.template,
        {"fragment": fragment, "key": key, "on_page": on_page},
    )


def refusal(key: str, *, on_page: bool = False) -> SafeString:
    """Give a finished fragment that says that the progress can't be shown, and no more."""
    fragment = {
        "state": REFUSED,
        "text": TEXTS[REFUSED],
        "is_finished": True,
        "percent": None,
        "as_percent": "",
        "label": "",
        "numbers": "",
        "message": "",
        "announcement": TEXTS[REFUSED],
    }
    return render_to_string(TEMPLATE, {"fragment": fragment, "key": key, "on_page": on_page})


def task_id_of(task: Any) -> str:
    """Give the task id of whatever a page may have in hand; "" where there is none."""
    for name in ("task_id", "id"):
        if hasattr(task, name):
            task = getattr(task, name)
            break
    return "" if task is None else cropped(task, TASK_ID_LENGTH)


def new_key() -> str:
    """Give a key for one rendering, from which its element ids are made."""
    return f"p{secrets.token_hex(4)}"


def valid_key(text: str) -> str:
    """Give the key that a poll sent, or a new one where that is none."""
    return text if re.fullmatch(r"p[0-9a-f]{8}", text) else new_key()


def _milliseconds(seconds: Any) -> int:
    try:
        milliseconds = round(float(seconds) * 1000)
    except (TypeError, ValueError, OverflowError):
        milliseconds = 0
    if milliseconds < 1:
        raise ValueError(f"interval must be a positive number of seconds, not {seconds!r}")
    return milliseconds
