# SPDX-License-Identifier: MPL-2.0
"""Declarations of every metric that this package can send.

``<name>`` stands for one dotted segment, ``<name...>`` for one or more. For backends
with labels, each placeholder is a label.
"""

from __future__ import annotations

from metlog import catalogue
from metlog.catalogue import Metric
from metlog.semconv import Semconv
from metlog.shapes import SECONDS

__all__ = ["METRICS"]

# -- requests --------------------------------------------------------------------------

REQUEST = Metric(
    "request",
    "timer",
    "s",
    "One whole request, as the outermost of our middlewares saw it.",
    fields=("view", "method", "status"),
    semconv=Semconv(
        "http.server.request.duration",
        (
            ("http.request.method", "method"),
            ("url.scheme", "scheme"),
            ("http.response.status_code", "status"),
            ("http.route", "route"),
            ("error.type", "error"),
        ),
        keeps=("view",),
    ),
)
REQUEST_QUEUE = Metric(
    "request.queue",
    "timer",
    "s",
    "How long a request waited before Django: from X-Request-Start until the "
    "middleware (METLOG_QUEUE_TIME).",
)
REQUEST_ACTIVE = Metric(
    "request.active",
    "updown",
    "{request}",
    "Requests in flight, for backends that add up changes, which StatsD does not.",
    fields=("method",),
    semconv=Semconv(
        "http.server.active_requests",
        (("http.request.method", "method"), ("url.scheme", "scheme")),
    ),
)
REQUEST_QUERIES = Metric(
    "request.queries",
    "histogram",
    "{query}",
    "How many statements one request sent to databases.",
    fields=("view", "method"),
)
REQUEST_QUERY_TIME = Metric(
    "request.query_time",
    "timer",
    "s",
    "How long all statements of one request took together.",
    fields=("view", "method"),
)
RESPONSE = Metric(
    "response.<status>", "counter", "{response}", "Answered with this status code."
)
RESPONSE_AUTH = Metric(
    "response.auth.<status>",
    "counter",
    "{response}",
    "Answered with this status code to a logged-in user (METLOG_AUTH_COUNTS).",
)
RESPONSE_CANCELLED = Metric(
    "response.cancelled",
    "counter",
    "{request}",
    "The client went away before there was a response (seen under ASGI).",
)
VIEW = Metric(
    "view.<view...>.<method>",
    "timer",
    "s",
    "One call of this view: from just before it until its response was there.",
)
VIEW_MODULE = Metric(
    "view.<module...>.<method>",
    "timer",
    "s",
    "Calls of all views of one module, from just before a view until its response was "
    "there (METLOG_VIEW_TIMER_DETAILS). A view can have the same dotted name.",
    sum_of="view",
)
VIEW_ALL = Metric(
    "view.<method>",
    "timer",
    "s",
    "Calls of all views, from just before a view until its response was there "
    "(METLOG_VIEW_TIMER_DETAILS).",
    sum_of="view",
)
VIEW_STREAM = Metric(
    "view.stream",
    "timer",
    "s",
    "One streaming response, from its headers until it was closed.",
)

_REQUESTS = (
    REQUEST,
    REQUEST_QUEUE,
    REQUEST_ACTIVE,
    REQUEST_QUERIES,
    REQUEST_QUERY_TIME,
    RESPONSE,
    RESPONSE_AUTH,
    RESPONSE_CANCELLED,
    VIEW,
    VIEW_MODULE,
    VIEW_ALL,
    VIEW_STREAM,
)

# -- databases and caches --------------------------------------------------------------

_OPERATION = Semconv(
    "db.client.operation.duration",
    (
        ("db.system.name", "system"),
        ("db.namespace", "namespace"),
        ("db.operation.name", "operation"),
        ("error.type", "error"),
    ),
)

DB_EXECUTE = Metric(
    "db.<client>.<alias>.execute",
    "timer",
    "s",
    "One statement, until the database answered.",
    fields=("operation",),
    semconv=_OPERATION,
)
DB_EXECUTEMANY = Metric(
    "db.<client>.<alias>.executemany",
    "timer",
    "s",
    "One executemany, until the database answered.",
    fields=("operation",),
    semconv=_OPERATION,
)
DB_COMMIT = Metric(
    "db.<client>.<alias>.commit", "timer", "s", "One commit of a transaction."
)
DB_ROLLBACK = Metric(
    "db.<client>.<alias>.rollback", "timer", "s", "One rollback of a transaction."
)
DB_CONNECT = Metric(
    "db.<client>.<alias>.connect",
    "timer",
    "s",
    "One connection opened; with a pool, one taken from it.",
)
DB_ERROR = Metric(
    "db.<client>.<alias>.error.<class>",
    "counter",
    "{error}",
    "Raised by the database, by Django's exception class in lower case.",
)

_DATABASE = (
    DB_EXECUTE,
    DB_EXECUTEMANY,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_CONNECT,
    DB_ERROR,
)

_DEFAULT = (("alias", "default"),)


def _cache(
    what: str, base: str, meaning: str, *, timer: bool = False
) -> tuple[Metric, Metric]:
    """Return one for the default cache, whose alias is in no name, one for others."""
    kind, unit = ("timer", "s") if timer else ("counter", "{key}")
    return (
        Metric(
            f"cache.<backend>.{what}",
            kind,  # type: ignore[arg-type]  # one of two kinds
            unit,
            meaning.format("the default cache"),
            base=base,
            fixed=_DEFAULT,
        ),
        Metric(
            f"cache.<backend>.<alias>.{what}",
            kind,  # type: ignore[arg-type]
            unit,
            meaning.format("a cache that is not the default one"),
            base=base,
        ),
    )


CACHE_CALL, CACHE_CALL_OF = _cache(
    "<method>", "cache.call", "One call of {}; nested calls count once.", timer=True
)
CACHE_HIT, CACHE_HIT_OF = _cache("hit", "cache.hit", "Keys asked of {} that it had.")
CACHE_MISS, CACHE_MISS_OF = _cache(
    "miss", "cache.miss", "Keys asked of {} that it did not have."
)

_CACHE = (
    *(CACHE_CALL, CACHE_HIT, CACHE_MISS),
    *(CACHE_CALL_OF, CACHE_HIT_OF, CACHE_MISS_OF),
)

# -- code ------------------------------------------------------------------------------

ERROR = Metric(
    "error.<class>",
    "counter",
    "{record}",
    "Logged with an exception of this class (lower case), by StatsdHandler.",
)
TEMPLATE = Metric(
    "template.<name>",
    "timer",
    "s",
    "One top-level render of a template; 'inline' for one made from a string.",
)
MODEL_CREATE = Metric(
    "model.<app>.<model>.create",
    "counter",
    "{object}",
    "Objects of this model saved for the first time.",
)
MODEL_UPDATE = Metric(
    "model.<app>.<model>.update",
    "counter",
    "{object}",
    "Objects of this model saved again.",
)
MODEL_DELETE = Metric(
    "model.<app>.<model>.delete",
    "counter",
    "{object}",
    "Objects of this model deleted.",
)
COMMAND_RUN = Metric(
    "command.<name>.run", "timer", "s", "One run of a management command."
)
COMMAND_OK = Metric(
    "command.<name>.ok",
    "counter",
    "{run}",
    "Runs of a management command that ended without an exception.",
)
COMMAND_FAILED = Metric(
    "command.<name>.failed",
    "counter",
    "{run}",
    "Runs of a management command that ended with an exception.",
)

_CODE = (
    ERROR,
    TEMPLATE,
    MODEL_CREATE,
    MODEL_UPDATE,
    MODEL_DELETE,
    COMMAND_RUN,
    COMMAND_OK,
    COMMAND_FAILED,
)


def _task(kind: str, what: str, meaning: str) -> Metric:
    name = f"{kind}.<task...>.{what}"
    # The message of a Celery task says which queue it went through, and no more.
    labels = ("queue",) if kind == "celery" else ("queue", "backend")
    if what in {"queued", "run"}:
        return Metric(name, "timer", "s", meaning, labels)
    return Metric(name, "counter", "{task}", meaning, labels)


TASK_ENQUEUED = _task("task", "enqueued", "Tasks of Django put into a queue.")
TASK_STARTED = _task("task", "started", "Tasks of Django taken up by a worker.")
TASK_SUCCEEDED = _task(
    "task", "succeeded", "Tasks of Django that ended without an exception."
)
TASK_FAILED = _task("task", "failed", "Tasks of Django that ended with an exception.")
TASK_QUEUED = _task(
    "task",
    "queued",
    "How long a task of Django waited, from when it could run until it was taken up.",
)
TASK_RUN = _task("task", "run", "One run of a task of Django, from start to end.")
CELERY_SENT = _task("celery", "sent", "Celery tasks published to the broker.")
CELERY_SUCCEEDED = _task(
    "celery", "succeeded", "Celery tasks that ended without an exception."
)
CELERY_FAILED = _task("celery", "failed", "Celery tasks that ended with an exception.")
CELERY_RETRIED = _task(
    "celery", "retried", "Celery tasks that ended in order to be tried again."
)
CELERY_QUEUED = _task(
    "celery",
    "queued",
    "How long a Celery task waited, from when it could run until it was taken up.",
)
CELERY_RUN = _task("celery", "run", "One run of a Celery task, from start to end.")

_TASKS = (
    TASK_ENQUEUED,
    TASK_STARTED,
    TASK_SUCCEEDED,
    TASK_FAILED,
    TASK_QUEUED,
    TASK_RUN,
    CELERY_SENT,
    CELERY_SUCCEEDED,
    CELERY_FAILED,
    CELERY_RETRIED,
    CELERY_QUEUED,
    CELERY_RUN,
)

# -- other services, people, mails, the process ----------------------------------------

REQUEST_ERROR = Metric(
    "request.error.<class>",
    "counter",
    "{error}",
    "Requests that ended with an unhandled exception of this class (lower case).",
    fields=("view",),
)
HTTP_CLIENT = Metric(
    "http.client.<server>",
    "timer",
    "s",
    "One request to another service, until the headers of its answer were there.",
    fields=("method", "status"),
    semconv=Semconv(
        "http.client.request.duration",
        (
            ("http.request.method", "method"),
            ("server.address", "server"),
            ("server.port", "port"),
            ("http.response.status_code", "status"),
            ("error.type", "error"),
        ),
    ),
)
HTTP_CLIENT_ERROR = Metric(
    "http.client.<server>.error.<class>",
    "counter",
    "{error}",
    "Requests to another service that raised an exception of this class (lower case).",
)
AUTH_LOGIN = Metric("auth.login", "counter", "{login}", "Users who logged in.")
AUTH_LOGIN_FAILED = Metric(
    "auth.login_failed",
    "counter",
    "{login}",
    "Attempts to log in with wrong credentials.",
)
AUTH_LOGOUT = Metric("auth.logout", "counter", "{logout}", "Users who logged out.")
MAIL_SENT = Metric(
    "mail.sent",
    "counter",
    "{message}",
    "Mails that a backend says it has sent.",
    fields=("backend",),
)
MAIL_FAILED = Metric(
    "mail.failed",
    "counter",
    "{call}",
    "Calls of a mail backend that ended with an exception.",
    fields=("backend",),
)
MAIL_SEND = Metric(
    "mail.send",
    "timer",
    "s",
    "One call of a mail backend, for one mail or several.",
    fields=("backend",),
)
LOOP_LAG = Metric(
    "asgi.loop.lag",
    "timer",
    "s",
    "How much later than due the event loop did something, asked every second.",
)
CPU_TIME = Metric(
    "process.cpu.time",
    "counter",
    "s",
    "CPU time of the process, in user mode and in the system's.",
    fields=("mode",),
)
MEMORY_USAGE = Metric(
    "process.memory.usage",
    "gauge",
    "By",
    "Memory of the process that is in use: its resident set (Linux).",
)
THREAD_COUNT = Metric(
    "process.thread.count", "gauge", "{thread}", "Python threads of the process."
)
GC_COLLECTIONS = Metric(
    "cpython.gc.collections",
    "counter",
    "{collection}",
    "Runs of the garbage collector, by generation.",
    fields=("generation",),
)
POOL_CONNECTIONS = Metric(
    "db.pool.<alias>.connections.<state>",
    "gauge",
    "{connection}",
    "Connections of a database's pool in this process, idle or used.",
    base="db.client.connection.count",
)


def _pool(what: str, base: str, unit: str, meaning: str) -> Metric:
    kind = "gauge" if what in {"max", "pending"} else "counter"
    return Metric(
        f"db.pool.<alias>.{what}",
        kind,  # type: ignore[arg-type]  # one of two kinds
        unit,
        meaning,
        base=f"db.client.connection.{base}",
    )


POOL_MAX = _pool(
    "max", "max", "{connection}", "Connections that a database's pool may have."
)
POOL_PENDING = _pool(
    "pending",
    "pending_requests",
    "{request}",
    "Requests that wait for a connection of a database's pool.",
)
POOL_REQUESTS = _pool(
    "requests", "requests", "{request}", "Connections asked of a database's pool."
)
POOL_QUEUED = _pool(
    "queued",
    "queued_requests",
    "{request}",
    "Requests that had to wait, because no connection of the pool was free.",
)
POOL_TIMEOUTS = _pool(
    "timeouts",
    "timeouts",
    "{timeout}",
    "Requests that a database's pool had no connection for in time.",
)
CELERY_QUEUE = Metric(
    "celery.queue.<queue>.length",
    "gauge",
    "{task}",
    "Tasks that wait in a queue of Celery's, asked by one process of a host.",
)

_AROUND = (
    REQUEST_ERROR,
    HTTP_CLIENT,
    HTTP_CLIENT_ERROR,
    AUTH_LOGIN,
    AUTH_LOGIN_FAILED,
    AUTH_LOGOUT,
    MAIL_SENT,
    MAIL_FAILED,
    MAIL_SEND,
    LOOP_LAG,
    CPU_TIME,
    MEMORY_USAGE,
    THREAD_COUNT,
    GC_COLLECTIONS,
    POOL_CONNECTIONS,
    POOL_MAX,
    POOL_PENDING,
    POOL_REQUESTS,
    POOL_QUEUED,
    POOL_TIMEOUTS,
    CELERY_QUEUE,
)

# -- browsers --------------------------------------------------------------------------

_BROWSER_SECONDS = tuple(sorted({*SECONDS, 0.2, 0.8, 1.8, 3.0, 4.0}))


def _browser(
    name: str,
    meaning: str,
    base: str | None = None,
    fixed: tuple[tuple[str, str], ...] = (),
) -> Metric:
    return Metric(
        name,
        "timer",
        "s",
        meaning,
        ("view",),
        base=base,  # type: ignore[arg-type]  # None: what is literal
        bounds=_BROWSER_SECONDS,
        fixed=fixed,
    )


TIMING = _browser(
    "window.performance.timing.<milestone>",
    "From the start of the navigation to this milestone of the page's load.",
)
CALCULATED = {
    span: _browser(
        f"window.performance.calculated.{span}",
        meaning,
        "window.performance.calculated",
        (("span", span),),
    )
    for span, meaning in (
        (
            "network",
            "From the start of the navigation to the response's first byte.",
        ),
        (
            "app",
            "From the response's first byte until the document was parsed: domLoading.",
        ),
        ("dom", "From domLoading to domComplete of the page's load."),
        ("rendering", "From domComplete to loadEventEnd of the page's load."),
    )
}
VITALS = {
    vital: _browser(
        f"window.performance.vitals.{vital}",
        meaning,
        "window.performance.vitals",
        (("vital", vital),),
    )
    for vital, meaning in (
        ("LCP", "Largest Contentful Paint of a page."),
        ("INP", "Interaction to Next Paint of a page."),
        ("FCP", "First Contentful Paint of a page."),
        ("TTFB", "Time to First Byte of a page."),
    )
}
BY_VIEW = {
    kind: Metric(
        f"window.performance.view.<view...>.{kind}.<{part}>",
        "timer",
        "s",
        f"A {what}, of the pages of one view (METLOG_RECORD_BY_VIEW).",
        sum_of=f"window.performance.{kind}",
    )
    for kind, part, what in (
        ("timing", "milestone", "milestone of a page's load"),
        ("calculated", "span", "calculated span of a page's load"),
        ("vitals", "vital", "web vital"),
    )
}
LAYOUT_SHIFT = Metric(
    "window.performance.vitals.CLS",
    "histogram",
    "1",
    "Cumulative Layout Shift of a page: a score, in the dotted shape times 1000.",
    ("view",),
    base="window.performance.layout_shift",
    bounds=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0),
    scale=1000,
)
LAYOUT_SHIFT_BY_VIEW = Metric(
    "window.performance.view.<view...>.vitals.CLS",
    "histogram",
    "1",
    "Cumulative Layout Shift of the pages of one view: a score, times 1000 "
    "(METLOG_RECORD_BY_VIEW).",
    sum_of="window.performance.layout_shift",
    scale=1000,
)
REDIRECTS = Metric(
    "window.performance.navigation.redirectCount",
    "counter",
    "{redirect}",
    "Redirects on the way to a page; 0 is added as well.",
    base="window.performance.navigation.redirects",
)
NAVIGATION_TYPE = Metric(
    "window.performance.navigation.type.<type>",
    "counter",
    "{load}",
    "How visitors came: navigate, reload, back_forward, prerender or reserved.",
)
REJECTED = Metric(
    "window.performance.rejected",
    "counter",
    "{value}",
    "Values reported by browsers that were dropped because they are impossible.",
)
HIDDEN = Metric(
    "window.performance.hidden",
    "counter",
    "{load}",
    "Loads of a page in a hidden tab, whose times are not recorded.",
)

VISIT = Metric(
    "window.visit.<view...>.settled",
    "timer",
    "s",
    "A page swap of htmx or Turbo, or a soft navigation: from its beginning until the "
    "page was settled.",
    bounds=_BROWSER_SECONDS,
    base="window.visit",
)
JAVASCRIPT_ERROR = Metric(
    "window.error.<kind>",
    "counter",
    "{error}",
    "JavaScript errors on pages, by class; resource: an element could not load.",
    ("view",),
)

_BROWSER = (
    TIMING,
    *BY_VIEW.values(),
    REDIRECTS,
    NAVIGATION_TYPE,
    *CALCULATED.values(),
    *VITALS.values(),
    LAYOUT_SHIFT,
    LAYOUT_SHIFT_BY_VIEW,
    VISIT,
    JAVASCRIPT_ERROR,
    REJECTED,
    HIDDEN,
)

METRICS: tuple[Metric, ...] = (
    *_REQUESTS,
    *_DATABASE,
    *_CACHE,
    *_CODE,
    *_TASKS,
    *_AROUND,
    *_BROWSER,
)

catalogue.declare(*METRICS, prefix="django_")
