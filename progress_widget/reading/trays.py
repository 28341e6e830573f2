"""The tray: what a user has started, whichever page is open."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import Error
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from progress_widget.links import safe_link
from progress_widget.models import TaskProgress
from progress_widget.reading import rendering, tickets
from progress_widget.reading.access import may_show, user_of
from progress_widget.reading.logs import log_once
from progress_widget.reading.moments import is_stuck
from progress_widget.reading.polling import present
from progress_widget.reading.tickets import Ticket
from progress_widget.texts import DISMISS, NO_TRAY_STYLESHEET, NONE_LEFT, OPEN, TASKS

TEMPLATE = "progress_widget/tray.html"

OUTAGE = "A page's tray is empty, since the database can't be asked"


def progress_tray(request: HttpRequest | None, *, template: str = TEMPLATE) -> SafeString:
    """Return the HTML of the tray for a page, once; nothing where nobody is logged in.

    One that is empty takes no room and asks for nothing, until something on the page sends the
    event ``progressbar:started``.

    Args:
        request: Its user is the one whose tasks are shown.
        template: The tray's template, which extends ``progress_widget/tray.html``.
    """
    if request is None or not user_of(request):
        return SafeString("")
    ticket = _ticket(template="" if template == TEMPLATE else template)
    try:
        rows = _rows_of(request)
    except Error as error:  # a site must not fail because of its tray
        log_once(OUTAGE, error=error)
        rows = []
    url = reverse("progress_widget:tray", kwargs={"token": tickets.sign(ticket)})
    return _drawn(request, rows, ticket, on_page=True, tray_url=url)


def contents(request: HttpRequest, ticket: Ticket, *, is_answer: bool = False) -> SafeString:
    """Return what the tray holds now, in the active language, for htmx to put into it.

    Args:
        ticket: Any that was signed for this tray: it names the template.
        is_answer: Whether the user has dismissed a task, whose button had the focus.
    """
    return _drawn(request, _rows_of(request), ticket, is_answer=is_answer)


def _rows_of(request: HttpRequest) -> list[TaskProgress]:
    return list(TaskProgress.objects.in_tray_of(getattr(request, "user", None)))


def _drawn(
    request: HttpRequest, rows: list[TaskProgress], ticket: Ticket, **more: Any
) -> SafeString:
    items = [_item(request, row, ticket) for row in rows]
    context = {
        "items": [item for item in items if item is not None],
        "name": gettext(TASKS),
        "open": gettext(OPEN),
        "dismiss": gettext(DISMISS),
        "none_left": gettext(NONE_LEFT),
        # Its stylesheet hides it, as that of a bar hides the bar's.
        "hint": NO_TRAY_STYLESHEET if settings.DEBUG else "",
        "csrf_token": get_token(request) if rows else "",
    }
    return rendering.from_template(ticket.template or TEMPLATE, context | more)


def _item(request: HttpRequest, row: TaskProgress, tray: Ticket) -> dict[str, Any] | None:
    """Return what the template shows of a row; None if CAN_VIEW keeps it from its owner."""
    ticket = _ticket(task_id=row.task_id, user=user_of(request), template=tray.template)
    if not may_show(request, ticket):
        return None
    return {
        "bar": rendering.progressbar(row, request=request, cancel=True),
        "label": row.label,
        "is_finished": row.is_finished,
        "is_stuck": is_stuck(row, present().of(row)),
        "link": safe_link(row.link),
        "dismiss_url": reverse("progress_widget:dismiss", kwargs={"token": tickets.sign(ticket)}),
    }


def _ticket(*, template: str, task_id: str = "", user: str = "") -> Ticket:
    return Ticket(
        task_id=task_id,
        user=user,
        template=template,
        language=get_language() or "",
        rendered_at=int(timezone.now().timestamp()),
    )
