from __future__ import annotations

from django.db import models
from django.utils import timezone


class Harvest(models.Model):
    """One line of the harvest log, as the import writes it."""

    site = models.CharField(max_length=50)
    species = models.CharField(max_length=50)
    kilograms = models.PositiveIntegerField()
    cut_on = models.DateField()

    class Meta:
        verbose_name = "harvest"
        verbose_name_plural = "harvests"

    def __str__(self) -> str:
        return f"{self.kilograms} kg of {self.species}, {self.site}"


class StartedTask(models.Model):
    """What a visitor has started, so that the pages can list it.

    How far it has come is in progress_widget's own table, under the same task id.
    """

    task_id = models.CharField(max_length=255, unique=True)
    kind = models.SlugField(max_length=30)
    title = models.CharField(max_length=100)
    started_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-started_at", "-pk")
        verbose_name = "started task"
        verbose_name_plural = "started tasks"

    def __str__(self) -> str:
        return self.title
