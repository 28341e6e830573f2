"""The partial views, which answer the bars' polls."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import NamedTuple

from django.contrib.auth.decorators import login_not_required
from django.db import Error, connections
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt
from django_htmx.http import trigger_client_event
from django_htmx.middleware import HtmxDetails

from progress_widget.reading import rendering, tickets
from progress_widget.reading.access import depends_on_user, may_view
from progress_widget.reading.announcements import Change, Crowd, joint_announcement
from progress_widget.reading.fragments import (
    REFUSED,
    SLOWEST_MS,
    Fragment,
    Version,
    in_language,
    refusal,
)
from progress_widget.reading.logs import log_once
from progress_widget.reading.polling import Wanted, look_up
from progress_widget.reading.tickets import Ticket

# Cheaper than never_cache, which formats dates; no cache may store anything from here.
NOT_STORED = {"Cache-Control": "private, no-store"}
OF_USER = NOT_STORED | {"Vary": "Cookie"}
IN_OUTAGE = OF_USER | {"Retry-After": str(SLOWEST_MS // 1000)}
OUTAGE = "A page's poll can't be answered, since the database can't be asked; the page goes on"

# Matched from the start: a search would take hours for a long line of a stranger's.
POLL_URL = re.compile(r"(?:.*/)?([^/]+)/\?k=([^&]*)&v=([^&]*)$")

MOST = 100
"""How many bars one request may ask for; the package's script asks for half as many."""


class Poll(NamedTuple):
    """What a page asks of one of its bars."""

    token: str
    key: str

    shown: Version | None
    """What the page shows."""

    ticket: Ticket | None
    """None means that the token can't be read."""

    is_allowed: bool
    """Whether whoever asks may see the bar."""

    @classmethod
    def of(cls, request: HttpRequest, token: str, key: str, shown: str) -> Poll:
        ticket = tickets.read(token)
        is_allowed = ticket is not None and may_view(request, ticket)
        return cls(token, rendering.valid_key(key), Version.parse(shown), ticket, is_allowed)

    def in_language(self) -> AbstractContextManager[None]:
        return nullcontext() if self.ticket is None else in_language(self.ticket.language)


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
    """Answer with the fragment, or with 204 if the page shows it already.

    Of a bar that may not be seen, htmx gets a finished fragment that says no more than that, since
    it would go on polling after a 403.
    """
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"], headers=NOT_STORED)
    polls = [Poll.of(request, token, request.GET.get("k", ""), request.GET.get("v", ""))]
    if not (polls[0].is_allowed or HtmxDetails(request)):
        return HttpResponseForbidden(headers=_headers(polls))
    changes = changes_in(request, polls)
    if any(not one.is_allowed for one, _ in changes) and not HtmxDetails(request):
        return HttpResponseForbidden(headers=_headers(polls))
    return respond(polls, changes, Crowd(1, 1))


@csrf_exempt  # it only reads, and the signed tokens authorise
@login_not_required
@unattended
def poll_together(request: HttpRequest) -> HttpResponse:
    """Answer the polls of many bars with the fragments that have changed, or with 204.

    The body is plain text, which is cheaper than a form: the page's ``Crowd``, and in each further
    line the URL of a bar's own poll.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"], headers=NOT_STORED)
    first, *urls = request.body.decode(errors="replace").split("\n")
    counts = re.fullmatch("([0-9]{1,6}) ([0-9]{1,6})", first)
    found = map(POLL_URL.match, urls[:MOST])
    polls = [Poll.of(request, *one.groups()) for one in found if one]
    crowd = Crowd(*map(int, counts.groups())) if counts else Crowd(0, 0)
    return respond(polls, changes_in(request, polls), crowd, is_lean=True)


def respond(
    polls: Sequence[Poll],
    changes: Sequence[tuple[Poll, Fragment]],
    crowd: Crowd,
    *,
    is_lean: bool = False,
) -> HttpResponse:
    """Answer polls with the fragments that have changed, or with 204."""
    if not changes:
        return HttpResponse(status=204, headers=_headers(polls))
    with changes[0][0].in_language():
        said = joint_announcement(_told(changes), crowd)
    html: list[str] = []
    for one, fragment in changes:
        with one.in_language():
            rendered = rendering.render(
                fragment,
                one.key,
                token=one.token,
                template=one.ticket.template if one.ticket and one.is_allowed else "",
                announcement="" if html else said,  # one live region says it all
                is_lean=is_lean,
            )
        html.append(rendered)
    response = HttpResponse(html, headers=_headers(polls))
    finished = [
        {"key": one.key, "state": fragment.state}
        for one, fragment in changes
        if fragment.is_finished and fragment.state != REFUSED
    ]
    if finished:
        trigger_client_event(response, "progressbar:finished", {"bars": finished})
    return response


def _told(changes: Sequence[tuple[Poll, Fragment]]) -> list[Change]:
    """Return what is announced; of a task that the page shows twice, as in its tray, only once."""
    first = {one.ticket and one.ticket.task_id: one.key for one, _ in reversed(changes)}
    return [
        (fragment, one.shown if one.key == first[one.ticket and one.ticket.task_id] else None)
        for one, fragment in changes
    ]


def changes_in(request: HttpRequest, polls: Sequence[Poll]) -> list[tuple[Poll, Fragment]]:
    """Return what the page does not show yet, with one query for all polls.

    Whether a bar may be seen can be said by its row, too.
    """
    asked = [
        Wanted(one.ticket, request, one.shown) for one in polls if one.ticket and one.is_allowed
    ]
    fragments = iter(look_up(asked))
    changes = []
    for one in polls:
        if one.is_allowed:
            fragment = next(fragments)
            one = one._replace(is_allowed=fragment.state != REFUSED)
        else:
            with one.in_language():
                fragment = refusal()
        if fragment.version != one.shown:
            changes.append((one, fragment))
    return changes


def _headers(polls: Sequence[Poll]) -> dict[str, str]:
    """Return the headers of an answer, which depends on the cookie if it does on a user."""
    users = {one.ticket.user: one.ticket for one in polls if one.ticket is not None}
    return OF_USER if any(map(depends_on_user, users.values())) else NOT_STORED


def _leave_session(request: HttpRequest) -> None:
    """Keep a session that has not changed out of sight of SessionMiddleware.

    With SESSION_SAVE_EVERY_REQUEST, it would be saved as it was when the poll began, and would
    never expire while a bar is shown. Whoever uses it after the view brings it back into sight.
    """
    session = getattr(request, "session", None)
    if session is not None and not session.modified:
        vars(session).pop("accessed", None)  # the middleware passes over a session without it
