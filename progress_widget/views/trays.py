"""The views of the tray: what it holds now, and what is taken out of it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_protect

from progress_widget.models import TaskProgress
from progress_widget.reading import tickets, trays
from progress_widget.reading.access import user_of
from progress_widget.reading.fragments import in_language
from progress_widget.reading.tickets import Ticket
from progress_widget.views.polls import OF_USER, unattended
from progress_widget.views.returning import way_back


@login_not_required  # htmx would put a login page into the tray
@unattended
def tray(request: HttpRequest, token: str) -> HttpResponse:
    """Answer with what the tray of the request's user holds, in the language of its page."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"], headers=OF_USER)
    ticket = tickets.read(token)
    if ticket is None:
        return HttpResponseForbidden(headers=OF_USER)
    return _contents(request, ticket)


@login_not_required
@csrf_protect
def dismiss(request: HttpRequest, token: str) -> HttpResponse:
    """Take a finished task out of its owner's tray; without htmx, go back to the page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"], headers=OF_USER)
    ticket = tickets.read(token)
    if ticket is None or not ticket.user or ticket.user != user_of(request):
        return HttpResponseForbidden(headers=OF_USER)
    TaskProgress.objects.dismiss(ticket.task_id, request.user)
    return way_back(request) or _contents(request, ticket, is_answer=True)


def _contents(request: HttpRequest, ticket: Ticket, *, is_answer: bool = False) -> HttpResponse:
    with in_language(ticket.language):
        html = trays.contents(request, ticket, is_answer=is_answer)
    return HttpResponse(html, headers=OF_USER)
