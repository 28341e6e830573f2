from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRefresh, trigger_client_event

from kelp import tasks
from kelp.fates import BY_SLUG, FATES
from kelp.forms import CsvForm, DryingForm
from kelp.models import Harvest
from kelp.visitors import visitor
from progress_widget.bars import ProgressBar
from progress_widget.launch import start_task
from progress_widget.models import TaskProgress

FINISHED = "example-finished"
NEVER_STARTED = "example-never-started"


def start(request: HttpRequest) -> HttpResponse:
    form = DryingForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        label = f"Dry {form.cleaned_data['items']} leaves"
        work = tasks.dry_kelp.s(**form.cleaned_data)
        row = start_task(work, owner=visitor(request), label=label)
        return redirect("kelp:task", row.task_id)
    recent = TaskProgress.objects.owned_by(request.user).order_by("-created_at")[:6]
    return render(request, "kelp/start.html", {"form": form, "recent": recent})


def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    row = get_object_or_404(TaskProgress.objects.owned_by(request.user), task_id=str(task_id))
    return render(request, "kelp/task.html", {"row": row})


def several(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        is_new = not request.user.is_authenticated
        work = tasks.dry_kelp.s(items=40, seconds=30)
        start_task(work, owner=visitor(request), label="Dry 40 leaves")
        if not request.htmx:
            return redirect("kelp:several")
        if is_new:  # the page of somebody who was nobody has no tray
            return HttpResponseClientRefresh()
    if not TaskProgress.objects.filter(task_id=FINISHED).exists():
        ProgressBar(FINISHED, total=250, step="Drying kelp…").finalize()
    bars = {
        "running": newest(request, label="Dry 40 leaves"),
        "finished": FINISHED,
        "waiting": NEVER_STARTED,
        "empty": "",
    }
    response = render(request, "kelp/several.html", bars)
    if request.method == "POST":  # the tray shows what has been started
        trigger_client_event(response, "progressbar:started")
    return response


def newest(request: HttpRequest, **known: Any) -> TaskProgress | None:
    """Return the visitor's row that was made last, of those of which this is known."""
    rows = TaskProgress.objects.owned_by(request.user)
    return rows.filter(**known).order_by("-created_at").first()


def harvests(request: HttpRequest) -> HttpResponse:
    return render(request, "kelp/import.html", import_page(request, CsvForm()))


def import_page(request: HttpRequest, form: CsvForm) -> dict[str, Any]:
    sites = Harvest.objects.values("site").annotate(rows=Count("pk"), kilograms=Sum("kilograms"))
    return {
        "form": form,
        "csv_exists": tasks.csv_path().exists(),
        "made": newest(request, task_name=tasks.make_csv.name),
        "read": newest(request, task_name=tasks.import_csv.name),
        "sites": sites.order_by("site"),
    }


@require_POST
def make_csv(request: HttpRequest) -> HttpResponse:
    form = CsvForm(request.POST)
    if not form.is_valid():
        return render(request, "kelp/import.html", import_page(request, form))
    start_task(
        tasks.make_csv,
        form.cleaned_data["rows"],
        owner=visitor(request),
        label="Make the file",
        link=reverse("kelp:import"),
    )
    return redirect("kelp:import")


@require_POST
def read_csv(request: HttpRequest) -> HttpResponse:
    if tasks.csv_path().exists():
        start_task(
            tasks.import_csv,
            owner=visitor(request),
            label="Read the file into the table",
            link=f"{reverse('kelp:import')}#harvest",
        )
    return redirect("kelp:import")


def fates(request: HttpRequest) -> HttpResponse:
    titles = [fate.title for fate in FATES]
    rows = TaskProgress.objects.owned_by(request.user).filter(label__in=titles)
    newest = {row.label: row for row in rows.order_by("created_at")}
    cards = [{"fate": fate, "row": newest.get(fate.title)} for fate in FATES]
    return render(request, "kelp/fates.html", {"cards": cards})


@require_POST
def try_fate(request: HttpRequest, slug: str) -> HttpResponse:
    fate = BY_SLUG.get(slug)
    if fate is None:
        raise Http404
    fate.start(visitor(request))
    return redirect(reverse("kelp:fates") + f"#{fate.slug}")
