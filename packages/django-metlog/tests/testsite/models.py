# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=100)

    class Meta:
        app_label = "testsite"

    def __str__(self) -> str:
        return self.title


class Place(models.Model):  # noqa: DJ008  # nobody reads it
    class Meta:
        app_label = "testsite"


class Cafe(Place):  # noqa: DJ008  # nobody reads it
    class Meta:
        app_label = "testsite"


class Terrace(Cafe):  # noqa: DJ008  # nobody reads it
    class Meta:
        app_label = "testsite"


class Bar(Cafe):  # noqa: DJ008  # nobody reads it
    """A proxy of a child."""

    class Meta:
        app_label = "testsite"
        proxy = True


class Table(models.Model):  # noqa: DJ008  # nobody reads it
    cafe = models.ForeignKey(Cafe, models.CASCADE)

    class Meta:
        app_label = "testsite"
