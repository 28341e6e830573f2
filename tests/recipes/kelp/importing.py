"""Lets a user import a file in the admin, beside a worker: ``python -m kelp.importing STORY``."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

django.setup()

from bs4 import BeautifulSoup
from celery.contrib.testing.worker import start_worker
from celery.signals import worker_process_shutdown
from django.contrib.auth.models import Permission, User
from django.core.files.storage import storages
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client
from kelp.models import Harvest

from progress_widget.models import TaskProgress, has_heartbeat
from progress_widget.reading.stopping import ask_to_stop
from tests.celery import app

PATIENCE = 60
LIST = "/admin/kelp/harvest/"


class Gate:
    """Where the task waits to save a harvest, from the one of this name on; the preview does not.

    Attributes:
        before: How many have been saved before.
    """

    def __init__(self, name: str) -> None:
        self.name, self.before = name, 0
        self.is_reached, self.places = threading.Event(), threading.Semaphore(0)
        pre_save.connect(self.wait, sender=Harvest)

    def wait(self, instance: Harvest, **signal: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            return
        if instance.name == self.name:
            self.is_reached.set()
        if self.is_reached.is_set():
            assert self.places.acquire(timeout=PATIENCE)
        else:
            self.before += 1


class Story:
    """What a user does, and what comes of it."""

    def __init__(self, *, permission: str, gate: str, cancel: bool) -> None:
        self.gate, self.cancel, self.permission = Gate(gate), cancel, permission
        self.user = User.objects.create(username="ann", is_staff=True)
        self.client = Client()
        self.client.force_login(self.user)

    def play(self, file: Path) -> dict[str, Any]:
        self.allow("add_harvest")
        form = self.upload(file)
        self.allow(self.permission)
        answers = [self.client.post(f"{LIST}process_import/", form) for _ in range(2)]
        seen = self.look() if self.gate.name else None
        wait_until(lambda: not TaskProgress.objects.unfinished().exists())
        return {
            "form": form,
            "answers": [answer.status_code for answer in answers],
            "seen": seen,
            "rows": [*TaskProgress.objects.values("label", "state", "message", "progress")],
            "is_own": all(row.owner == self.user for row in TaskProgress.objects.all()),
            "harvests": Harvest.objects.count(),
            "files": storages["import_export"].listdir("django-import-export")[1],
        }

    def allow(self, permission: str) -> None:
        wanted = Permission.objects.filter(codename__in=["view_harvest", permission])
        self.user.user_permissions.set(wanted)

    def upload(self, file: Path) -> dict[str, str]:
        """Upload the file, and return what the preview's form sends, if there is one."""
        with file.open("rb") as opened:
            sent = {"format": "0", "resource": "0", "import_file": opened}
            html = self.client.post(f"{LIST}import/", sent).content
        inputs = BeautifulSoup(html, "html.parser").select("form[action$='process_import/'] [name]")
        return {found["name"]: found.get("value", "") for found in inputs}

    def look(self) -> dict[str, Any]:
        """Look at the list while the task waits, within its transaction."""
        assert self.gate.is_reached.wait(PATIENCE)
        self.wait_until_reported(self.gate.before)
        if self.cancel:
            self.stop()
        page = BeautifulSoup(self.client.get(LIST).content, "html.parser")
        seen = {
            "bars": [bar.get_text(" ", strip=True) for bar in page.select("[data-state]")],
            "progress": TaskProgress.objects.get().progress,
            "harvests": Harvest.objects.count(),
        }
        self.gate.places.release(1000)
        return seen

    def stop(self) -> None:
        """Cancel the task; it learns that by what it reports next, and once more to be sure."""
        ask_to_stop(TaskProgress.objects.get().task_id)
        for number in (1, 2):
            self.gate.places.release()
            self.wait_until_reported(self.gate.before + number)

    def wait_until_reported(self, progress: int) -> None:
        reported = TaskProgress.objects.filter(progress=progress)
        waiting = TaskProgress.objects.unfinished()
        if has_heartbeat():
            wait_until(lambda: reported.exists() or not waiting.exists())


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, [*TaskProgress.objects.values()]
        time.sleep(0.05)


def main(file: str, **story: Any) -> None:
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        with start_worker(app, perform_ping_check=False, loglevel="ERROR"):
            print(json.dumps(Story(**story).play(Path(file))))
    finally:
        worker_process_shutdown.send(None)  # else the bars' own connection lingers
        connection.creation.destroy_test_db("", verbosity=0)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
