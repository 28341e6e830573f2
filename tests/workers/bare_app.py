"""The app of workers that have their tasks from elsewhere: the package is not installed there."""

from __future__ import annotations

import os

from celery import Celery

import example.sqlite_broker  # noqa: F401  # Celery does not know sqlite:// without it
from tests.workers import stacks

# Without it Celery does not set Django up.
os.environ.pop("DJANGO_SETTINGS_MODULE", None)

stacks.tell_when_asked()

app = Celery("bare", broker=os.environ["PROGRESS_TEST_BROKER"])
