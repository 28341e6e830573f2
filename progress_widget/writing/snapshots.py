"""What a handle reports, at one moment, and what is new in it."""

from __future__ import annotations

from typing import Any, NamedTuple

from progress_widget.texts import COMPLETE
from progress_widget.writing.values import Assigned


class Snapshot(NamedTuple):
    """All that a handle reports, at one moment."""

    reached: tuple[int, int]
    """The progress that was assigned last, and the sum of what had been added by then.

    Compared by identity, like Assigned. It is a bare tuple since track() makes one for each item:
    that takes 25 ns, an instance of a class 110.
    """

    added: int
    """The sum of what has been added."""

    total: Assigned[int | None]
    step: Assigned[str]

    @property
    def progress(self) -> int:
        """The progress as the handle knows it, within the total."""
        total = self.total.value
        return self._unclamped if total is None else min(self._unclamped, total)

    @property
    def is_over(self) -> bool:
        """Whether more has been added than the total allows."""
        return self.progress < self._unclamped

    @property
    def _unclamped(self) -> int:
        progress, added_by_then = self.reached
        return progress + self.added - added_by_then

    def at_the_end(self) -> Snapshot:
        """Return what a handle knows once its task has succeeded."""
        total = self.progress if self.total.value is None else self.total.value
        return Snapshot((total, 0), 0, Assigned(total), Assigned(COMPLETE))

    def changes_since(self, earlier: Snapshot) -> dict[str, Any]:
        """Return what is new to a row that knows the earlier one, as save_changes() takes it."""
        changes: dict[str, Any] = {}
        if self.reached is not earlier.reached:
            changes["progress"] = self.progress
        elif self.added != earlier.added:
            changes["added"] = self.added - earlier.added
        if self.total is not earlier.total:
            changes["total"] = self.total.value
        if self.step is not earlier.step:
            changes["step"] = self.step.value
        return changes
