from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("progress/", include("progress_widget.urls")),
    path("", include("kelp.urls")),
]
