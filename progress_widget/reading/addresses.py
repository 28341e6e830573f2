"""Where a bar asks for what is new."""

from __future__ import annotations

from functools import lru_cache

from django.urls import get_resolver, get_script_prefix, get_urlconf, reverse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

from progress_widget.reading.fragments import Version


def poll_url(token: str, key: str, version: Version, language: str | None) -> SafeString:
    """Return the URL of the next poll, escaped.

    Args:
        language: The active one, which the project's paths may depend on.
    """
    start, end = _around_token(get_resolver(get_urlconf()), get_script_prefix(), language)
    return SafeString(f"{start}{token}{end}?k={key}&amp;v={version}")


@lru_cache
def _around_token(*where: object) -> tuple[str, str]:
    """Return what comes before and after the token, escaped.

    To reverse and escape it each time would be a tenth of a bar's cost.

    Args:
        where: Everything that the path depends on.
    """
    start, _, end = reverse("progress_widget:poll", kwargs={"token": "TOKEN"}).rpartition("TOKEN")
    return conditional_escape(start), conditional_escape(end)
