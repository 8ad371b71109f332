# SPDX-License-Identifier: MPL-2.0
"""Every metric this package can send, for the reference, the panel and our tests.

``<name>`` stands for one dotted segment, ``<name...>`` for one or more.
"""

from __future__ import annotations

from metlog import catalogue
from metlog.catalogue import Metric

__all__ = ["METRICS"]


def _counter(
    name: str, unit: str, meaning: str, fields: tuple[str, ...] = ()
) -> Metric:
    return Metric(name, "counter", unit, meaning, fields)


def _timer(name: str, meaning: str, fields: tuple[str, ...] = ()) -> Metric:
    return Metric(name, "timer", "ms", meaning, fields)


_REQUESTS = (
    _counter("response.<status>", "responses", "Answered with this status code."),
    _counter(
        "response.auth.<status>",
        "responses",
        "Answered with this status code to a logged-in user (METLOG_AUTH_COUNTS).",
    ),
    _counter(
        "response.cancelled",
        "requests",
        "The client went away before there was a response (seen under ASGI).",
    ),
    _timer(
        "view.<view...>.<METHOD>",
        "From just before a view until its response was there, by module and name; "
        "by module alone for all views of one (METLOG_VIEW_TIMER_DETAILS).",
    ),
    _timer("view.<METHOD>", "The same, for all views (METLOG_VIEW_TIMER_DETAILS)."),
    _timer(
        "view.stream",
        "From a streaming response's headers until it was closed.",
    ),
    _timer(
        "request.queue",
        "From X-Request-Start until the middleware (METLOG_QUEUE_TIME).",
    ),
    Metric(
        "request.active",
        "updown",
        "requests",
        "Requests in flight. Engines that add up changes get it; StatsD does not.",
    ),
)

_DATABASE = (
    _timer(
        "db.<client>.<alias>.execute",
        "One statement, until the database answered.",
        ("operation",),
    ),
    _timer(
        "db.<client>.<alias>.executemany",
        "One executemany, until the database answered.",
        ("operation",),
    ),
    _timer("db.<client>.<alias>.commit", "One commit."),
    _timer("db.<client>.<alias>.rollback", "One rollback."),
    _timer(
        "db.<client>.<alias>.connect",
        "One connection opened; with a pool, one taken from it.",
    ),
    _counter(
        "db.<client>.<alias>.error.<class>",
        "errors",
        "Raised by the database, by Django's exception class in lower case.",
    ),
)

_CACHE = tuple(
    metric
    for cache, which in (
        ("cache.<backend>", "the default cache"),
        ("cache.<backend>.<alias>", "another cache"),
    )
    for metric in (
        _timer(f"{cache}.<method>", f"One call of {which}; nested calls count once."),
        _counter(f"{cache}.hit", "keys", f"Keys asked of {which} that it had."),
        _counter(f"{cache}.miss", "keys", f"Keys asked of {which} that it had not."),
    )
)

_CODE = (
    _counter(
        "error.<class>",
        "records",
        "Logged with an exception of this class (lower case), by StatsdHandler.",
    ),
    _timer(
        "template.<name>",
        "One top-level render of a template; 'inline' for one made from a string.",
    ),
    _counter("model.<app>.<model>.create", "objects", "Saved for the first time."),
    _counter("model.<app>.<model>.update", "objects", "Saved again."),
    _counter("model.<app>.<model>.delete", "objects", "Deleted."),
    _timer("command.<name>.run", "One run of a management command."),
    _counter("command.<name>.ok", "runs", "Ended without an exception."),
    _counter("command.<name>.failed", "runs", "Ended with an exception."),
)

_QUEUE = ("queue", "backend")

_TASKS = (
    _counter("task.<path...>.enqueued", "tasks", "Put into a queue.", _QUEUE),
    _counter("task.<path...>.started", "tasks", "Taken up by a worker.", _QUEUE),
    _counter(
        "task.<path...>.succeeded", "tasks", "Ended without an exception.", _QUEUE
    ),
    _counter("task.<path...>.failed", "tasks", "Ended with an exception.", _QUEUE),
    _timer(
        "task.<path...>.queued", "From when it could run until it was taken up.", _QUEUE
    ),
    _timer("task.<path...>.run", "From start to end.", _QUEUE),
    _counter("celery.<task...>.sent", "tasks", "Published to the broker."),
    _counter("celery.<task...>.succeeded", "tasks", "Ended without an exception."),
    _counter("celery.<task...>.failed", "tasks", "Ended with an exception."),
    _counter("celery.<task...>.retried", "tasks", "Ended in order to be tried again."),
    _timer("celery.<task...>.queued", "From when it could run until it was taken up."),
    _timer("celery.<task...>.run", "From start to end."),
)

_BROWSER = (
    _timer(
        "window.performance.timing.<milestone>",
        "From the start of the navigation to this milestone of the page's load.",
        ("view",),
    ),
    _timer(
        "window.performance.view.<view...>.timing.<milestone>",
        "The same, for the pages of one view (METLOG_RECORD_BY_VIEW).",
    ),
    _counter(
        "window.performance.navigation.redirectCount",
        "redirects",
        "Redirects on the way to the page; 0 is added as well.",
    ),
    _counter(
        "window.performance.navigation.type.<type>",
        "loads",
        "How visitors came: navigate, reload, back_forward, prerender or reserved.",
    ),
    _timer(
        "window.performance.calculated.network",
        "From the start of the navigation to the response's first byte.",
    ),
    _timer(
        "window.performance.calculated.app",
        "From the response's first byte until the document was parsed: domLoading.",
    ),
    _timer(
        "window.performance.calculated.dom",
        "From domLoading to domComplete.",
    ),
    _timer(
        "window.performance.calculated.rendering",
        "From domComplete to loadEventEnd.",
    ),
    *(
        _timer(f"window.performance.vitals.{name}", meaning)
        for name, meaning in (
            ("LCP", "Largest Contentful Paint."),
            ("CLS", "Cumulative Layout Shift, a plain number, times 1000."),
            ("INP", "Interaction to Next Paint."),
            ("FCP", "First Contentful Paint."),
            ("TTFB", "Time to First Byte."),
        )
    ),
    _counter(
        "window.performance.rejected",
        "values",
        "Reported values that were dropped because they are impossible.",
    ),
    _counter(
        "window.performance.hidden",
        "loads",
        "Loads in a hidden tab, whose times are not recorded.",
    ),
)

METRICS: tuple[Metric, ...] = (
    *_REQUESTS,
    *_DATABASE,
    *_CACHE,
    *_CODE,
    *_TASKS,
    *_BROWSER,
)

catalogue.declare(*METRICS)
