# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.urls import include, path
from django.views.generic import RedirectView

from boomerang_site import views

urlpatterns = [
    path("measured/<slug:flavour>/", views.measured),
    path("both/", views.both),
    path("moved/<slug:flavour>/", RedirectView.as_view(url="/measured/%(flavour)s/")),
    path("plain/", views.plain),
    path("data/", views.data),
    path("boomerang/<slug:flavour>.js", views.boomerang),
    path("services/timing/", include("django_metlog.urls")),
]
