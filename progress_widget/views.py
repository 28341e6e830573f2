"""The partial view: answers the polls of the bars."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django_htmx.http import trigger_client_event
from django_htmx.middleware import HtmxDetails

from progress_widget.reading import rendering, tickets
from progress_widget.reading.access import may_view
from progress_widget.reading.polling import look_up


@login_not_required
@never_cache
@require_GET
def poll(request: HttpRequest, token: str) -> HttpResponse:
    """Answer with the fragment, or with 204 when what it would show is what the page shows.

    Whoever may not see the bar gets a finished fragment that says no more than that: htmx would
    go on asking after a 403.
    """
    key = rendering.valid_key(request.GET.get("k", ""))
    ticket = tickets.read(token)
    if ticket is None or not may_view(request, ticket):
        if not HtmxDetails(request):
            return HttpResponseForbidden()
        language = translation.get_language() if ticket is None else ticket.language
        with translation.override(language or None):
            return HttpResponse(rendering.refusal(key))
    with translation.override(ticket.language or None):
        fragment = look_up(ticket, request.GET.get("v", ""))
        if fragment.is_shown:
            return HttpResponse(status=204)
        response = HttpResponse(rendering.render(fragment, key))
    if fragment.is_finished:
        trigger_client_event(
            response, "progressbar:finished", {"key": key, "state": fragment.state}
        )
    return response
