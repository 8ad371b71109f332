# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.urls import path
from e2e_site.urls import urlpatterns as site
from measured_site import views

urlpatterns = [
    path("steps/<int:number>/", views.steps),
    path("spread/<name>/", views.spread),
    path("odd/", views.odd),
    path("tick/<name>/", views.tick),
    *site,
]
