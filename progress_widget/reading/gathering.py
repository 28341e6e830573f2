"""The bars within a ``{% progressbars %}``, whose rows are looked up at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import Model
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from progress_widget.models import TaskProgress
from progress_widget.reading.polling import Wanted

# Its key, a blank bar, and its key again.
STAND_IN = re.compile(r"<!--(p[0-9A-Za-z_-]{6})-->[^<]*(?:<(?!!--/\1-->)[^<]*)*<!--/\1-->")

Draw = Callable[["TaskProgress | None"], SafeString]


class Gathered:
    """The bars that are yet to be drawn, by the keys of their stand-ins."""

    def __init__(self) -> None:
        self.bars: dict[str, tuple[Wanted, str]] = {}
        """Each with its token."""

        self.about: dict[str, tuple[Model, Draw, str]] = {}
        """The objects whose tasks are not known yet, each with what draws it and its language."""

        self.blanks: dict[str, str] = {}
        """A bar that waits for its first poll, by language; to render each would cost double."""

    def stand_in(self, key: str, wanted: Wanted, token: str, blank: str) -> SafeString:
        self.bars[key] = wanted, token
        return SafeString(f"<!--{key}-->{blank}<!--/{key}-->")

    def stand_in_about(self, key: str, thing: Model, draw: Draw) -> SafeString:
        self.about[key] = thing, draw, get_language() or ""
        return SafeString(f"<!--{key}--><!--/{key}-->")


here: ContextVar[Gathered | None] = ContextVar("progress_widget_gathered", default=None)


@contextmanager
def gather() -> Iterator[Gathered]:
    """Gather the bars that are shown meanwhile."""
    gathered = Gathered()
    outside = here.set(gathered)
    try:
        yield gathered
    finally:
        here.reset(outside)


def replaced(html: str, draw: Callable[[str], str | None]) -> SafeString:
    """Return the HTML with the stand-ins drawn by their keys; where that is None, as they are."""

    def drawn(found: re.Match[str]) -> str:
        text = draw(found[1])
        return found[0] if text is None else text

    return SafeString(STAND_IN.sub(drawn, html))
