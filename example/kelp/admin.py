from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from kelp import tasks
from kelp.models import Harvest, LogBook
from progress_widget.admin import ProgressAdminMixin


@admin.register(LogBook)
class LogBookAdmin(ProgressAdminMixin, admin.ModelAdmin):
    """Each book has the bar of its newest import, in the list and on its page."""

    list_display = ("__str__", "lines", "progress")
    readonly_fields = ("progress",)
    progress_task_field = None  # a book keeps no task's id: the import is about it
    progress_object_buttons = ("import_harvests",)

    @admin.action(description="Import")
    def import_harvests(self, request: HttpRequest, book: LogBook) -> None:
        self.start_task(request, tasks.import_log_book, book.pk, about=book, label=f"Import {book}")


@admin.register(Harvest)
class HarvestAdmin(ProgressAdminMixin, admin.ModelAdmin):
    """What an action or a button starts is shown above the list."""

    list_display = ("site", "species", "kilograms", "cut_on")
    list_filter = ("site", "species")
    actions = ("weigh_again",)
    progress_buttons = ("wait_for_the_tide", "call_the_boat")

    @admin.action(description="Weigh selected harvests again", permissions=["change"])
    def weigh_again(self, request: HttpRequest, harvests: QuerySet[Harvest]) -> None:
        pks = list(harvests.values_list("pk", flat=True))
        self.start_task(request, tasks.weigh_again, pks, label=f"Weigh {len(pks)} harvests")

    @admin.action(description="Wait for the tide")
    def wait_for_the_tide(self, request: HttpRequest) -> None:
        """Start a task that takes a minute, unless somebody cancels it."""
        self.start_task(request, tasks.take_a_minute, label="Wait for the tide")

    @admin.action(description="Call the boat")
    def call_the_boat(self, request: HttpRequest) -> None:
        """Start a task that fails."""
        self.start_task(request, tasks.raise_exception, label="Call the boat")
