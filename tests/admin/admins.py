"""The admin of the tests' own project."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from progress_widget.admin import ProgressAdminMixin
from tests.models import Bay, Harvest

TASK = "kelp.tasks.dry_kelp"


@admin.register(Harvest)
class HarvestAdmin(ProgressAdminMixin, admin.ModelAdmin):
    list_display = ["name", "progress"]
    list_filter = ["name"]
    search_fields = ["name"]
    fields = ["name", "progress"]
    readonly_fields = ["progress"]
    actions = ["dry"]
    progress_buttons = ["dry_all", "export", "look"]
    progress_object_buttons = ["dry_one", "export_one"]

    @admin.action(description="Dry selected %(verbose_name_plural)s", permissions=["change"])
    def dry(self, request: HttpRequest, queryset):
        self.start_task(request, TASK, [harvest.pk for harvest in queryset], label="Drying kelp")

    @admin.action(description="Dry all %(verbose_name_plural)s")
    def dry_all(self, request: HttpRequest) -> None:
        self.start_task(request, TASK, label="Drying all")

    def export(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("name")

    @admin.action(permissions=["view"])
    def look(self, request: HttpRequest) -> None:
        self.message_user(request, "Looked")

    @admin.action(description="Dry this")
    def dry_one(self, request: HttpRequest, obj: Harvest) -> None:
        row = self.start_task(request, TASK, obj.pk, label=f"Drying {obj}", about=obj)
        obj.task_id = row.task_id
        obj.save()

    def export_one(self, request: HttpRequest, obj: Harvest) -> HttpResponse:
        return HttpResponse(obj.name)


@admin.register(Bay)
class BayAdmin(ProgressAdminMixin, admin.ModelAdmin):
    list_display = ["code", "progress"]
    readonly_fields = ["progress"]
    progress_task_field = None
    progress_object_buttons = ["dry"]

    def dry(self, request: HttpRequest, obj: Bay) -> None:
        self.start_task(request, TASK, about=obj)


class Importing:
    """Another mixin, which has a template."""

    change_list_template = "tests/change_list.html"
