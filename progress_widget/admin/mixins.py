"""What gives any ModelAdmin live bars, buttons that start tasks, and a panel that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.forms import Media
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from progress_widget import launch
from progress_widget.admin import buttons, columns
from progress_widget.admin.columns import Rows
from progress_widget.models import TaskProgress
from progress_widget.reading import media, trays
from progress_widget.texts import STARTED

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object

PAGE = "progress_widget/admin/page.html"
PANEL = "progress_widget/admin/panel.html"
STYLESHEET = "progress_widget/progress_admin.css"


class ProgressAdminMixin(Base):
    """Gives a ModelAdmin a live column, a panel and buttons; it comes first among the bases.

    Example::

        @admin.register(Harvest)
        class HarvestAdmin(ProgressAdminMixin, admin.ModelAdmin):
            list_display = ["name", "progress"]
            readonly_fields = ["progress"]
    """

    progress_task_field: str | None = "task_id"
    """Where an object has its task's id; None means that the newest task about it is shown."""

    progress_buttons: Sequence[str] = ()
    """Methods ``f(self, request)``, each a button above the list."""

    progress_object_buttons: Sequence[str] = ()
    """Methods ``f(self, request, obj)``, each a button on an object's page."""

    progress_panel = True
    """Whether the user's own tasks are shown above the list, and on an object's page."""

    progress_htmx: int | bool | None = None
    """The version of htmx to load, or False.

    None means 2, but False in Unfold, which has one, and where django_htmx is not installed.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if admin.ModelAdmin in order[: order.index(ProgressAdminMixin)]:
            bases = sorted(cls.__bases__, key=lambda base: issubclass(base, admin.ModelAdmin))
            names = ", ".join(base.__name__ for base in bases)
            raise TypeError(f"The mixin has to come first: class {cls.__name__}({names})")

    @admin.display(description=_("progress"))
    def progress(self, obj: Any) -> str:
        """Return the live bar of an object's task: a column, and a read-only field."""
        return columns.cell(obj, self.get_progress_rows) or self.get_empty_value_display()

    def get_progress_rows(self, request: HttpRequest | None, objects: Sequence[Model]) -> Rows:
        """Return the rows of some objects' tasks by the objects' primary keys.

        Args:
            request: None where there is none, as in an export.
        """
        return columns.rows_of(objects, self.progress_task_field)

    def start_task(self, request: HttpRequest, task: Any, *args: Any, **known: Any) -> TaskProgress:
        """Start a task for the request's user, as ``launch.start_task()`` does with its keywords.

        With ``about=``, the object's history says so.
        """
        row = launch.start_task(task, *args, **{"owner": request.user} | known)
        about = known.get("about")
        if about is not None:
            self.log_change(request, about, gettext(STARTED) % {"task": row.label or row.task_name})
        return row

    def get_progress_buttons(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Return the names of the buttons that a user gets now; any other is refused.

        Args:
            obj: Whose page it is; None means that of the list.
        """
        return buttons.allowed(self, request, obj)

    @property
    def media(self) -> Media:
        htmx = self.progress_htmx
        if htmx is None:
            is_ours = apps.is_installed("django_htmx") and not apps.is_installed("unfold")
            htmx = 2 if is_ours else False
        scripts = [f"django_htmx/htmx-{2 if htmx is True else htmx}.min.js"] if htmx else []
        return super().media + Media(
            css={"all": [media.STYLESHEET, media.TRAY_STYLESHEET, STYLESHEET]},
            js=[*scripts, media.SCRIPT],
        )

    def get_urls(self) -> list[URLPattern]:
        return [*buttons.urls(self), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context:  # neither a redirect nor the page of an action
            columns.put_on_page(request, context["cl"].result_list, self.get_progress_rows)
            self._frame(request, response)
        return response

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        response = super().render_change_form(
            request, context, add=add, change=change, form_url=form_url, obj=obj
        )
        if obj is not None:
            columns.put_on_page(request, [obj], self.get_progress_rows)
            self._frame(request, response, obj)
        return response

    def _frame(self, request: HttpRequest, response: Any, obj: Any = None) -> None:
        """Put panel and buttons into a page that is yet to be drawn, whichever its template is."""
        context = getattr(response, "context_data", None)
        if context is None or context.get("is_popup"):
            return
        context["progress_admin"] = {
            "base": response.resolve_template(response.template_name),
            "panel": trays.progress_tray(request, template=PANEL) if self.progress_panel else "",
            "buttons": buttons.shown(self, request, obj),
            "is_list": obj is None,
        }
        response.template_name = PAGE
