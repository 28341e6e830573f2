"""The poll under a path that has the very word of the package's placeholder in it."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("MY_TOKEN/", include("progress_widget.urls"))]
