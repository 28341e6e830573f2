"""What a page with bars needs in its head."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_htmx.jinja import htmx_script

STYLESHEET = "progress_widget/progress_widget.css"
TRAY_STYLESHEET = "progress_widget/progress_tray.css"
SCRIPT = "progress_widget/progress_widget.js"


def media(*, htmx: int | bool = 2, tray: bool = False, nonce: Any = None) -> SafeString:
    """Return the elements that a page needs in its head.

    Args:
        tray: Whether the page has a tray.
        htmx: The major version to load from django-htmx; False means that the page has its own.
        nonce: The nonce of the page's Content-Security-Policy; None means that it has none.
    """
    return SafeString("\n".join([css(tray=tray, nonce=nonce), js(htmx=htmx, nonce=nonce)]))


def css(*, tray: bool = False, nonce: Any = None) -> SafeString:
    """Return the elements that load the stylesheets; the arguments are those of media()."""
    sheets = [STYLESHEET, TRAY_STYLESHEET] if tray else [STYLESHEET]
    return format_html_join(
        "\n",
        '<link rel="stylesheet" href="{}"{}>',
        [(static(sheet), _attribute(nonce)) for sheet in sheets],
    )


def js(*, htmx: int | bool = 2, nonce: Any = None) -> SafeString:
    """Return the elements that load the scripts; the arguments are those of media()."""
    tags = [htmx_script(version=2 if htmx is True else htmx, nonce=nonce)] if htmx else []
    tags.append(
        format_html('<script src="{}" defer{}></script>', static(SCRIPT), _attribute(nonce))
    )
    return SafeString("\n".join(tags))


def _attribute(nonce: Any) -> SafeString:
    return SafeString("") if nonce is None else format_html(' nonce="{}"', nonce)
