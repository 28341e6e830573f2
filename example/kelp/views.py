from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from celery import Task, current_app
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from kelp import tasks
from kelp.fates import BY_SLUG, FATES
from kelp.forms import CsvForm, DryingForm
from kelp.models import Harvest, StartedTask
from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress

FINISHED = "example-finished"
NEVER_STARTED = "example-never-started"


def start(request: HttpRequest) -> HttpResponse:
    form = DryingForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        title = f"Dry {form.cleaned_data['items']} leaves"
        started = publish(tasks.dry_kelp, kind="dry", title=title, **form.cleaned_data)
        return redirect("kelp:task", started.task_id)
    recent = StartedTask.objects.all()[:6]
    return render(request, "kelp/start.html", {"form": form, "recent": recent})


def publish(task: Task, *, kind: str, title: str, **kwargs: Any) -> StartedTask:
    """Start a task under an id that is known beforehand, so that its page is known too."""
    started = StartedTask.objects.create(task_id=str(uuid4()), kind=kind, title=title)
    task.apply_async(kwargs=kwargs, task_id=started.task_id)
    return started


def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    started = get_object_or_404(StartedTask, task_id=str(task_id))
    return render(
        request, "kelp/task.html", {"started": started, "is_over": is_over(started.task_id)}
    )


def is_over(task_id: str) -> bool:
    return TaskProgress.objects.for_tasks([task_id])[task_id].is_finished


@require_POST
def cancel(request: HttpRequest, task_id: UUID) -> HttpResponse:
    started = get_object_or_404(StartedTask, task_id=str(task_id))
    current_app.control.revoke(started.task_id, terminate=True)
    page = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(page, allowed_hosts=None):
        page = reverse("kelp:task", args=[started.task_id])
    return redirect(page)


def several(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        publish(tasks.dry_kelp, kind="several", title="Dry 40 leaves", items=40, seconds=30)
        return redirect("kelp:several")
    if not TaskProgress.objects.filter(task_id=FINISHED).exists():
        ProgressBar(FINISHED, total=250, step="Drying kelp…").finalize()
    ids = {
        "running": latest("several"),
        "finished": FINISHED,
        "waiting": NEVER_STARTED,
        "empty": "",
    }
    return render(request, "kelp/several.html", ids)


def latest(kind: str) -> StartedTask | None:
    return StartedTask.objects.filter(kind=kind).first()


def harvests(request: HttpRequest) -> HttpResponse:
    return render(request, "kelp/import.html", import_page(CsvForm()))


def import_page(form: CsvForm) -> dict[str, Any]:
    sites = Harvest.objects.values("site").annotate(rows=Count("pk"), kilograms=Sum("kilograms"))
    return {
        "form": form,
        "csv_exists": tasks.csv_path().exists(),
        "made": latest("make-csv"),
        "read": latest("read-csv"),
        "sites": sites.order_by("site"),
    }


@require_POST
def make_csv(request: HttpRequest) -> HttpResponse:
    form = CsvForm(request.POST)
    if not form.is_valid():
        return render(request, "kelp/import.html", import_page(form))
    publish(tasks.make_csv, kind="make-csv", title="Make the file", **form.cleaned_data)
    return redirect("kelp:import")


@require_POST
def read_csv(request: HttpRequest) -> HttpResponse:
    if tasks.csv_path().exists():
        publish(tasks.import_csv, kind="read-csv", title="Read the file into the table")
    return redirect("kelp:import")


def fates(request: HttpRequest) -> HttpResponse:
    cards = []
    for fate in FATES:
        started = latest(fate.slug)
        can_cancel = fate.can_cancel and started and not is_over(started.task_id)
        cards.append({"fate": fate, "started": started, "can_cancel": can_cancel})
    return render(request, "kelp/fates.html", {"cards": cards})


@require_POST
def try_fate(request: HttpRequest, slug: str) -> HttpResponse:
    fate = BY_SLUG.get(slug)
    if fate is None:
        raise Http404
    if fate.task is tasks.dry_together:
        started = StartedTask.objects.create(task_id=str(uuid4()), kind=fate.slug, title=fate.title)
        tasks.dry_together(started.task_id)
    else:
        publish(fate.task, kind=fate.slug, title=fate.title)
    return redirect(reverse("kelp:fates") + f"#{fate.slug}")
