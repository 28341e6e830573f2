"""Where a bar asks for what is new, and where its task is cancelled."""

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
    return _url("poll", token, key, version, language)


def cancel_url(token: str, key: str, version: Version, language: str | None) -> SafeString:
    """Return the URL of the form that cancels the task, escaped; it says what a poll's says."""
    return _url("cancel", token, key, version, language)


def _url(name: str, token: str, key: str, version: Version, language: str | None) -> SafeString:
    start, end = _around_token(name, get_resolver(get_urlconf()), get_script_prefix(), language)
    return SafeString(f"{start}{token}{end}?k={key}&amp;v={version}")


@lru_cache
def _around_token(name: str, *where: object) -> tuple[str, str]:
    """Return what comes before and after the token, escaped.

    To reverse and escape it each time would be a tenth of a bar's cost.

    Args:
        where: Everything that the path depends on.
    """
    url = reverse(f"progress_widget:{name}", kwargs={"token": "TOKEN"})
    start, _, end = url.rpartition("TOKEN")
    return conditional_escape(start), conditional_escape(end)
