"""A page links only to where a link plainly leads."""

from __future__ import annotations

import pytest

from progress_widget.links import safe_link


@pytest.mark.parametrize(
    "link",
    [
        "/harvests/7/",
        "/harvests/7/?day=12:00#leaf:3",
        "harvests/7/",
        "../7/",
        "?page=2",
        "#leaf",
        "/files/kelp harvest.csv",
        "/مهام/",
        "https://kelp.example/7/",
        "HTTP://kelp.example",
        "",
    ],
)
def test_link_to_a_page_is_kept(link):
    assert safe_link(link) == link


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,kelp",
        "vbscript:x",
        "mailto:otter@kelp.example",
        "ftp://kelp.example/",
        "kelp.example:80/7/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https://",
        "https:\\\\evil.example",
        "/harvests/7/\n",
    ],
)
def test_link_that_may_mislead_is_none(link):
    assert safe_link(link) == ""
