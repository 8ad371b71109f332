# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from debug_toolbar.toolbar import debug_toolbar_urls
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("shelf.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
    path("services/timing/", include("django_metlog.urls")),
    *debug_toolbar_urls(),
]
