"""The buttons that start something: who may press them, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import model_format_dict, quote, unquote
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.forms.utils import pretty_name
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import URLPattern, path, re_path, reverse


class Button(NamedTuple):
    """A button, as a template shows it."""

    label: str
    url: str


def urls(model_admin: Any) -> list[URLPattern]:
    """Return the URLs of the buttons of the list, and of an object."""
    view = partial(enter, model_admin)
    name = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_progress"
    # Only those that are there, since an object's key may be "progress".
    known = "|".join(model_admin.progress_buttons)
    return [
        re_path(rf"^progress/(?P<name>{known})/$", view, name=f"{name}_button"),
        path("<path:object_id>/progress/<str:name>/", view, name=f"{name}_object_button"),
    ]


def enter(
    model_admin: Any, request: HttpRequest, name: str, object_id: str | None = None
) -> HttpResponse:
    """Let in whom the admin lets in; a login leads to the page of the button, which is no link."""
    site = model_admin.admin_site
    if not site.has_permission(request):
        page = _way_back(model_admin, request, object_id).url
        return redirect_to_login(page, reverse("admin:login", current_app=site.name))
    answer: HttpResponse = site.admin_view(partial(press, model_admin))(request, name, object_id)
    return answer


def shown(model_admin: Any, request: HttpRequest, obj: Any = None) -> list[Button]:
    """Return the buttons that a page shows: that of an object, or the list."""
    page = ("progress_button",) if obj is None else ("progress_object_button", quote(obj.pk))
    filters = model_admin.get_preserved_filters(request)
    query = filters and f"?{filters}"
    return [
        Button(_label_of(model_admin, name), f"{_url(model_admin, *page, name)}{query}")
        for name in model_admin.get_progress_buttons(request, obj)
    ]


def allowed(model_admin: Any, request: HttpRequest, obj: Any = None) -> list[str]:
    """Return which buttons a user may press: who may change, unless ``@admin.action`` says who."""

    def is_allowed(name: str) -> bool:
        wanted = getattr(getattr(model_admin, name), "allowed_permissions", ["change"])
        checks = (getattr(model_admin, f"has_{permission}_permission") for permission in wanted)
        return any(_is_passed(check, request, obj) for check in checks)

    return [name for name in _names(model_admin, is_of_object=obj is not None) if is_allowed(name)]


def _is_passed(check: Callable[..., bool], request: HttpRequest, obj: Any) -> bool:
    # That to add takes no object, nor do those that Django's documentation has for actions.
    is_about_object = obj is not None and len(signature(check).parameters) > 1
    return check(request, obj) if is_about_object else check(request)


def press(
    model_admin: Any, request: HttpRequest, name: str, object_id: str | None = None
) -> HttpResponse:
    """Do what a button says, and go back to its page, unless the button answers itself."""
    if name not in _names(model_admin, is_of_object=object_id is not None):
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    of_object = []
    if object_id is not None:
        obj = model_admin.get_object(request, unquote(object_id))
        if obj is None:
            if not model_admin.has_view_or_change_permission(request):
                raise PermissionDenied
            gone: HttpResponse = model_admin._get_obj_does_not_exist_redirect(
                request, model_admin.opts, object_id
            )
            return gone
        of_object = [obj]
    if name not in model_admin.get_progress_buttons(request, *of_object):
        raise PermissionDenied
    answer: HttpResponse | None = getattr(model_admin, name)(request, *of_object)
    return answer or _way_back(model_admin, request, object_id)


def _names(model_admin: Any, *, is_of_object: bool) -> tuple[str, ...]:
    return tuple(
        model_admin.progress_object_buttons if is_of_object else model_admin.progress_buttons
    )


def _label_of(model_admin: Any, name: str) -> str:
    """Return what is written on a button, as Django names an action."""
    label = getattr(getattr(model_admin, name), "short_description", pretty_name(name))
    return str(label % model_format_dict(model_admin.opts))


def _url(model_admin: Any, name: str, *args: Any) -> str:
    whole = f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_{name}"
    return reverse(whole, args=args, current_app=model_admin.admin_site.name)


def _way_back(
    model_admin: Any, request: HttpRequest, object_id: str | None
) -> HttpResponseRedirect:
    page = ("changelist",) if object_id is None else ("change", object_id)
    filters = model_admin.get_preserved_filters(request)
    kept = {"preserved_filters": filters, "opts": model_admin.opts}
    return HttpResponseRedirect(add_preserved_filters(kept, _url(model_admin, *page)))
