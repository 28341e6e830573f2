from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class ProgressWidgetConfig(AppConfig):
    name = "progress_widget"
    verbose_name = _("Progress")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from progress_widget import probe
        from progress_widget.checks import check_settings, check_urls
        from progress_widget.lifecycle import celery
        from progress_widget.queues import examining

        checks.register(check_settings)
        checks.register(check_urls, checks.Tags.urls)
        celery.connect()
        examining.register(probe.NAME, probe.report)
