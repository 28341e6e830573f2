from __future__ import annotations

from django.db import models


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
