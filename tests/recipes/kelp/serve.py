"""Serves the project with its admin until it is ended: ``python -m kelp.serve``."""

from __future__ import annotations

import json

import django

django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from kelp import urls
from kelp.models import Harvest

from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress
from tests.celery import app


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def report(request: HttpRequest, pk: int) -> HttpResponse:
    """Report as the newest task of a harvest would: nothing runs the tasks of this project."""
    bar = ProgressBar(Harvest.objects.get(pk=pk).task_id, total=10, step="Drying kelp…")
    bar.update(progress=int(request.GET["progress"]))
    if bar.progress == bar.total:
        bar.finalize()
    if reason := request.GET.get("fail"):
        bar.fail(reason)
    return HttpResponse(status=204)


def forget(request: HttpRequest) -> HttpResponse:
    TaskProgress.objects.all().delete()
    return HttpResponse(status=204)


def icon(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


def logged_in() -> str:
    """Return the session of an administrator."""
    client = Client()
    client.force_login(User.objects.create_superuser("ann"))
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def main() -> None:
    app.set_default()
    urls.urlpatterns += [
        path("report/<int:pk>/", report),
        path("forget/", forget),
        path("favicon.ico", icon),
    ]
    call_command("migrate", run_syncdb=True, verbosity=0)
    Harvest.objects.bulk_create(Harvest(name=f"Bay {number}") for number in range(1, 13))
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    url = f"http://127.0.0.1:{server.server_port}"
    print(json.dumps({"url": url, "session": logged_in()}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
