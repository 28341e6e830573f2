"""The plain views that polls and pages are compared with, and the pages."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.decorators.cache import never_cache

from progress_widget.models import TaskProgress


@never_cache
def bare(request: HttpRequest, task_id: str) -> HttpResponse:
    """Answer as an unchanged poll is answered, after one SELECT."""
    TaskProgress.objects.get(task_id=task_id)
    return HttpResponse(status=204)


@never_cache
def bare_of_user(request: HttpRequest, task_id: str) -> HttpResponse:
    """Answer as the bare view does, for a logged-in user."""
    return bare(request, task_id) if request.user.is_authenticated else HttpResponse(status=403)


@never_cache
def line(request: HttpRequest, task_id: str) -> HttpResponse:
    """Answer with a one-line template, after one SELECT."""
    return render(request, "line.html", {"row": TaskProgress.objects.get(task_id=task_id)})


@never_cache
def line_of_user(request: HttpRequest, task_id: str) -> HttpResponse:
    """Answer as the view with a line does, for a logged-in user."""
    return line(request, task_id) if request.user.is_authenticated else HttpResponse(status=403)


def ids_of(count: int) -> list[str]:
    """Return the ids of the first tasks, without a query."""
    return [task_id(number) for number in range(count)]


def task_id(number: int) -> str:
    """Return the same UUID for a number each time, as random as Celery's."""
    return str(uuid5(NAMESPACE_OID, str(number)))


def page_of_one(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "bars.html", {"tasks": [task_id(number)]})


def page_by_ids(request: HttpRequest, count: int) -> HttpResponse:
    return render(request, "bars.html", {"tasks": ids_of(count)})


def page_by_block(request: HttpRequest, count: int) -> HttpResponse:
    return render(request, "block.html", {"tasks": ids_of(count)})


def page_by_rows(request: HttpRequest, count: int) -> HttpResponse:
    tasks = TaskProgress.objects.for_tasks(ids_of(count)).values() if count else []
    return render(request, "bars.html", {"tasks": tasks})


def page_of_lines(request: HttpRequest, count: int) -> HttpResponse:
    rows = TaskProgress.objects.filter(task_id__in=ids_of(count)) if count else []
    return render(request, "lines.html", {"rows": rows})


def page_of_celery_progress(request: HttpRequest, count: int) -> HttpResponse:
    return render(request, "celery_progress.html", {"tasks": ids_of(count)})


urlpatterns = [
    path("progress/", include("progress_widget.urls")),
    path("celery-progress/", include("celery_progress.urls")),
    path("bare/<str:task_id>/", bare),
    path("bare-of-user/<str:task_id>/", bare_of_user),
    path("line/<str:task_id>/", line),
    path("line-of-user/<str:task_id>/", line_of_user),
    path("page/one/<int:number>/", page_of_one),
    path("page/ids/<int:count>/", page_by_ids),
    path("page/block/<int:count>/", page_by_block),
    path("page/rows/<int:count>/", page_by_rows),
    path("page/lines/<int:count>/", page_of_lines),
    path("page/celery-progress/<int:count>/", page_of_celery_progress),
]
