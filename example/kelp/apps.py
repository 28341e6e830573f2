from __future__ import annotations

from django.apps import AppConfig


class KelpConfig(AppConfig):
    name = "kelp"
    verbose_name = "Kelp farm"
