from __future__ import annotations

from django.urls import include, path

from tests.browser import views

urlpatterns = [
    path("", include("tests.urls")),
    path("pages/<str:name>/", views.page, name="page"),
    path("launch/", views.launch),
    path("htmx.js", views.htmx_script),
    path("favicon.ico", views.nothing),
]
