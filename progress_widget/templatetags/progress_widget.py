"""``{% load progress_widget %}``: the tags only adapt the context and call rendering.

Under DEBUG, ``{% progressbar %}`` also tells of a variable that is misspelt.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template import Context, Library, Node, Variable, VariableDoesNotExist
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.template.library import SimpleNode
from django.utils.safestring import SafeString

from progress_widget.reading import media, rendering, trays

register = Library()
logger = logging.getLogger("progress_widget")


@register.simple_tag(takes_context=True)
def progressbar(
    context: Context,
    task: Any,
    *,
    label: object = "",
    interval: Any = None,
    template: str = rendering.TEMPLATE,
    cancel: bool = False,
) -> SafeString:
    """Show the live bar of a task: ``{% progressbar task_id label="Import" interval=2 %}``."""
    return rendering.progressbar(
        task,
        request=_request_of(context),
        label=label,
        interval=interval,
        template=template,
        cancel=cancel,
    )


class ProgressBarNode(SimpleNode):
    """The node of ``{% progressbar %}``, which tells of a variable that is not there."""

    line: int | None

    def get_resolved_arguments(self, context: Context) -> Any:
        args, kwargs = super().get_resolved_arguments(context)
        task = kwargs["task"] if "task" in kwargs else args[1]
        if task == "" and settings.DEBUG:
            written = self.kwargs["task"] if "task" in kwargs else self.args[0]
            if _is_undefined(written, context):
                _warn_once(self.origin.name, self.line, written.token)
        return args, kwargs


def _is_undefined(written: FilterExpression, context: Context) -> bool:
    """Whether it is nothing but a variable, and there is none; an attribute of None is expected."""
    if written.filters or not isinstance(written.var, Variable):
        return False
    try:
        written.var.resolve(context)
    except VariableDoesNotExist as error:
        return error.params[1] is not None
    return False


@lru_cache
def _warn_once(template: str, line: int | None, written: str) -> None:
    logger.warning(
        "%s, line %s: {%% progressbar %s %%} shows nothing, since there is no such variable.",
        template,
        line,
        written,
    )


compile_progressbar = register.tags["progressbar"]


@register.tag("progressbar")
def compile_node(parser: Parser, token: Token) -> ProgressBarNode:
    """Compile the tag as it was registered above, but to a node of our own."""
    plain = compile_progressbar(parser, token)
    node = ProgressBarNode(**vars(plain))
    node.line = token.lineno
    return node


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
def progress_tray(context: Context, *, template: str = trays.TEMPLATE) -> SafeString:
    """Show what the user has started, on any page: ``{% progress_tray %}`` in a base template."""
    return trays.progress_tray(_request_of(context), template=template)


@register.simple_tag(takes_context=True)
def progress_widget_media(
    context: Context, *, htmx: int | bool = 2, tray: bool = False
) -> SafeString:
    """Load what the bars need, once, in the head of a page.

    ``htmx=False`` is for a page with its own htmx, ``htmx=4`` for version 4, ``tray=True`` for one
    with ``{% progress_tray %}``.
    """
    return media.media(htmx=htmx, tray=tray, nonce=_nonce_of(context))


@register.simple_tag(takes_context=True)
def progress_widget_css(context: Context, *, tray: bool = False) -> SafeString:
    """Load the stylesheets alone, for pages that treat stylesheets and scripts differently."""
    return media.css(tray=tray, nonce=_nonce_of(context))


@register.simple_tag(takes_context=True)
def progress_widget_js(context: Context, *, htmx: int | bool = 2) -> SafeString:
    """Load the scripts alone; ``htmx`` is that of ``{% progress_widget_media %}``."""
    return media.js(htmx=htmx, nonce=_nonce_of(context))


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
