"""The rows in Django's admin, read-only, each with its live bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.forms import Media
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from progress_widget.models import TaskProgress
from progress_widget.reading import media, rendering

FIELDS = ("task_id", "label", "created_at")


class TaskProgressAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable
    """Read-only. Only the bar is live, so nothing that could go stale is shown beside it."""

    list_filter = ("state",)
    search_fields = ("label", "=task_id", "step")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)

    @property
    def media(self) -> Media:
        """Include htmx, so that any theme that prints the admin's media loads it."""
        return super().media + Media(
            css={"all": [media.STYLESHEET]},
            js=["django_htmx/htmx-2.min.js", media.SCRIPT],
        )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return ["__str__", _bar_column(request), "created_at"]

    def get_fields(self, request: HttpRequest, obj: TaskProgress | None = None) -> list[Any]:
        return [_bar_column(request), *FIELDS]

    def get_readonly_fields(
        self, request: HttpRequest, obj: TaskProgress | None = None
    ) -> list[Any]:
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: TaskProgress | None = None) -> bool:
        return False


def _bar_column(request: HttpRequest) -> Callable[[TaskProgress], SafeString]:
    # One ModelAdmin serves all requests, but a bar is bound to the user of one of them.
    @admin.display(description=_("progress"))
    def progressbar(row: TaskProgress) -> SafeString:
        return rendering.progressbar(row, request=request)

    return progressbar
