"""Lets a user visit a page: ``python -m kelp.visit PATH``."""

from __future__ import annotations

import json
import sys

import django

django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from kelp.models import Harvest

from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress


def main(path: str) -> None:
    for alias in connections:
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
    for pk in (1, 2):
        Harvest.objects.create(pk=pk, name=f"Bay {pk}", task_id=f"kelp-{pk}")
        ProgressBar(f"kelp-{pk}", total=10).update(progress=pk)
    user = User.objects.create(pk=7, username="ann")
    client = Client()
    client.force_login(user)
    with CaptureQueriesContext(connection) as captured:
        html = client.get(path).content.decode()
    table = TaskProgress._meta.db_table
    queries = [query["sql"] for query in captured if table in query["sql"]]
    print(json.dumps({"html": html, "user": str(user.pk), "queries": queries}))


if __name__ == "__main__":
    main(sys.argv[1])
