# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from shelf import views

urlpatterns = [
    path("", views.index, name="index"),
    path("addons/<slug:slug>/", views.addon, name="addon"),
    path("popular/", views.popular, name="popular"),
    path("report/", views.report, name="report"),
    path("broken/", views.broken, name="broken"),
    path("account/", views.account, name="account"),
    path("moved/", RedirectView.as_view(pattern_name="index"), name="moved"),
]
