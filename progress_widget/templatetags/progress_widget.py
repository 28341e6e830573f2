"""``{% load progress_widget %}``: the tags only adapt the context and call rendering."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template import Context, Library, Node
from django.template.base import NodeList, Parser, Token
from django.utils.safestring import SafeString

from progress_widget.reading import rendering
from progress_widget.reading.media import media

register = Library()


@register.simple_tag(takes_context=True)
def progressbar(
    context: Context,
    task: Any,
    *,
    label: object = "",
    interval: Any = None,
    template: str = rendering.TEMPLATE,
) -> SafeString:
    """Show the live bar of a task: ``{% progressbar task_id label="Import" interval=2 %}``."""
    return rendering.progressbar(
        task,
        request=_request_of(context),
        label=label,
        interval=interval,
        template=template,
    )


class ProgressBarsNode(Node):
    """The node of ``{% progressbars %}``."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        return rendering.progressbars(lambda: self.nodelist.render(context))


@register.tag
def progressbars(parser: Parser, token: Token) -> ProgressBarsNode:
    """Look up all bars at once: ``{% progressbars %} … {% endprogressbars %}``."""
    nodelist = parser.parse(("endprogressbars",))
    parser.delete_first_token()
    return ProgressBarsNode(nodelist)


@register.simple_tag(takes_context=True)
def progress_widget_media(context: Context, *, htmx: int | bool = 2) -> SafeString:
    """Load what the bars need, once, in the head of a page.

    ``htmx=False`` is for a page with its own htmx, ``htmx=4`` for version 4.
    """
    return media(htmx=htmx, nonce=_nonce_of(context))


def _request_of(context: Context) -> HttpRequest | None:
    """Return the request of the page; None only if it was rendered without one.

    The context's own comes first: its "request" is lost in ``{% include ... only %}`` and in
    inclusion tags, and may be another thing of that name.
    """
    return getattr(context, "request", None) or context.get("request")


def _nonce_of(context: Context) -> Any:
    """Return the nonce of the page's Content-Security-Policy, or None."""
    request = _request_of(context)
    named = (
        context.get("csp_nonce"),
        getattr(request, "csp_nonce", None),  # django-csp's
        getattr(request, "_csp_nonce", None),  # Django's, as get_nonce() of Django 6 returns it
    )
    # A nonce that has not been read yet is false.
    return next((nonce for nonce in named if nonce is not None), None)
