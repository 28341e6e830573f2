"""The partial views, which answer the bars' polls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt
from django_htmx.http import trigger_client_event
from django_htmx.middleware import HtmxDetails

from progress_widget.reading import rendering, tickets
from progress_widget.reading.access import may_view
from progress_widget.reading.announcements import Crowd, joint_announcement
from progress_widget.reading.fragments import REFUSED, Fragment, Version, in_language, refusal
from progress_widget.reading.polling import look_up
from progress_widget.reading.tickets import Ticket

# Cheaper than never_cache, which formats dates; no cache may store anything from here.
NOT_STORED = {"Cache-Control": "private, no-store"}

MOST = 100
"""How many bars one request may ask for; the package's script asks for half as many."""


class Poll(NamedTuple):
    """What a page asks of one of its bars."""

    token: str
    key: str

    shown: Version | None
    """What the page shows."""

    ticket: Ticket | None
    """None means that whoever asks may not see the bar."""

    language: str | None
    """None means that of the request, since no ticket tells."""

    @classmethod
    def of(cls, request: HttpRequest, token: str, key: str, shown: str) -> Poll:
        ticket = tickets.read(token)
        return cls(
            token=token,
            key=rendering.valid_key(key),
            shown=Version.parse(shown),
            ticket=ticket if ticket is not None and may_view(request, ticket) else None,
            language=None if ticket is None else ticket.language,
        )

    def in_language(self) -> AbstractContextManager[None]:
        return nullcontext() if self.language is None else in_language(self.language)


Change = tuple[Poll, Fragment]
"""A poll, and what the page does not show yet."""


@login_not_required
def poll(request: HttpRequest, token: str) -> HttpResponse:
    """Answer with the fragment, or with 204 if the page shows it already.

    htmx gets a finished fragment of a bar that may not be seen, since it would go on polling after
    a 403.
    """
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"], headers=NOT_STORED)
    asked = Poll.of(request, token, request.GET.get("k", ""), request.GET.get("v", ""))
    if asked.ticket is None and not HtmxDetails(request):
        return HttpResponseForbidden(headers=NOT_STORED)
    return _answered(changes_of([asked]), Crowd(1, 1))


@csrf_exempt  # it only reads, and the signed tokens authorise
@login_not_required
def poll_together(request: HttpRequest) -> HttpResponse:
    """Answer the polls of many bars with the fragments that have changed, or with 204.

    ``bar`` is the URL of a bar's own poll; ``size`` and ``live`` are the page's ``Crowd``.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"], headers=NOT_STORED)
    urls = request.POST.getlist("bar")[:MOST]
    found = [re.search(r"([^/]+)/\?k=([^&]*)&v=([^&]*)$", url) for url in urls]
    polls = [Poll.of(request, *one.groups()) for one in found if one]
    crowd = Crowd(_count(request, "size"), _count(request, "live"))
    return _answered(changes_of(polls), crowd, is_lean=True)


def changes_of(polls: Sequence[Poll]) -> list[Change]:
    """Return what has changed for each poll, with one query for all."""
    fragments = iter(look_up([(one.ticket, one.shown) for one in polls if one.ticket is not None]))
    changes = []
    for one in polls:
        with one.in_language():
            fragment = refusal() if one.ticket is None else next(fragments)
        if fragment.version != one.shown:
            changes.append((one, fragment))
    return changes


def _answered(changes: Sequence[Change], crowd: Crowd, *, is_lean: bool = False) -> HttpResponse:
    if not changes:
        return HttpResponse(status=204, headers=NOT_STORED)
    said = ""
    html = []
    for number, (one, fragment) in enumerate(changes):
        with one.in_language():
            if number == 0:  # one live region says it all
                said = joint_announcement([(new, old.shown) for old, new in changes], crowd)
            rendered = rendering.render(
                fragment,
                one.key,
                token=one.token,
                template="" if one.ticket is None else one.ticket.template,
                announcement="" if number else said,
                is_lean=is_lean,
            )
        html.append(rendered)
    response = HttpResponse(html, headers=NOT_STORED)
    finished = [
        {"key": one.key, "state": fragment.state}
        for one, fragment in changes
        if fragment.is_finished and fragment.state != REFUSED
    ]
    if finished:
        trigger_client_event(response, "progressbar:finished", {"bars": finished})
    return response


def _count(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0
