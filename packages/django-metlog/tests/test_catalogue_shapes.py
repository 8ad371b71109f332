# SPDX-License-Identifier: MPL-2.0
"""One site, one process: dotted names to one backend, labels to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import time_ns
from typing import Any

import celery
import pytest
from backends import LABELLED, Backends
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import connections
from django.db.backends.sqlite3 import base as sqlite3
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path
from reports import LOAD, ask_wsgi, post
from testsite.views import index, stream, who

from django_metlog.catalogue import (
    CACHE_CALL,
    CACHE_CALL_OF,
    CACHE_HIT_OF,
    CELERY_SENT,
    COMMAND_RUN,
    DB_ERROR,
    DB_EXECUTE,
    ERROR,
    HTTP_CLIENT,
    HTTP_CLIENT_ERROR,
    JAVASCRIPT_ERROR,
    MAIL_SENT,
    MODEL_CREATE,
    REQUEST,
    REQUEST_ERROR,
    REQUEST_QUERIES,
    RESPONSE,
    TASK_RUN,
    TEMPLATE,
    VIEW,
    VISIT,
)
from django_metlog.patches import cache as cache_patch
from django_metlog.patches import celery as celery_patch
from django_metlog.patches import db as db_patch
from django_metlog.patches import tasks as tasks_patch
from django_metlog.patches._sending import count, series, time
from metlog.catalogue import Metric, segment


@pytest.fixture
def backends() -> Iterator[Backends]:
    backends = Backends()
    with override_settings(METLOG=backends.client):
        yield backends
    backends.close()


PATCHES = (db_patch, cache_patch, tasks_patch, celery_patch)


@pytest.fixture
def patched() -> Iterator[None]:
    for patch in PATCHES:
        patch.patch()
    yield
    for patch in reversed(PATCHES):
        patch.unpatch()


@pytest.mark.django_db(databases=["default", "other"])
@pytest.mark.usefixtures("patched")
def test_the_sums_agree(fetch: Any, backends: Backends) -> None:
    """Per view, status, alias and operation; and what is a sum is not there twice."""
    visits = [("/", 3), ("/async", 2), ("/broken", 2), ("/moved", 1), ("/nowhere", 4)]
    for address, times in visits:
        for method in ("GET", "POST"):
            for _ in range(times):
                fetch(address, method)
    for alias, number in (("default", 5), ("other", 3)):
        with connections[alias].cursor() as cursor:
            for _ in range(number):
                cursor.execute("SELECT 1")
        for _ in range(number):
            caches[alias].get("no-such-key")
        caches[alias].set("key", 1)
        caches[alias].get("key")
    backends.end()

    dotted, views = backends.dotted(), "testsite.views"
    for name in ("index", "aindex", "broken", "moved"):
        for method in ("GET", "POST"):
            assert (
                dotted[f"view.{views}.{name}.{method}"]
                == backends.sum_of("view", view=f"{views}.{name}", method=method)
                == backends.sum_of("request", view=f"{views}.{name}", method=method)
                > 0
            )
    assert dotted["view.GET"] == backends.sum_of("view", method="GET") == 8
    for status in ("200", "302", "404", "500"):
        assert (
            dotted[f"response.{status}"]
            == backends.sum_of("response", status=status)
            == backends.sum_of("request", status=status)
            > 0
        )
    for alias, number in (("default", 5), ("other", 3)):
        assert (
            dotted[f"db.sqlite3.{alias}.execute"]
            == backends.sum_of("db.execute", alias=alias)
            >= number
        )
        selects = backends.sum_of("db.execute", alias=alias, operation="select")
        assert selects >= number
        where = "locmem" if alias == "default" else f"locmem.{alias}"
        of = {"backend": "locmem", "alias": alias}
        for method, calls in (("get", number + 1), ("set", 1)):
            assert (
                dotted[f"cache.{where}.{method}"]
                == backends.sum_of("cache.call", method=method, **of)
                == calls
            )
        for what, keys in (("miss", number), ("hit", 1)):
            assert (
                dotted[f"cache.{where}.{what}"]
                == backends.sum_of(f"cache.{what}", **of)
                == keys
            )
    assert dotted["request"] == backends.sum_of("request") == 24

    assert len([name for name in dotted if name.startswith(("view.", "resp"))]) > 12
    for backend in LABELLED:
        names = {name for name, _ in backends.labelled(backend)}
        of_requests = {name for name in names if not name.startswith(("db.", "cache."))}
        assert of_requests <= {*FIRST_ROWS, "request.error"}


FIRST_ROWS = {
    *("request", "request.queue", "request.active", "request.queries"),
    *("request.query_time", "response", "response.auth", "response.cancelled"),
    *("view", "view.stream"),
}
"""Everything of requests that has names of its own where there are labels."""


def test_celery_tasks_add_up(patched: None, backends: Backends) -> None:
    """By task, whichever way each of them ended."""
    app = celery.Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True

    @app.task(name="shop.tasks.add")
    def add() -> None: ...

    @app.task(name="shop.tasks.broken")
    def broken() -> None:
        raise ValueError

    for _ in range(3):
        add.delay()
    for _ in range(2):
        broken.delay()
    app.conf.task_always_eager = False
    for _ in range(4):
        app.send_task("shop.tasks.add")
    app.control.purge()
    app.close()
    backends.end()
    dotted = backends.dotted()
    for task, what, number in (
        ("add", "succeeded", 3),
        ("add", "run", 3),
        ("add", "sent", 4),
        ("broken", "failed", 2),
        ("broken", "run", 2),
    ):
        assert (
            dotted[f"celery.shop.tasks.{task}.{what}"]
            == backends.sum_of(f"celery.{what}", task=f"shop.tasks.{task}")
            == number
        )
    assert backends.sum_of("celery.run") == 5
    assert backends.sum_of("celery.sent", queue="celery") == 4


if tasks_patch.HAS_TASKS:

    def test_tasks_of_django_add_up(patched: None, backends: Backends) -> None:
        """By task and by queue; under Django 5.2 there is no such test."""
        from some_tasks import broken, double

        for number in range(3):
            double.enqueue(number)
        double.using(queue_name="default").enqueue(1)
        broken.enqueue()
        backends.end()
        dotted = backends.dotted()
        for task, what, number in (
            ("double", "enqueued", 4),
            ("double", "started", 4),
            ("double", "succeeded", 4),
            ("double", "queued", 4),
            ("double", "run", 4),
            ("broken", "failed", 1),
            ("broken", "run", 1),
        ):
            assert (
                dotted[f"task.some_tasks.{task}.{what}"]
                == backends.sum_of(
                    f"task.{what}", task=f"some_tasks.{task}", queue="default"
                )
                == number
            )
        assert backends.sum_of("task.run", backend="default") == 5


METHODS = ("GET", "POST")


def _view(number: int) -> Any:
    def view(request: HttpRequest) -> HttpResponse:
        status = (200, 201, 404, 500)[number % 4]
        return HttpResponse(status=status)

    view.__name__ = view.__qualname__ = f"view{number}"
    return view


TWENTY = [path(f"view{number}", _view(number)) for number in range(20)]


@pytest.mark.django_db
@override_settings(
    ROOT_URLCONF=(*TWENTY, path("who", who), path("stream", stream)),
    METLOG_AUTH_COUNTS="always",
    METLOG_QUEUE_TIME=True,
)
def test_twenty_views_are_ten_names(fetch: Any, backends: Backends) -> None:
    """Of requests, where there are labels, with everything switched on; by dotted names
    they are more than forty."""
    browser = Client()
    browser.force_login(User.objects.create_user("me"))
    cookie = browser.cookies["sessionid"].OutputString()
    arrived = f"t={time_ns() // 1000}"
    fetch("/who", headers={"Cookie": cookie.partition(";")[0]})
    fetch("/stream")
    for number in range(20):
        for method in METHODS:
            fetch(f"/view{number}", method, headers={"X-Request-Start": arrived})
    backends.end()
    for backend in LABELLED:
        found = backends.labelled(backend)
        assert len({name for name, _ in found} - {"request.active"}) <= 9
        assert {name for name, _ in found} <= FIRST_ROWS
        views = {dict(labels).get("view") for name, labels in found if name == "view"}
        assert len(views) == 22
    for status, number in ((200, 12), (201, 10), (404, 10), (500, 10)):
        assert (
            backends.dotted()[f"response.{status}"]
            == backends.sum_of("response", status=str(status))
            == backends.sum_of("request", status=str(status))
            == number
        )
    ours = [name for name in backends.dotted() if name.startswith("view.")]
    assert len(ours) > 40


def test_what_browsers_report_is_told_once_where_there_are_labels(
    backends: Backends,
) -> None:
    """The forms by view say the same again, for who has only names."""
    view, page = "testsite.views.index", "window.performance"
    vitals = {"LCP": "1204", "CLS": "0.083", "INP": "48", "FCP": "300", "TTFB": "80"}
    with override_settings(METLOG_RECORD_BY_VIEW=True):
        for report in ({**LOAD, "view": view}, {**LOAD, **vitals, "view": view}):
            assert post(ask_wsgi, report).status_code == 204
    backends.end()
    dotted = backends.dotted()
    for base, label, value, times in (
        ("timing", "milestone", "domComplete", 2),
        ("calculated", "span", "network", 2),
        ("vitals", "vital", "INP", 1),
    ):
        assert dotted[f"{page}.{base}.{value}"] == times
        assert dotted[f"{page}.view.{view}.{base}.{value}"] == times
        of = {label: value}
        assert backends.sum_of(f"{page}.{base}", **of) == times
        assert backends.sum_of(f"{page}.{base}", **of, view=view) == times
    assert dotted[f"{page}.vitals.CLS"] == 1
    assert dotted[f"{page}.view.{view}.vitals.CLS"] == 1
    assert backends.sum_of(f"{page}.layout_shift", view=view) == 1
    assert backends.sum_of(f"{page}.vitals", vital="CLS") == 0
    assert backends.sum_of(f"{page}.navigation.type", type="reload") == 2
    for backend in LABELLED:
        names = {name for name, _ in backends.labelled(backend)}
        assert not [name for name in names if "view" in name and "window" in name]


HOSTILE = [
    *("GET", "hit", "miss", "execute", "error", "timing", "stream", "run", "sent"),
    *("a.b.c", "köln", "本.屋", "<lambda>", "x y", "shop/index.html", "other", "None"),
    *("a:1|c#b,d=e", 'say "no"\\n', "עברית", "مرحبا.بك", "🎉", "_", "view", "200"),
    *("execute.GET", "timing.hit", "le", "__name__", "{a='b'}", "..", "-", "%s %n"),
]

METRICS: list[tuple[Metric, dict[str, str], str]] = [
    (VIEW, {"method": "GET"}, "view"),
    (REQUEST, {"method": "GET", "status": "200"}, "view"),
    (REQUEST_QUERIES, {"method": "GET"}, "view"),
    (REQUEST_ERROR, {"class": "valueerror"}, "view"),
    (DB_EXECUTE, {"client": "psql", "operation": "select"}, "alias"),
    (DB_ERROR, {"client": "psql", "class": "dataerror"}, "alias"),
    (CACHE_CALL_OF, {"backend": "redis", "method": "get"}, "alias"),
    (CACHE_CALL, {"method": "get"}, "backend"),
    (CACHE_HIT_OF, {"backend": "redis"}, "alias"),
    (TASK_RUN, {"queue": "default", "backend": "default"}, "task"),
    (TASK_RUN, {"task": "shop.add", "backend": "default"}, "queue"),
    (CELERY_SENT, {}, "task"),
    (TEMPLATE, {}, "name"),
    (COMMAND_RUN, {}, "name"),
    (MODEL_CREATE, {"app": "shop"}, "model"),
    (ERROR, {}, "class"),
    (RESPONSE, {}, "status"),
    (HTTP_CLIENT, {"method": "GET", "status": "200"}, "server"),
    (HTTP_CLIENT_ERROR, {"class": "timeout"}, "server"),
    (VISIT, {}, "view"),
    (JAVASCRIPT_ERROR, {"view": "shop.index"}, "kind"),
    (MAIL_SENT, {}, "backend"),
]

IN_DATADOG = str.maketrans("|, \n", "____")
"""What would end a tag."""


@pytest.mark.parametrize(("metric", "others", "label"), METRICS)
def test_hostile_names_come_out_under_their_own_labels(
    backends: Backends, metric: Metric, others: dict[str, str], label: str
) -> None:
    """Whatever views, aliases, hosts, tasks and templates are called: each once, beside
    the other labels as they are, whatever the backend."""
    for name in HOSTILE:
        parts = {**others, label: name}
        if metric.kind == "counter":
            count(metric, **parts)
        elif metric.kind == "timer":
            time(metric, 0.0, **parts)
        else:
            series(metric, **parts).record(1)
    backends.end()
    for backend in LABELLED:
        names = [
            name.translate(IN_DATADOG) if backend == "datadog" else name
            for name in HOSTILE
        ]
        assert backends.labelled(backend) == {
            (
                metric.base,
                tuple(sorted({**others, **dict(metric.fixed), label: name}.items())),
            ): 1
            for name in names
        }
    dotted = backends.dotted()
    assert sum(dotted.values()) == len(HOSTILE)
    assert not [name for name in dotted if ".." in name or name.endswith(".")]


HOSTILE_ALIASES = ("execute", "GET", "hit", "a.b", "本.屋", "timing")


@pytest.mark.django_db
@pytest.mark.usefixtures("patched")
def test_hostile_names_of_a_site(
    fetch: Any, backends: Backends, tmp_path: Path
) -> None:
    """Views by URL name, databases and caches that are called as parts of names are."""
    views = {
        name: f"v{number}"
        for number, name in enumerate((*HOSTILE_ALIASES, "stream", "view", "<x>"))
    }
    urls = tuple(path(address, index, name=name) for name, address in views.items())
    locmem = "django.core.cache.backends.locmem.LocMemCache"
    stores = {
        alias: {"BACKEND": locmem, "LOCATION": alias}
        for alias in ("default", *HOSTILE_ALIASES)
    }
    with override_settings(
        ROOT_URLCONF=urls, METLOG_VIEW_NAMES="url_name", CACHES=stores
    ):
        for address in views.values():
            fetch(f"/{address}")
        for alias in HOSTILE_ALIASES:
            caches[alias].get("no-such-key")
            database = sqlite3.DatabaseWrapper(
                {**connections["default"].settings_dict, "NAME": tmp_path / "db"}, alias
            )
            with database.cursor() as cursor:
                cursor.execute("SELECT 1")
            database.close()
    backends.end()
    for name in views:
        assert backends.sum_of("view", view=segment(name), method="GET") == 1
        assert backends.sum_of("request", view=segment(name), status="200") == 1
    for alias in HOSTILE_ALIASES:
        of = {"client": "sqlite3", "alias": alias}
        assert backends.sum_of("db.execute", **of, operation="select") == 1
        of = {"backend": "locmem", "alias": alias}
        assert backends.sum_of("cache.call", **of, method="get") == 1
        assert backends.sum_of("cache.miss", **of) == 1


def test_a_label_has_a_limited_number_of_values(
    backends: Backends, caplog: pytest.LogCaptureFixture
) -> None:
    """METLOG_VIEW_NAMES_MAX of each, then they are called other; that is said once."""
    with override_settings(METLOG_VIEW_NAMES_MAX=3):
        for number in range(10):
            count(ERROR, class_=f"error{number}")
            count(CELERY_SENT, task=f"task{number}")
        count(ERROR, class_="error1")
    backends.end()
    assert backends.sum_of("error") == 11
    assert backends.sum_of("error", **{"class": "other"}) == 7
    assert backends.sum_of("error", **{"class": "error1"}) == 2
    assert backends.sum_of("celery.sent", task="other") == 7
    said = [each.getMessage() for each in caplog.records]
    assert len([text for text in said if "'class'" in text]) == 1
    assert len([text for text in said if "'task'" in text]) == 1


@pytest.mark.parametrize("place", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_value_called_other_hides_nothing(
    backends: Backends, caplog: pytest.LogCaptureFixture, place: int, most: int
) -> None:
    """Hosts that are not named are called so, and so may be a task."""
    tasks = [f"task{number}" for number in range(6)]
    tasks.insert(place, "other")
    with override_settings(METLOG_VIEW_NAMES_MAX=most):
        for task in (*tasks, *tasks):
            count(CELERY_SENT, task=task)
    backends.end()
    named = [task for task in tasks[:most] if task != "other"]
    for task in named:
        assert backends.sum_of("celery.sent", task=task) == 2
    others = 2 * (len(tasks) - len(named))
    assert backends.sum_of("celery.sent", task="other") == others
    said = [each.getMessage() for each in caplog.records]
    (text,) = [text for text in said if "'task'" in text]
    assert f"METLOG_VIEW_NAMES_MAX: {most} values" in text


def test_views_that_pages_name_are_limited_too(
    backends: Backends, caplog: pytest.LogCaptureFixture
) -> None:
    """A visitor may name any view of the site, and the site may have many."""
    views = [
        f"testsite.views.{name}" for name in ("index", "aindex", "moved", "broken")
    ]
    with override_settings(METLOG_VIEW_NAMES_MAX=2, METLOG_RECORD_BY_VIEW=True):
        for view in (*views, views[0]):
            report = {**LOAD, "view": view, "visits": f"250 {view}", "error": "Error"}
            assert post(ask_wsgi, report).status_code == 204
    backends.end()
    for base in ("window.performance.timing", "window.visit", "window.error"):
        of = {"milestone": "domComplete"} if base.endswith("timing") else {}
        found = {
            view: backends.sum_of(base, **of, view=view) for view in (*views, "other")
        }
        assert found == dict(zip((*views, "other"), (2, 1, 0, 0, 2), strict=True))
    names = {name for name in backends.dotted() if "performance.view" in name}
    assert not [name for name in names if "moved" in name or "broken" in name]
    said = [each.getMessage() for each in caplog.records]
    assert len([text for text in said if "'view'" in text]) == 1


def test_a_value_that_is_no_text_is_one(backends: Backends) -> None:
    """What comes from other people's code may be anything."""

    class Odd:
        def __str__(self) -> str:
            raise ValueError("no")

    for value in (None, 5, b"x", Odd()):
        series(TEMPLATE, name=value).record(1)
    backends.end()
    assert backends.sum_of("template") == 4
