"""What the tests' own admin is about."""

from __future__ import annotations

from django.db import models


class Harvest(models.Model):
    """Keeps the id of its task."""

    name = models.CharField(max_length=50)
    task_id = models.CharField(max_length=255, blank=True, default="")

    def __str__(self) -> str:
        return self.name


class Bay(models.Model):
    """Keeps no id: tasks are about it. Its key is a text, which a URL has to quote."""

    code = models.CharField(max_length=50, primary_key=True)

    def __str__(self) -> str:
        return self.code
