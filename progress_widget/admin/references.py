"""What a row refers to, as links for those who may see where they lead."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from progress_widget.links import safe_link
from progress_widget.models import TaskProgress


def owner_of(row: TaskProgress, request: HttpRequest | None, site: Any) -> str | None:
    """Return the name of a row's user; their id, if they are gone."""
    if row.owner_id is None:
        return None
    if row.owner is None:
        return str(row.owner_id)
    return _linked(row.owner, request, site) or str(row.owner)


def about_of(row: TaskProgress, request: HttpRequest | None, site: Any) -> str | None:
    """Return what a row is about: its name to those who may see it, else only which it is."""
    if row.content_type_id is None:
        return None
    try:
        kind = ContentType.objects.get_for_id(row.content_type_id)
    except ContentType.DoesNotExist:
        return row.object_id
    model = kind.model_class()
    thing = None
    if request is not None and model is not None and site.is_registered(model):
        thing = site.get_model_admin(model).get_object(request, row.object_id)
    name = None if thing is None else _linked(thing, request, site)
    return name or f"{capfirst(kind.name)} {row.object_id}"


def result_of(row: TaskProgress) -> str | None:
    """Return the link to a row's result, if a page may show it."""
    link = safe_link(row.link)
    return format_html('<a href="{}" dir="ltr">{}</a>', link, link) if link else None


def _linked(thing: Model, request: HttpRequest | None, site: Any) -> str | None:
    """Return an object's name, as a link if it has a page, or None if it may not be seen."""
    model = type(thing)
    if request is None or not site.is_registered(model):
        return None
    if not site.get_model_admin(model).has_view_or_change_permission(request, thing):
        return None
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    try:
        url = reverse(name, args=[quote(thing.pk)], current_app=site.name)
    except NoReverseMatch:  # its admin has no such page
        return str(thing)
    return format_html('<a href="{}">{}</a>', url, thing)
