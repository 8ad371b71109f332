# SPDX-License-Identifier: MPL-2.0
"""The record view's address, to be included in a URLconf: ``services/timing/record``.

path("services/timing/", include("django_metlog.urls"))
"""

from __future__ import annotations

from django.urls import URLPattern, path

from django_metlog._app_check import of_app
from django_metlog.views import record

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    of_app(path("record", record, name="django_metlog.record"))
]
