"""Pages of the recipes; those that a recipe shows itself take their place."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from kelp.models import Harvest


def harvests(request: HttpRequest) -> HttpResponse:
    return render(request, "harvests.html", {"harvests": Harvest.objects.all()})


def harvest(request: HttpRequest, pk: int) -> HttpResponse:
    harvest = get_object_or_404(Harvest, pk=pk)
    return render(request, "harvest.html", {"harvest": harvest, "task_id": harvest.task_id})
