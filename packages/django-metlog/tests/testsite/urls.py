# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path

from testsite import views

kinds = [
    path("function", views.index, name="function"),
    path("async-function", views.aindex, name="async-function"),
    path("class", views.BookList.as_view(), name="class"),
    path("async-class", views.ABookList.as_view(), name="async-class"),
    path("api-view", views.Books.as_view(), name="api-view"),
    path("api-function", views.api_books, name="api-function"),
    path("set/", views.BookViewSet.as_view({"get": "list"}), name="set-list"),
    path(
        "set/<int:pk>/",
        views.BookViewSet.as_view({"get": "retrieve"}),
        name="set-detail",
    ),
    path("decorated", views.decorated, name="decorated"),
    path("partial", views.partial_view, name="partial"),
    path("wrapped-partial", views.wrapped_partial, name="wrapped-partial"),
    path("instance", views.instance, name="instance"),
    path("method", views.method, name="method"),
    path("lambda", views.nameless),
    re_path(r"^regex/(?P<year>[0-9]{4})/(\w+)/$", views.archive, name="regex"),
]

urlpatterns = [
    path("", views.index, name="index"),
    path("async", views.aindex, name="aindex"),
    path("broken", views.broken),
    path("abroken", views.abroken),
    path("missing", views.missing),
    path("forbidden", views.forbidden),
    path("bad", views.bad),
    path("moved", views.moved),
    path("bad-template", views.bad_template),
    path("stream", views.stream),
    path("astream", views.astream),
    path("breaking-stream", views.breaking_stream),
    path("endless", views.endless),
    path("file", views.file),
    path("who", views.who),
    path("awho", views.awho),
    path("exempt", views.exempt),
    path("waits", views.waits),
    path("queries", views.queries),
    path("aqueries", views.aqueries),
    path("scope", views.tells_scope),
    path("ascope", views.atells_scope),
    path("health", views.health),
    path("ahealth", views.ahealth),
    path("health-class", views.HealthView.as_view()),
    path("health-dispatch", views.HealthDispatch.as_view()),
    path("kinds/", include((kinds, "kinds"), namespace="kinds")),
    path("admin/", admin.site.urls),
    path("services/timing/", include("django_metlog.urls")),
]
