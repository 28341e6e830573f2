"""The loop of a task: what ``track()`` yields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

from progress_widget.conf import conf
from progress_widget.exceptions import Cancelled
from progress_widget.writing.flushing import Outlet

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


def until_cancelled(iterable: Iterable[T], outlet: Outlet) -> Iterator[T]:
    """Yield the items until the task is asked to stop; no item is taken that is not yielded.

    Raises:
        Cancelled: It is asked.
    """
    items, interval = iter(iterable), conf.write_interval
    while not outlet.report.is_cancelled:
        began_at = monotonic()
        try:
            item = next(items)
        except StopIteration:
            return
        yield item
        if monotonic() - began_at > interval:
            # The write that tells of this item has to be waited for: it learns of a wish that came
            # meanwhile, and the next item may take as long.
            outlet.flush()
    raise Cancelled
