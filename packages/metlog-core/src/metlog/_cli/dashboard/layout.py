# SPDX-License-Identifier: MPL-2.0
"""The panels of a dashboard: a front row, a row for each subject, and the rest.

The rows are hand-picked for django-metlog's metrics, because a program cannot know what
people look at first. A panel whose metrics are not declared is left out, and a declared
metric that is in no panel gets one of its own at the end.
"""

from __future__ import annotations

from collections.abc import Iterable

from metlog._cli.dashboard.queries import (
    Level,
    Panel,
    Quantile,
    Query,
    Rate,
    Ratio,
    Row,
    Spent,
    bases,
)
from metlog.catalogue import Metric

__all__ = ["VITALS", "rows"]

VITALS = {
    "LCP": (2.5, 4.0),
    "INP": (0.2, 0.5),
    "FCP": (1.8, 3.0),
    "TTFB": (0.8, 1.8),
}
"""The limits, in seconds, up to which Google calls a vital good, and above which poor.

https://web.dev/articles/vitals
"""

_ERRORS = Ratio(Rate("response", where=(("status", "5*"),)), (Rate("response"),))
_DATABASE = Ratio(Spent("request.query_time"), (Spent("request"),))
_HITS = Ratio(Rate("cache.hit"), (Rate("cache.hit"), Rate("cache.miss")))


def rows(metrics: Iterable[Metric]) -> list[Row]:
    """Return the rows for the declared metrics."""
    known = [metric for metric in metrics if metric.sum_of is None]
    names = {metric.base for metric in known}
    chosen = []
    for row in _ROWS:
        panels = tuple(panel for panel in row.panels if _asked(panel) <= names)
        if panels:
            chosen.append(Row(row.title, panels))
    shown = {base for row in chosen for panel in row.panels for base in _asked(panel)}
    rest = {metric.base: metric for metric in known if metric.base not in shown}
    if rest:
        chosen.append(Row("Everything else", tuple(map(_generic, rest.values()))))
    return chosen


def _asked(panel: Panel) -> set[str]:
    return {base for _, query in panel.queries for base in bases(query)}


def _generic(metric: Metric) -> Panel:
    """Return a panel for a metric of which only the declaration is known."""
    by = metric.labels
    name, top = metric.base, 10 if by else 0
    if metric.kind == "counter":
        return Panel(name, (("", Rate(name, by)),), meaning=metric.meaning, top=top)
    if metric.kind in {"timer", "histogram"}:
        unit = "s" if metric.kind == "timer" or metric.unit == "s" else "short"
        queries: tuple[tuple[str, Query], ...] = (("p95", Quantile(name, 0.95, by)),)
        return Panel(f"{name}, p95", queries, unit, metric.meaning, top=top)
    return Panel(name, (("", Level(name, by)),), meaning=metric.meaning, top=top)


_FRONT = Row(
    "At a glance",
    (
        Panel(
            "Requests",
            (("", Rate("response")),),
            "reqps",
            "Responses a second, whatever their status.",
            at_a_glance=True,
        ),
        Panel(
            "Errors",
            (("", _ERRORS),),
            "percentunit",
            "The share of responses with a status of 500 and above.",
            at_a_glance=True,
            levels=(0.001, 0.01),
        ),
        Panel(
            "Time of a request, p95",
            (("", Quantile("request")),),
            "s",
            "95 % of all requests take no longer.",
            at_a_glance=True,
        ),
        Panel(
            "In the database",
            (("", _DATABASE),),
            "percentunit",
            "The share of the requests' time in which they wait for statements.",
            at_a_glance=True,
        ),
        Panel(
            "Largest paint, p75",
            (
                (
                    "",
                    Quantile(
                        "window.performance.vitals", 0.75, where=(("vital", "LCP"),)
                    ),
                ),
            ),
            "s",
            "Three of four visits show their largest content within this time.",
            at_a_glance=True,
            levels=VITALS["LCP"],
        ),
    ),
)

_REQUESTS = Row(
    "Requests",
    (
        Panel(
            "Responses by status",
            (("", Rate("response", ("status",))),),
            "reqps",
        ),
        Panel(
            "How long requests take",
            (("p50", Quantile("request", 0.5)), ("p95", Quantile("request"))),
            "s",
        ),
        Panel(
            "Slowest views, p95",
            (("", Quantile("view", 0.95, ("view", "method"))),),
            "s",
            top=10,
        ),
        Panel(
            "Where the time goes",
            (("", Spent("view", ("view", "method"))),),
            "short",
            "Seconds of work each second, by view.",
            top=10,
        ),
        Panel(
            "Busiest views",
            (("", Rate("view", ("view", "method"))),),
            "reqps",
            top=10,
        ),
        Panel(
            "Waiting for a worker",
            (("p95", Quantile("request.queue")),),
            "s",
            "From the proxy until the middleware (METLOG_QUEUE_TIME).",
        ),
        Panel("In flight", (("", Level("request.active")),)),
        Panel(
            "Exceptions of requests",
            (("", Rate("request.error", ("view", "class"))),),
            "ops",
            top=10,
        ),
        Panel("Logged exceptions", (("", Rate("error", ("class",))),), "ops", top=10),
    ),
)

_BROWSER = Row(
    "Browsers",
    (
        *(
            Panel(
                f"{vital} by view, p75",
                (
                    (
                        "",
                        Quantile(
                            "window.performance.vitals",
                            0.75,
                            ("view",),
                            (("vital", vital),),
                        ),
                    ),
                ),
                "s",
                levels=levels,
                top=10,
            )
            for vital, levels in VITALS.items()
        ),
        Panel(
            "Layout shift by view, p75",
            (("", Quantile("window.performance.layout_shift", 0.75, ("view",))),),
            levels=(0.1, 0.25),
            top=10,
        ),
        Panel(
            "Milestones of the load, p75",
            (("", Quantile("window.performance.timing", 0.75, ("milestone",))),),
            "s",
        ),
        Panel(
            "Page swaps by view, p95",
            (("", Quantile("window.visit", 0.95, ("view",))),),
            "s",
            top=10,
        ),
        Panel(
            "JavaScript errors",
            (("", Rate("window.error", ("kind", "view"))),),
            "ops",
            top=10,
        ),
        Panel(
            "Loads",
            (("", Rate("window.performance.navigation.type", ("type",))),),
            "ops",
        ),
    ),
)

_DATABASES = Row(
    "Databases",
    (
        Panel(
            "Statements",
            (("", Rate("db.execute", ("alias", "operation"))),),
            "ops",
        ),
        Panel(
            "Statements, p95",
            (("", Quantile("db.execute", 0.95, ("alias", "operation"))),),
            "s",
        ),
        Panel("Errors", (("", Rate("db.error", ("alias", "class"))),), "ops"),
        Panel(
            "Connecting, p95", (("", Quantile("db.connect", 0.95, ("alias",))),), "s"
        ),
    ),
)

_CACHES = Row(
    "Caches",
    (
        Panel("Hits", (("", _HITS),), "percentunit"),
        Panel(
            "Keys asked for",
            (
                ("hit", Rate("cache.hit", ("alias",))),
                ("miss", Rate("cache.miss", ("alias",))),
            ),
            "ops",
        ),
        Panel(
            "Calls, p95",
            (("", Quantile("cache.call", 0.95, ("alias", "method"))),),
            "s",
            top=10,
        ),
    ),
)


def _tasks(title: str, name: str, begun: str) -> Row:
    return Row(
        title,
        (
            Panel(
                "Tasks",
                (
                    (begun, Rate(f"{name}.{begun}")),
                    ("succeeded", Rate(f"{name}.succeeded")),
                    ("failed", Rate(f"{name}.failed")),
                ),
                "ops",
            ),
            Panel(
                "Failures",
                (("", Rate(f"{name}.failed", ("task",))),),
                "ops",
                top=10,
            ),
            Panel(
                "Waiting, p95",
                (("", Quantile(f"{name}.queued", 0.95, ("task",))),),
                "s",
                top=10,
            ),
            Panel(
                "Running, p95",
                (("", Quantile(f"{name}.run", 0.95, ("task",))),),
                "s",
                top=10,
            ),
        ),
    )


_OTHERS = Row(
    "Other services",
    (
        Panel(
            "Requests to them",
            (("", Rate("http.client", ("server", "status"))),),
            "reqps",
            top=10,
        ),
        Panel(
            "Until they answer, p95",
            (("", Quantile("http.client", 0.95, ("server",))),),
            "s",
            top=10,
        ),
        Panel(
            "Not answered",
            (("", Rate("http.client.error", ("server", "class"))),),
            "ops",
            top=10,
        ),
        Panel(
            "Mails",
            (("sent", Rate("mail.sent")), ("failed", Rate("mail.failed"))),
            "ops",
        ),
        Panel("Sending mails, p95", (("", Quantile("mail.send")),), "s"),
    ),
)

_PROCESSES = Row(
    "Processes",
    (
        Panel("Memory", (("", Level("process.memory.usage")),), "bytes"),
        Panel(
            "CPU",
            (("", Rate("process.cpu.time", ("mode",))),),
            "short",
            "Processors that are kept busy.",
        ),
        Panel("Threads", (("", Level("process.thread.count")),)),
        Panel(
            "Garbage collections",
            (("", Rate("cpython.gc.collections", ("generation",))),),
            "ops",
        ),
        Panel("The event loop is late, p95", (("", Quantile("asgi.loop.lag")),), "s"),
        Panel(
            "Pooled connections",
            (("", Level("db.client.connection.count", ("alias", "state"))),),
        ),
    ),
)

_ROWS = (
    _FRONT,
    _REQUESTS,
    _BROWSER,
    _DATABASES,
    _CACHES,
    _tasks("Django's tasks", "task", "enqueued"),
    _tasks("Celery", "celery", "sent"),
    _OTHERS,
    _PROCESSES,
)
