"""The Celery app of the tests' own project. Without BROKER_URL, tasks only run eagerly."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

app = Celery("tests", broker=os.environ.get("BROKER_URL", "memory://"))
