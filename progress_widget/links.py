"""Where a row's link may lead."""

from __future__ import annotations

import re

# Browsers drop some of these wherever they stand, and take a backslash for a slash.
TRICKS = re.compile(r"[\x00-\x1f\x7f-\x9f\\]|^\s|\s$")

WEB = re.compile(r"https?://[^/?#]", re.IGNORECASE)
SCHEME = re.compile(r"[^/?#]*:")


def safe_link(link: str) -> str:
    """Return a link that a page may show, or "": to http, https, or a path of the same site.

    "//harvest" leads to another site, though it looks like a path.
    """
    if TRICKS.search(link):
        return ""
    if WEB.match(link):
        return link
    return "" if SCHEME.match(link) or link.startswith("//") else link
