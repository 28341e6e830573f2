from __future__ import annotations

from django.urls import path

from progress_widget.views import poll

app_name = "progress_widget"
urlpatterns = [path("<str:token>/", poll, name="poll")]
