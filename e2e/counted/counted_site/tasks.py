# SPDX-License-Identifier: MPL-2.0
"""A Django task that counts itself."""

from __future__ import annotations

from counted_site import clients
from django.conf import settings
from django.tasks import task

count = clients.counter(settings.METLOG)


@task
def one() -> None:
    count()
