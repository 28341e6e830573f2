"""Who may see a bar."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from progress_widget.conf import conf
from progress_widget.reading.tickets import Ticket


def user_of(request: HttpRequest) -> str:
    """Return the primary key of the logged-in user, as text, or "" if there is none."""
    user = getattr(request, "user", None)
    return str(user.pk) if user is not None and user.is_authenticated else ""


def may_view(request: HttpRequest | None, ticket: Ticket) -> bool:
    """Whether this request may see the ticket's bar: the bar's user may, unless CAN_VIEW refuses.

    A ticket bound to no user admits everybody who has it, without a look at the request's user.
    CAN_VIEW cannot be asked without a request, so then it admits nobody.
    """
    can_view = conf.can_view
    if request is None:
        return can_view is None
    if ticket.user and ticket.user != user_of(request):
        return False
    try:
        return can_view is None or bool(can_view(request, ticket.task_id))
    except (PermissionDenied, Http404):  # htmx 2 would go on polling after a 403 or 404
        return False
