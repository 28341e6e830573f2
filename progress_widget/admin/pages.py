"""The list of tasks, and a page for each: what is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.contrib.auth import get_user_model
from django.db import connections, router
from django.db.models import Model, Prefetch
from django.forms import Media
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from progress_widget.admin import cells, columns, references
from progress_widget.admin.columns import Rows
from progress_widget.admin.filters import OwnerFilter, StateFilter, TaskNameFilter
from progress_widget.admin.mixins import ProgressAdminMixin
from progress_widget.clock import NOW
from progress_widget.models import GroupMember, TaskProgress

MEMBERS = "_progress_members"
STYLESHEET = "progress_widget/progress_tasks.css"


class TaskPages(ProgressAdminMixin):
    """Only the bars are live, so nothing that could go stale is shown beside them."""

    list_display = ("task", "bar", "owner_link", "started")
    list_filter = (StateFilter, TaskNameFilter, OwnerFilter)
    search_fields = ("label", "task_name", "=task_id")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fields = (
        "bar",
        "label",
        "task_name",
        "task_id",
        "owner_link",
        "about_link",
        "result_link",
        "tasks",
        "created_at",
    )
    progress_panel = False  # the list has them all

    @property
    def media(self) -> Media:
        return super().media + Media(css={"all": [STYLESHEET]})

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the rows that are where bars write, with their owners, wherever these are."""
        users: Any = get_user_model()
        owners = users._base_manager.using(router.db_for_read(users))
        rows = super().get_queryset(request).using(router.db_for_write(TaskProgress))
        return rows.prefetch_related(Prefetch("owner", owners)).annotate(now=NOW)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Leave out the links to dates where the database can't tell the days of the time zone.

        MySQL can't before its zones are loaded: to draw the links, Django would raise.
        """
        changelist: Any = super().get_changelist_instance(request)
        if not _knows_the_zone(changelist.queryset.db):
            changelist.date_hierarchy = None
        return changelist

    def get_progress_rows(self, request: HttpRequest | None, objects: Sequence[Model]) -> Rows:
        return {obj.pk: obj for obj in objects if isinstance(obj, TaskProgress)}

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """Return none where ``task`` has its own, beside which the id can be selected."""
        has_own = "task" in list_display and not _is_popup(request)
        return None if has_own else super().get_list_display_links(request, list_display)

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Include the owner's name, unless users are in another database."""
        users: Any = get_user_model()
        fields = super().get_search_fields(request)
        is_elsewhere = router.db_for_write(users) != router.db_for_write(TaskProgress)
        if is_elsewhere or not fields:
            return fields
        return [*fields, f"owner__{users.USERNAME_FIELD}"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what is not known of a task."""
        fields = super().get_fields(request, obj)
        if obj is None:
            return fields
        values = {
            "label": obj.label,
            "task_name": obj.task_name,
            "owner_link": obj.owner_id,
            "about_link": obj.content_type_id,
            "result_link": references.result_of(obj),
            "tasks": self.tasks(obj),
        }
        unknown = [name for name, value in values.items() if not value]
        return [name for name in fields if name not in unknown]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def get_form(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """Leave out what would help to fill it in."""
        options.setdefault("help_texts", dict.fromkeys(("label", "task_name"), ""))
        return super().get_form(request, *args, **options)

    @admin.display(description=_("task"), ordering="label")
    def task(self, obj: TaskProgress) -> str:
        """Return what the task is, with a link to its page."""
        request = columns.request_of(obj)
        if request is None or _is_popup(request):
            return cells.name_of(obj)
        opts: Any = self.opts
        name = f"admin:{opts.app_label}_{opts.model_name}_change"
        url = reverse(name, args=[quote(obj.pk)], current_app=self.admin_site.name)
        kept = {"preserved_filters": self.get_preserved_filters(request), "opts": opts}
        return cells.name_of(obj, add_preserved_filters(kept, url))

    @admin.display(description=_("progress"))
    def bar(self, obj: TaskProgress) -> str:
        """Return the live bar; its label is there already."""
        return format_html('<div class="progress-task__bar">{}</div>', self.progress(obj))

    @admin.display(description=_("owner"))
    def owner_link(self, obj: TaskProgress) -> str | None:
        return references.owner_of(obj, columns.request_of(obj), self.admin_site)

    @admin.display(description=_("about"))
    def about_link(self, obj: TaskProgress) -> str | None:
        return references.about_of(obj, columns.request_of(obj), self.admin_site)

    @admin.display(description=_("link"))
    def result_link(self, obj: TaskProgress) -> str | None:
        return references.result_of(obj)

    @admin.display(description=_("tasks of the group"))
    def tasks(self, obj: TaskProgress) -> int:
        """Return how many tasks the row counts, if it is that of a group."""
        if not hasattr(obj, MEMBERS):  # it is asked for again and again
            members = GroupMember.objects.using(obj._state.db).filter(group=obj)
            setattr(obj, MEMBERS, members.count())
        count: int = getattr(obj, MEMBERS)
        return count

    @admin.display(description=_("started"), ordering="created_at")
    def started(self, obj: TaskProgress) -> str:
        return cells.times_of(obj)


def _knows_the_zone(alias: str) -> bool:
    connection = connections[alias]
    is_its_own = timezone.get_current_timezone_name() == connection.timezone_name
    return not settings.USE_TZ or is_its_own or connection.features.has_zoneinfo_database


def _is_popup(request: HttpRequest) -> bool:
    return IS_POPUP_VAR in request.GET  # there the admin's own link chooses a row
