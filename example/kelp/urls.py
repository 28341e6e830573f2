from __future__ import annotations

from django.urls import path

from kelp import views

app_name = "kelp"
urlpatterns = [
    path("", views.start, name="start"),
    path("tasks/<uuid:task_id>/", views.task, name="task"),
    path("several/", views.several, name="several"),
    path("import/", views.harvests, name="import"),
    path("import/make-csv/", views.make_csv, name="make-csv"),
    path("import/read-csv/", views.read_csv, name="read-csv"),
    path("fates/", views.fates, name="fates"),
    path("fates/<slug:slug>/", views.try_fate, name="try-fate"),
]
