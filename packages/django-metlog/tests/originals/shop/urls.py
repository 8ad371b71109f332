# SPDX-License-Identifier: MPL-2.0
from django.conf import settings

from shop import views
from shop.views import handler403, handler404, handler500

try:
    from django.urls import include, re_path
except ImportError:
    from django.conf.urls import include
    from django.conf.urls import url as re_path

__all__ = ["handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    re_path("^page$", views.page),
    re_path("^cart$", views.Cart.as_view()),
    re_path("^who$", views.who),
    re_path("^gone$", views.gone),
    re_path("^forbidden$", views.forbidden),
    re_path("^fails$", views.fails),
    re_path("^export$", views.export),
    re_path("^template$", views.template),
    re_path("^rendered$", views.rendered),
]

if settings.RECORDS:
    urlpatterns.append(re_path("^timing/", include(settings.RECORDS)))
