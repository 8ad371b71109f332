# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.db import models
from django.urls import reverse


class Author(models.Model):
    name = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.name


class Addon(models.Model):
    name = models.CharField(max_length=80)
    slug = models.SlugField(unique=True)
    summary = models.CharField(max_length=200)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("addon", args=[self.slug])


class Day(models.Model):
    """How often an add-on was installed on one day."""

    addon = models.ForeignKey(Addon, on_delete=models.CASCADE, related_name="days")
    date = models.DateField()
    installs = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("addon", "date"), name="one_row_a_day"),
        )

    def __str__(self) -> str:
        return f"{self.addon_id} on {self.date}"
