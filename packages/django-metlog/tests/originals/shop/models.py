# SPDX-License-Identifier: MPL-2.0
from django.conf import settings
from django.db import models


class Measured:
    """What django-prometheus wants of models."""


if "django_prometheus" in settings.INSTALLED_APPS:
    from django_prometheus.models import ExportModelOperationsMixin

    Measured = ExportModelOperationsMixin("orderitem")


class OrderItem(Measured, models.Model):  # noqa: DJ008
    title = models.CharField(max_length=10)
