"""The view of the form that cancels a task."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_protect
from django_htmx.middleware import HtmxDetails

from progress_widget.models import TaskProgress
from progress_widget.reading.access import may_cancel, may_view_row
from progress_widget.reading.announcements import Crowd, in_words
from progress_widget.reading.stopping import ask_to_stop
from progress_widget.views.polls import NOT_STORED, OF_USER, Poll, changes_in, respond
from progress_widget.views.returning import way_back


@login_not_required  # whoever has logged out meanwhile is refused, and led to no login page
@csrf_protect
def cancel(request: HttpRequest, token: str) -> HttpResponse:
    """Ask a task to stop, and answer with its bar; without htmx, lead back to the page.

    Whoever may not see the bar gets what a poll would answer, and whoever may only see it a 403.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"], headers=NOT_STORED)
    poll = Poll.of(request, token, request.GET.get("k", ""), request.GET.get("v", ""))
    row = _row_of(poll, request)
    if row is not None and poll.ticket is not None:
        if not (poll.ticket.cancel and may_cancel(request, row)):
            return HttpResponseForbidden(headers=OF_USER)
        ask_to_stop(row.task_id)
    if HtmxDetails(request):
        return respond([poll], changes_in(request, [poll]), Crowd(1, 1))
    if row is None:
        return HttpResponseForbidden(headers=OF_USER)
    [(_, fragment)] = changes_in(request, [poll._replace(shown=None)])
    said = HttpResponse(in_words(fragment), content_type="text/plain", headers=OF_USER)
    return way_back(request) or said


def _row_of(poll: Poll, request: HttpRequest) -> TaskProgress | None:
    """Return the row, or None if whoever asks may not see it."""
    if poll.ticket is None or not poll.is_allowed:
        return None
    task_id = poll.ticket.task_id
    row = TaskProgress.objects.for_tasks([task_id])[task_id]
    return row if may_view_row(request, row) else None
