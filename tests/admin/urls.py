"""A project with a second admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from tests.admin.admins import HarvestAdmin, Importing
from tests.models import Harvest

backstage = admin.AdminSite(name="backstage")
backstage.register(Harvest, type("ImportingAdmin", (Importing, HarvestAdmin), {}))

urlpatterns = [
    path("", include("tests.urls")),
    path("backstage/", backstage.urls),
]
