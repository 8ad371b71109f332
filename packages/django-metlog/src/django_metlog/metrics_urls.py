# SPDX-License-Identifier: MPL-2.0
"""The metrics view's address, to be included in a URLconf: ``metrics`` below a prefix.

path("", include("django_metlog.metrics_urls"))
"""

from __future__ import annotations

from django.urls import URLPattern, path

from django_metlog._app_check import of_app
from django_metlog.views import metrics

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    of_app(path("metrics", metrics, name="django_metlog.metrics"))
]
