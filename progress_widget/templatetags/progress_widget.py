"""``{% load progress_widget %}``: the tags only adapt the context and call rendering."""

from __future__ import annotations

from typing import Any

from django.template import Context, Library
from django.utils.safestring import SafeString

from progress_widget.reading import media, rendering

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
        request=context.get("request"),
        label=label,
        interval=interval,
        template=template,
    )


@register.simple_tag(takes_context=True)
def progress_widget_media(context: Context, *, htmx: int | bool = 2) -> SafeString:
    """Load what the bars need, once, in the head of a page.

    ``htmx=False`` is for a page with its own htmx, ``htmx=4`` for version 4.
    """
    return media.media(htmx=htmx, nonce=context.get("csp_nonce"))


@register.simple_tag(takes_context=True)
def progress_widget_css(context: Context) -> SafeString:
    """Load the stylesheet alone, for pages that treat stylesheets and scripts differently."""
    return media.css(nonce=context.get("csp_nonce"))


@register.simple_tag(takes_context=True)
def progress_widget_js(context: Context, *, htmx: int | bool = 2) -> SafeString:
    """Load the scripts alone; ``htmx`` is that of ``{% progress_widget_media %}``."""
    return media.js(htmx=htmx, nonce=context.get("csp_nonce"))
