from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from kelp import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("progress/", include("progress_widget.urls")),
    path("harvests/", views.harvests, name="harvests"),
    path("harvests/<int:pk>/", views.harvest, name="harvest"),
]
