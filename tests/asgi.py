"""A site with async views, as docs/usage.md has them, for a server that speaks ASGI."""

from __future__ import annotations

import os

from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.asgi_settings")
application = get_asgi_application()


async def with_tag(request: HttpRequest, task_id: str) -> HttpResponse:
    return await sync_to_async(render)(request, "tests/with_tag.html", {"task_id": task_id})


async def by_hand(request: HttpRequest, task_id: str) -> HttpResponse:
    from progress_widget.reading.rendering import aprogressbar

    bar = await aprogressbar(task_id, request=request, label="Kelp")
    return render(request, "tests/by_hand.html", {"bar": bar})


urlpatterns = [
    path("progress/", include("progress_widget.urls")),
    path("with_tag/<str:task_id>/", with_tag),
    path("by_hand/<str:task_id>/", by_hand),
]
