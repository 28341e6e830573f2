"""Where a form leads that is sent without htmx."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from progress_widget.views.polls import OF_USER


def way_back(request: HttpRequest) -> HttpResponseRedirect | None:
    """Return an answer that leads back to the page of the form, if that is one of this site.

    None for htmx, whose page is still there.
    """
    page = request.headers.get("Referer", "")
    hosts, is_secure = {request.get_host()}, request.is_secure()
    is_ours = url_has_allowed_host_and_scheme(page, allowed_hosts=hosts, require_https=is_secure)
    if HtmxDetails(request) or not is_ours:
        return None
    return HttpResponseRedirect(page, status=303, headers=OF_USER)
