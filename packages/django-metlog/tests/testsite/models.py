# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=100)

    class Meta:
        app_label = "testsite"

    def __str__(self) -> str:
        return self.title
