"""The partial view, which answers the bars' polls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connections
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django_htmx.http import trigger_client_event
from django_htmx.middleware import HtmxDetails

from progress_widget.reading import rendering, tickets
from progress_widget.reading.access import depends_on_user, may_view
from progress_widget.reading.fragments import (
    SLOWEST_MS,
    Version,
    announcement,
    in_language,
    refusal,
)
from progress_widget.reading.logs import log_once
from progress_widget.reading.polling import look_up
from progress_widget.reading.tickets import Ticket

# Cheaper than never_cache, which formats dates; no cache may store anything from here.
NOT_STORED = {"Cache-Control": "private, no-store"}
OF_USER = NOT_STORED | {"Vary": "Cookie"}
IN_OUTAGE = OF_USER | {"Retry-After": str(SLOWEST_MS // 1000)}
OUTAGE = "A page's poll can't be answered, since the database can't be asked; the page goes on"


def unattended(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer requests that no person makes: they prolong no session and report no outage.

    An error page would be sent to the administrators at each poll. 204 lets the page keep what it
    shows, and Retry-After lets the script ask less often.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Error as error:
            log_once(OUTAGE, error=error)
            response = HttpResponse(status=204, headers=IN_OUTAGE)
        _leave_session(request)
        return response

    for alias in connections:  # a transaction would fail to begin where the view can't catch it
        answer = non_atomic_requests(using=alias)(answer)
    return answer


@login_not_required
@unattended
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
        return HttpResponse(status=204, headers=_headers(ticket))
    with in_language(ticket.language):
        html = rendering.render(
            fragment,
            key,
            token=token,
            template=ticket.template,
            announcement=announcement(fragment, shown),
        )
    response = HttpResponse(html, headers=_headers(ticket))
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
        return HttpResponseForbidden(headers=_headers(ticket))
    with nullcontext() if ticket is None else in_language(ticket.language):
        fragment = refusal()
        html = rendering.render(fragment, key, announcement=fragment.text)
    return HttpResponse(html, headers=_headers(ticket))


def _headers(ticket: Ticket | None) -> dict[str, str]:
    """Return the headers of an answer, which depends on the cookie if it does on the user."""
    return NOT_STORED if ticket is None or not depends_on_user(ticket) else OF_USER


def _leave_session(request: HttpRequest) -> None:
    """Keep a session that has not changed out of sight of SessionMiddleware.

    With SESSION_SAVE_EVERY_REQUEST, it would be saved as it was when the poll began, and would
    never expire while a bar is shown. Whoever uses it after the view brings it back into sight.
    """
    session = getattr(request, "session", None)
    if session is not None and not session.modified:
        vars(session).pop("accessed", None)  # the middleware passes over a session without it
