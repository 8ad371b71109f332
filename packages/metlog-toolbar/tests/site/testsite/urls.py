# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.urls import include, path

from testsite import views

urlpatterns = [
    path("page/", views.page),
    path("async/", views.async_page),
    path("data/", views.data),
    path("streamed/", views.streamed),
    path("broken/", views.broken),
    path("silent/", views.silent),
    path("__debug__/", include("debug_toolbar.urls")),
]
