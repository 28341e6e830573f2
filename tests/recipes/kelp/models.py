from __future__ import annotations

from django.db import models


class Harvest(models.Model):
    name = models.CharField(max_length=50)
    task_id = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.name
