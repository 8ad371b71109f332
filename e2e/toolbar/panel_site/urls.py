# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.urls import include, path

from panel_site import views

urlpatterns = [
    path("nested/", views.nested),
    path("repeated/", views.repeated),
    path("aged/", views.aged),
    path("many/", views.many),
    path("hostile/", views.hostile),
    path("silent/", views.silent),
    path("data/", views.data),
    path("gathered/", views.gathered),
    path("", include("e2e_site.urls")),
]
