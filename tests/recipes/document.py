"""The recipes as docs/recipes.md has them."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
SECTION = re.compile(r"^## (.+?)$\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:# |\{# |/\* )(\S+)(?: #\}| \*/)?")

SECTIONS = dict(SECTION.findall(TEXT))


def files(heading: str) -> dict[str, str]:
    """Return the files of a recipe: each block's text under the name that it begins with."""
    found = {}
    for _, code in BLOCK.findall(SECTIONS[heading]):
        first, _, text = code.partition("\n")
        found[FILE.fullmatch(first)[1]] = text
    return found
