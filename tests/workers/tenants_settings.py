"""Settings of a worker for tenants that each have a schema of their own: with django-tenants."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
PROGRESS_WIDGET_WRITE_CONTEXT = "tests.workers.tenants_app.schema_here"
