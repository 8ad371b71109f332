# SPDX-License-Identifier: MPL-2.0
from django.db import models


class OrderItem(models.Model):  # noqa: DJ008
    title = models.CharField(max_length=10)
