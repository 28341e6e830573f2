"""The partial view, which answers the bars' polls."""

from __future__ import annotations

from contextlib import nullcontext

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django_htmx.http import trigger_client_event
from django_htmx.middleware import HtmxDetails

from progress_widget.reading import rendering, tickets
from progress_widget.reading.access import may_view
from progress_widget.reading.fragments import Version, announcement, in_language, refusal
from progress_widget.reading.polling import look_up
from progress_widget.reading.tickets import Ticket

# Cheaper than never_cache, which formats dates; no cache may store anything from here.
NOT_STORED = {"Cache-Control": "private, no-store"}


@login_not_required
def poll(request: HttpRequest, token: str) -> HttpResponse:
    """Answer with the fragment, or with 204 if the page shows it already."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"], headers=NOT_STORED)
    key = rendering.valid_key(request.GET.get("k", ""))
    ticket = tickets.read(token)
    if ticket is None or not may_view(request, ticket):
        return refuse(request, ticket, key)
    shown = Version.parse(request.GET.get("v", ""))
    [fragment] = look_up([(ticket, shown)])
    if fragment.version == shown:
        return HttpResponse(status=204, headers=NOT_STORED)
    with in_language(ticket.language):
        html = rendering.render(
            fragment,
            key,
            token=token,
            template=ticket.template,
            announcement=announcement(fragment, shown),
        )
    response = HttpResponse(html, headers=NOT_STORED)
    if fragment.is_finished:
        trigger_client_event(
            response, "progressbar:finished", {"key": key, "state": fragment.state}
        )
    return response


def refuse(request: HttpRequest, ticket: Ticket | None, key: str) -> HttpResponse:
    """Answer whoever may not see the bar.

    htmx gets a finished fragment that says no more than that, since it would go on polling after
    a 403.
    """
    if not HtmxDetails(request):
        return HttpResponseForbidden(headers=NOT_STORED)
    with nullcontext() if ticket is None else in_language(ticket.language):
        fragment = refusal()
        html = rendering.render(fragment, key, announcement=fragment.text)
    return HttpResponse(html, headers=NOT_STORED)
