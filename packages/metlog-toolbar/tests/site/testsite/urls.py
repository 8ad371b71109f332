# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.urls import include, path

from testsite import views

urlpatterns = [
    path("page/", views.page),
    path("__debug__/", include("debug_toolbar.urls")),
]
