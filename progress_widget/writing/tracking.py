"""The loop of a task: what ``track()`` yields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from progress_widget.exceptions import Cancelled
from progress_widget.writing.flushing import Outlet
from progress_widget.writing.reports import Report

T = TypeVar("T")


def counted(iterable: Iterable[T], outlet: Outlet) -> Iterator[T]:
    """Yield the items, and report how many are done."""
    report = outlet.report
    inline, added = not report.in_background, report.added
    try:
        for done, item in enumerate(iterable, 1):
            yield item
            # The hot path: not even a method call.
            report.reached = (done, added)
            if inline:
                outlet.write_when_due()
    finally:
        outlet.write()


def until_cancelled(iterable: Iterable[T], report: Report) -> Iterator[T]:
    """Yield the items until the task is asked to stop; no item is taken that is not yielded.

    Raises:
        Cancelled: It is asked.
    """
    items = iter(iterable)
    while not report.is_cancelled:
        try:
            item = next(items)
        except StopIteration:
            return
        yield item
    raise Cancelled
