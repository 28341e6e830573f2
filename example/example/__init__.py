from __future__ import annotations

# Loaded with Django, so that shared_task uses this app in the web process too.
from example.celery import app as celery_app

__all__ = ("celery_app",)
