"""The list of tasks, and a page for each: who may do what with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import actions
from django.http import HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from progress_widget.admin.pages import TaskPages
from progress_widget.lookups import FINISHED
from progress_widget.models import GroupMember, TaskProgress
from progress_widget.reading.access import may_cancel, may_cancel_all, may_see
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


class TaskProgressAdminMixin(TaskPages):
    """For a theme with a ModelAdmin of its own; that comes last among the bases.

    Nobody adds or changes a row.
    """

    actions = ("cancel_selected", "delete_selected")
    progress_object_buttons = ("cancel",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether a user may cancel a task that they may see; without one, those of all."""
        if not self.has_view_permission(request, obj):
            return False
        if obj is None:
            return may_cancel_all(request)
        return may_see(request, obj) and may_cancel(request, obj)

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
            message = gettext(sentence) % {"number": number_format(number)}
            self.message_user(request, message, level)

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
