"""The list of tasks, and a page for each: only their bars are live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import actions
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import Model, Prefetch
from django.forms import Media
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from progress_widget.admin import cells, columns, references
from progress_widget.admin.columns import Rows
from progress_widget.admin.filters import OwnerFilter, StateFilter, TaskNameFilter
from progress_widget.admin.mixins import ProgressAdminMixin
from progress_widget.clock import NOW
from progress_widget.lookups import FINISHED
from progress_widget.models import GroupMember, TaskProgress
from progress_widget.reading.access import may_cancel, may_cancel_all
from progress_widget.reading.stopping import ask_to_stop
from progress_widget.texts import (
    ASKED,
    ASKED_BEFORE,
    ASKED_FOR,
    GOES_ON,
    NOT_FINISHED,
    STOPS,
    TOO_LATE,
)

MEMBERS = "_progress_members"
STYLESHEET = "progress_widget/progress_tasks.css"


class TaskProgressAdminMixin(ProgressAdminMixin):
    """For a theme with a ModelAdmin of its own; that comes last among the bases.

    Nobody adds or changes a row. Only the bar is live, so nothing that could go stale is shown
    beside it.
    """

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
    actions = ("cancel_selected", "delete_selected")
    progress_object_buttons = ("cancel",)
    progress_panel = False  # the list has them all

    @property
    def media(self) -> Media:
        return super().media + Media(css={"all": [STYLESHEET]})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether a user may cancel a task, or, without one, any."""
        return may_cancel_all(request) if obj is None else may_cancel(request, obj)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the rows that are where bars write, with their owners, wherever these are."""
        users: Any = get_user_model()
        owners = users._base_manager.using(router.db_for_read(users))
        rows = super().get_queryset(request).using(router.db_for_write(TaskProgress))
        return rows.prefetch_related(Prefetch("owner", owners)).annotate(now=NOW)

    def get_progress_rows(self, request: HttpRequest | None, objects: Sequence[Model]) -> Rows:
        return {obj.pk: obj for obj in objects if isinstance(obj, TaskProgress)}

    # What is shown.

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """Return none: the id could hardly be selected in a link. A popup needs Django's own."""
        return list_display[:1] if IS_POPUP_VAR in request.GET else None

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Include the owner's name, unless users are in another database."""
        users: Any = get_user_model()
        fields = super().get_search_fields(request)
        if router.db_for_write(users) != router.db_for_write(TaskProgress):
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
        options["help_texts"] = dict.fromkeys(("label", "task_name"), "")
        return super().get_form(request, *args, **options)

    @admin.display(description=_("task"), ordering="label")
    def task(self, obj: TaskProgress) -> str:
        """Return what the task is, with a link to its page."""
        request = columns.request_of(obj)
        if request is None or IS_POPUP_VAR in request.GET:
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

    # What may be done.

    def get_progress_buttons(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Leave out what there is no use for, but don't refuse it: the page may be an old one."""
        names = super().get_progress_buttons(request, obj)
        if obj is None or request.method == "POST" or _is_to_be_cancelled(obj):
            return names
        return [name for name in names if name != "cancel"]

    @admin.action(description=_("Cancel task"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, obj: TaskProgress) -> None:
        if self._ask_to_stop(request, [obj]):
            self.message_user(request, gettext(STOPS) % {"task": obj}, messages.SUCCESS)
        else:
            self.message_user(request, gettext(TOO_LATE) % {"task": obj}, messages.WARNING)

    @admin.action(description=_("Cancel selected tasks"), permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: Any) -> None:
        rows = [row for row in queryset if self.has_cancel_permission(request, row)]
        asked = self._ask_to_stop(request, rows)
        self._tell(request, asked, ASKED, messages.SUCCESS)
        self._tell(request, len(rows) - asked, ASKED_BEFORE, messages.WARNING)

    def _ask_to_stop(self, request: HttpRequest, rows: Sequence[TaskProgress]) -> int:
        asked = ask_to_stop(*(row.task_id for row in rows))
        for row in rows:
            if row.task_id in asked:
                self.log_change(request, row, gettext(ASKED_FOR))
        return len(asked)

    @admin.action(description=_("Delete finished tasks"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Delete what is finished; the name is that of Django's action, whose page posts it."""
        finished = queryset.filter(FINISHED)
        self._tell(request, queryset.unfinished().count(), NOT_FINISHED, messages.WARNING)
        return actions.delete_selected(self, request, finished) if finished.exists() else None

    def _tell(self, request: HttpRequest, number: int, sentence: str, level: int) -> None:
        if number:
            told = gettext(sentence) % {"number": number_format(number)}
            self.message_user(request, told, level)

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        if not context["object"].is_finished:
            self.message_user(request, gettext(GOES_ON), messages.WARNING)
        return super().render_delete_form(request, context)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Count the tasks of groups, and name none: there may be thousands."""
        named, *others = super().get_deleted_objects(objs, request)
        return _without(f"{capfirst(GroupMember._meta.verbose_name)}: ", named), *others


class TaskProgressAdmin(TaskProgressAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Registered unless the project has registered its own."""


def _is_to_be_cancelled(row: TaskProgress) -> bool:
    return not row.is_finished and row.cancel_asked_at is None


def _without(start: str, named: list[Any]) -> list[Any]:
    """Return nested lists of names without those that begin so, and without what is then empty."""
    kept = [_without(start, one) if isinstance(one, list) else one for one in named]
    return [one for one in kept if one and not (isinstance(one, str) and one.startswith(start))]
