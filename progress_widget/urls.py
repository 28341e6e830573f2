from __future__ import annotations

from django.urls import path

from progress_widget.views.cancelling import cancel
from progress_widget.views.polls import poll, poll_together
from progress_widget.views.trays import dismiss, tray

app_name = "progress_widget"
urlpatterns = [
    path("", poll_together, name="poll"),
    path("tray/<str:token>/", tray, name="tray"),
    path("dismiss/<str:token>/", dismiss, name="dismiss"),
    path("<str:token>/", poll, name="poll"),
    path("<str:token>/cancel/", cancel, name="cancel"),
]
