# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from testsite import views

urlpatterns = [
    path("", views.index, name="index"),
    path("admin/", admin.site.urls),
    path("services/timing/", include("django_metlog.urls")),
]
