"""What a screen reader says: never each poll, and no flood where a page has many bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.translation import gettext

from progress_widget.reading.fragments import REFUSED, Fragment, Version
from progress_widget.states import State
from progress_widget.texts import ALL_ENDED, FAILURES, STILL_RUNNING

FEW = 3
"""So many, bars or failures, are announced one by one."""

MILESTONES = (50, 20, 10, 5, 0)
"""How many bars still run when a page with many says so."""

Change = tuple[Fragment, "Version | None"]
"""What a bar shows now, and what the page shows of it."""


class Crowd(NamedTuple):
    """How many bars a page has."""

    size: int
    """Those that are live, or were."""

    live: int
    """Those that still ask."""


def announcement(fragment: Fragment, shown: Version | None) -> str:
    """Return what is said of one bar: its start, each quarter, its end, and any trouble."""
    if shown is None:
        return ""
    version = fragment.version
    if version.state != shown.state:
        return ": ".join(filter(None, (fragment.label, fragment.text, fragment.message)))
    if version.quarter > shown.quarter:
        return " ".join(filter(None, (fragment.label, fragment.as_percent)))
    return ""


def joint_announcement(changes: Sequence[Change], crowd: Crowd) -> str:
    """Return what is said of all changes on a page at once, in the active language."""
    if crowd.size <= FEW:
        said = [announcement(*change) for change in changes]
    else:
        refusals = {fragment.text for fragment, _ in changes if fragment.state == REFUSED}
        failures = [change for change in changes if change[0].state == State.FAILED]
        ended = sum(fragment.is_finished and fragment.state != REFUSED for fragment, _ in changes)
        said = [*refusals, *_failures(failures), _milestone(crowd.live, crowd.live - ended)]
    return "; ".join(filter(None, said))


def _failures(failures: Sequence[Change]) -> list[str]:
    if len(failures) <= FEW:
        return [announcement(*change) for change in failures]
    return [gettext(FAILURES) % {"number": len(failures)}]


def _milestone(before: int, after: int) -> str:
    if not any(before > milestone >= after for milestone in MILESTONES):
        return ""
    return gettext(STILL_RUNNING) % {"number": after} if after > 0 else gettext(ALL_ENDED)
