"""The pages that the browser visits: each test publishes what it needs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from threading import Barrier, BrokenBarrierError

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template import RequestContext, Template

from progress_widget.launch import start_task

HTMX_TAGS = {
    "2": "{% progress_widget_media htmx=2 tray=True %}",
    "4.0.0-beta6": "{% progress_widget_media htmx=4 tray=True %}",
    "4.0.1": '<script src="/htmx.js" defer{% if csp_nonce %} nonce="{{ csp_nonce }}"{% endif %}>'
    "</script>\n{% progress_widget_media htmx=False tray=True %}",
}

PAGE = """\
<!doctype html>
<html {html}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Host page</title>
{head}
</head>
<body {attributes}>
{body}
</body>
</html>
"""


@dataclass(kw_only=True)
class Page:
    """One published page.

    Attributes:
        body: Template source of the content of body.
        htmx: The version to load, one of HTMX_TAGS; "" means a bare fragment, with no head or body.
        attributes: Attributes of body.
        head: Template source of what to add to head.
        policy: Content-Security-Policy; "{nonce}" stands for the nonce of the answer.
        instead: Texts to replace in the answer.
        event: What htmx is to send, once it has the answer.
    """

    body: str
    htmx: str = ""
    attributes: str = ""
    head: str = ""
    policy: str = ""
    html: str = 'lang="en"'
    instead: tuple[tuple[str, str], ...] = ()
    event: str = ""


published: dict[str, Page] = {}
htmx_file: Path | None = None

TASK = "kelp.tasks.dry_kelp"
at_once = Barrier(1)
"""So many forms are answered at the same time."""


def may_view(request: HttpRequest, task_id: str) -> bool:
    """Serve as CAN_VIEW."""
    return task_id != "refused"


def page(request: HttpRequest, name: str) -> HttpResponse:
    found = published[name]
    nonce = token_urlsafe(12) if "{nonce}" in found.policy else None
    source = "{% load progress_widget %}" + found.body
    context = RequestContext(request, {"csp_nonce": nonce} if nonce else {})
    html = Template(source).render(context)
    if found.htmx:
        head = "{% load progress_widget %}" + found.head + HTMX_TAGS[found.htmx]
        html = PAGE.format(
            html=found.html,
            head=Template(head).render(context),
            attributes=found.attributes,
            body=html,
        )
    for old, new in found.instead:
        html = html.replace(old, new)
    headers = {"Content-Security-Policy": found.policy.format(nonce=nonce)} if found.policy else {}
    if found.event:
        headers["HX-Trigger"] = found.event
    return HttpResponse(html, headers=headers)


def launch(request: HttpRequest) -> HttpResponse:
    """Start a task as a site does, with the id that the form has brought."""
    with suppress(BrokenBarrierError):
        at_once.wait()
    start_task(TASK, owner=request.user, label="Kelp", task_id=request.POST["task_id"])
    return redirect("page", "started")


def htmx_script(request: HttpRequest) -> FileResponse:
    """Serve the htmx that this project does not ship."""
    assert htmx_file is not None

    return FileResponse(htmx_file.open("rb"), content_type="text/javascript")


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)
