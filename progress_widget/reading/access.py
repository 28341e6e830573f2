"""Who may see a bar."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from progress_widget.conf import conf
from progress_widget.reading.tickets import Ticket


def may_view(request: HttpRequest | None, ticket: Ticket) -> bool:
    """Whether this request may see the ticket's task: its own user, whom CAN_VIEW does not refuse.

    CAN_VIEW can't be asked without a request: then nobody may.
    """
    can_view = conf.can_view
    if request is None:
        return can_view is None
    if not ticket.admits(request):
        return False
    try:
        return can_view is None or bool(can_view(request, ticket.task_id))
    except (PermissionDenied, Http404):  # htmx 2 would go on asking after a 403 or 404
        return False
