"""The bars of a page's objects: their rows are looked up at once, when the first is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from progress_widget.models import TaskProgress
from progress_widget.reading import polling, rendering

Rows = dict[Any, TaskProgress]
LookUp = Callable[["HttpRequest | None", Sequence[Model]], Rows]

PAGE = "_progress_page"


class Page:
    """The objects that a page of the admin shows, and whom it is for."""

    def __init__(self, request: HttpRequest, objects: Sequence[Model], look_up: LookUp) -> None:
        self.request = request
        self.objects = objects
        self.look_up = look_up

    @cached_property
    def rows(self) -> Rows:
        return self.look_up(self.request, self.objects)


def put_on_page(request: HttpRequest, objects: Iterable[Model], look_up: LookUp) -> None:
    """Leave word of a page with its objects, since one ModelAdmin draws the pages of all users."""
    page = Page(request, list(objects), look_up)
    for obj in page.objects:
        setattr(obj, PAGE, page)


def request_of(obj: Model) -> HttpRequest | None:
    """Return the request for the page of ours that an object is on, if it is on one."""
    page: Page | None = getattr(obj, PAGE, None)
    return None if page is None else page.request


def cell(obj: Model, look_up: LookUp) -> SafeString | str:
    """Return the live bar of an object's task, or "" if it has none.

    For an object that is on no page of ours, as in an export, it is text.
    """
    if obj._state.adding:
        return ""
    page: Page | None = getattr(obj, PAGE, None)
    row = (page.rows if page else look_up(None, [obj])).get(obj.pk)
    if row is None:
        return ""
    if page is None:
        return row.as_percent or str(row.get_state_display())
    return rendering.progressbar(row, request=page.request)


def rows_of(objects: Sequence[Model], field: str | None) -> Rows:
    """Return the rows of the objects' tasks by the objects' primary keys, in one query.

    Args:
        field: Where an object has its task's id; None means that the newest row about it counts.
    """
    if field is None:
        newest = zip(objects, polling.newest_about(objects), strict=True)
        return {obj.pk: row for obj, row in newest if row is not None}
    ids = {obj.pk: getattr(obj, field) for obj in objects}
    rows = TaskProgress.objects.for_tasks(task_id for task_id in ids.values() if task_id)
    return {pk: rows[task_id] for pk, task_id in ids.items() if task_id}
