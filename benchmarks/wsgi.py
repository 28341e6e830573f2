"""What gunicorn serves for ``benchmarks.viewers``."""

from __future__ import annotations

import os

from celery import Celery
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.site_settings"

# celery-progress's view asks the result backend of the current app.
app = Celery("benchmarks", backend=os.environ.get("REDIS_URL"))
app.set_default()
application = get_wsgi_application()
