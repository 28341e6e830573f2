from __future__ import annotations

from django.urls import path

from progress_widget.cancelling import cancel
from progress_widget.tray_views import dismiss, tray
from progress_widget.views import poll, poll_together

app_name = "progress_widget"
urlpatterns = [
    path("", poll_together, name="poll"),
    path("tray/<str:token>/", tray, name="tray"),
    path("dismiss/<str:token>/", dismiss, name="dismiss"),
    path("<str:token>/", poll, name="poll"),
    path("<str:token>/cancel/", cancel, name="cancel"),
]
