"""The pages: what each has shown, from its opening to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.workers.chaos_kinds import Kind
from tests.workers.conftest import Page


@dataclass
class Seen:
    """What a page has shown for a while.

    Attributes:
        at: When the first poll that showed it was answered.
        until: When the last poll that showed it was sent.
    """

    at: float
    until: float
    state: str
    percent: float | None
    is_finished: bool
    text: str


@dataclass
class Watched:
    """One bar on a page, and all that was seen of it.

    Attributes:
        is_shared: Whether it is no task's own; it is over at its total.
        workers: The ids of the tasks that work on it.
        revoked_at: When the test has revoked its task.
    """

    kind: Kind
    bar_id: str
    page: Page
    is_shared: bool
    workers: tuple[str, ...]
    revoked_at: float | None = None
    opened_at: float = field(default_factory=time.time)
    polled_at: float = 0.0
    polls: int = 0
    history: list[Seen] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        return bool(self.history) and self.history[-1].is_finished

    @property
    def unfinished_at(self) -> float:
        """Give when the last poll was sent that did not show the end."""
        return max((seen.until for seen in self.history if not seen.is_finished), default=0.0)

    def look(self) -> None:
        """Poll once, as htmx does."""
        self.polled_at = time.time()
        self.polls += 1
        bar = self.page.poll().bar
        percent = str(bar.get("data-percent", ""))
        seen = Seen(
            at=time.time(),
            until=self.polled_at,
            state=self.page.state,
            percent=float(percent) if percent else None,
            is_finished=bar.get("hx-get") is None,
            text=self.page.text,
        )
        last = self.history[-1] if self.history else None
        if last and (last.text, last.is_finished) == (seen.text, seen.is_finished):
            last.until = seen.until
        else:
            self.history.append(seen)
