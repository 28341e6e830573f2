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


class LogBook(models.Model):
    """The log book of a boat; the admin imports its harvests."""

    boat = models.CharField(max_length=50)
    season = models.CharField(max_length=50)
    lines = models.PositiveIntegerField(default=120, help_text="How many harvests it lists.")

    class Meta:
        verbose_name = "log book"
        verbose_name_plural = "log books"

    def __str__(self) -> str:
        return f"{self.boat}, {self.season}"
