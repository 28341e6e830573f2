"""By what the list of tasks can be filtered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import router
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from progress_widget.lookups import FINISHED
from progress_widget.states import ENDED, State

UNFINISHED = "unfinished"

MOST_OWNERS = 100
"""With more of them, a list of all is no help: their tasks are searched for by name."""

Choices = Iterable[tuple[str, Any]]


class StateFilter(admin.SimpleListFilter):
    """By what the bars say, apart from what only time tells."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(UNFINISHED, _("Unfinished")), *State.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        state = self.value()
        if state is None:
            return queryset
        if state == UNFINISHED:
            return queryset.unfinished()
        if state == State.SUCCEEDED:  # or at the total of what nobody ends
            return queryset.filter(FINISHED).exclude(state__in=[State.FAILED, State.CANCELLED])
        rows = queryset.filter(state=state)
        return rows if state in ENDED else rows.unfinished()


class TaskNameFilter(admin.SimpleListFilter):
    """By the names that there are."""

    title = _("task name")
    parameter_name = "task_name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        rows = model_admin.get_queryset(request).exclude(task_name="").order_by("task_name")
        return [(name, name) for name in rows.values_list("task_name", flat=True).distinct()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        name = self.value()
        return queryset if name is None else queryset.filter(task_name=name)


class OwnerFilter(admin.SimpleListFilter):
    """By the users who own tasks, whichever database they are in."""

    title = _("owner")
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        rows = model_admin.get_queryset(request).exclude(owner_id=None).order_by("owner_id")
        owners = list(rows.values_list("owner_id", flat=True).distinct()[: MOST_OWNERS + 1])
        if len(owners) > MOST_OWNERS:
            return []
        model = get_user_model()
        users = model._base_manager.using(router.db_for_read(model)).filter(pk__in=owners)
        return [(str(user.pk), str(user)) for user in users.order_by(model.USERNAME_FIELD)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        owner = self.value()
        try:
            return queryset if owner is None else queryset.filter(owner_id=owner)
        except (ValueError, ValidationError) as error:
            raise IncorrectLookupParameters(error) from error
