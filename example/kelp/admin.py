from __future__ import annotations

from django.contrib import admin

from kelp.models import Harvest


@admin.register(Harvest)
class HarvestAdmin(admin.ModelAdmin):
    list_display = ("site", "species", "kilograms", "cut_on")
    list_filter = ("site", "species")
