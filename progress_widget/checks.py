"""System checks, which report at start-up what is wrong with a project's configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.urls import NoReverseMatch, reverse

from progress_widget.conf import PREFIX, conf

POSITIVE = ("POLL_INTERVAL", "WRITE_INTERVAL", "STALLED_AFTER", "SILENT_AFTER", "RETENTION_DAYS")
MAY = "f(request, task_id) -> bool"
FUNCTIONS = {"CAN_VIEW": MAY, "CAN_CANCEL": MAY, "WRITE_CONTEXT": "f(task_id)"}
REQUEST = "django.template.context_processors.request"


def check_urls(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E001: the partial view needs a URL, unless the project has no pages at all."""
    if not getattr(settings, "ROOT_URLCONF", None):  # as that of a worker may have none
        return []
    try:
        reverse("progress_widget:poll", kwargs={"token": "token"})
    except NoReverseMatch:
        return [
            Error(
                "The bars have no URL to poll.",
                hint='Add path("progress/", include("progress_widget.urls")) to your URLs.',
                id="progress_widget.E001",
            )
        ]
    return []


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E002 to W005: the package's own settings, and those of Django that it relies on."""
    return [*_numbers(), *_functions(), *_django_htmx(), *_request_in_templates()]


def _numbers() -> Iterator[CheckMessage]:
    """E002: a setting must be a positive number."""
    for name in POSITIVE:
        value = getattr(settings, PREFIX + name, 1)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value > 0):
            yield Error(
                f"{PREFIX}{name} is not a positive number: {value!r}.",
                hint="Set it to a number greater than 0.",
                id="progress_widget.E002",
            )


def _functions() -> Iterator[CheckMessage]:
    """E003: a setting must name a function, and not an async one."""
    for name, signature in FUNCTIONS.items():
        fault = _fault_of(name)
        if fault:
            path = getattr(settings, PREFIX + name)
            yield Error(
                f"{PREFIX}{name} {fault}: {path!r}.",
                hint=f"Set it to the dotted path of {signature}, or to None.",
                id="progress_widget.E003",
            )


def _fault_of(name: str) -> str:
    try:
        function: Any = getattr(conf, name.lower())
    except (ImportError, AttributeError):
        return "does not name a function"
    if function is None:
        return ""
    if not callable(function):
        return "does not name a function"
    if iscoroutinefunction(function) or iscoroutinefunction(function.__call__):
        return "names an async function, which nobody awaits"
    return ""


def _django_htmx() -> Iterator[CheckMessage]:
    """W004: django_htmx should be installed."""
    if not apps.is_installed("django_htmx"):
        yield Warning(
            "django_htmx is not in INSTALLED_APPS, so its copy of htmx is not served.",
            hint='Add "django_htmx", or load htmx yourself and silence this check.',
            id="progress_widget.W004",
        )


def _request_in_templates() -> Iterator[CheckMessage]:
    """W005: templates should have the request, which identifies the user a bar is for.

    Django's own tags pass it on besides; packages that render with the variables alone do not.
    """
    for backend in engines.all():
        if not isinstance(backend, DjangoTemplates):
            continue
        if REQUEST not in backend.engine.context_processors:
            yield Warning(
                f"The templates of {backend.name!r} do not have the request. A bar is bound to no "
                f"user and, if {PREFIX}CAN_VIEW is set, refused where a package renders its "
                "template with the variables of the page alone, as form layouts do.",
                hint=f'Add "{REQUEST}" to its "context_processors", or silence this check if none '
                "of its templates has a bar.",
                id="progress_widget.W005",
            )
