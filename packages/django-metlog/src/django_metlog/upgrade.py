# SPDX-License-Identifier: MPL-2.0
"""What to change in a site's settings when coming from one of this package's ancestors.

Pure: settings are a mapping. ``python -m django_metlog.upgrade mysite.settings`` reads
a module that Django cannot start with; ``manage.py metlog_upgrade_check`` reads the
running settings.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Advice", "advice", "packages", "places"]


class Advice(NamedTuple):
    """One thing to change."""

    where: str
    """The setting that it is in, or another place."""
    found: str
    """What is written there."""
    write: str
    """What to write instead, or what to do."""

    def __str__(self) -> str:
        return f"{self.where}: {self.found} -> {self.write}"


TIMING = "django_metlog.middleware.GraphiteRequestTimingMiddleware"
COUNTING = "django_metlog.middleware.GraphiteMiddleware"
PANEL = (
    "metlog_toolbar.panel.MetlogPanel, with 'metlog_toolbar' in INSTALLED_APPS "
    "(pip install metlog-toolbar)"
)
BOTH = f"{TIMING} and {COUNTING}"

_IN = "in METLOG_PATCHES"

# Dotted names in any setting, from the most specific to the least.
_NAMES: tuple[tuple[str, str], ...] = (
    # django-statsd-mozilla 0.3 and 0.4
    (
        r"django_statsd\.middleware\.(Graphite(?:RequestTiming)?Middleware)",
        r"django_metlog.middleware.\1",
    ),
    (r"django_statsd\.middleware\.TastyPieRequestTimingMiddleware", TIMING),
    (r"django_statsd\.patches\.(db|cache)", r"django_metlog.patches.\1"),
    (
        r"django_statsd\.loggers\.errors\.StatsdHandler",
        "django_metlog.loggers.errors.StatsdHandler",
    ),
    (r"django_(?:statsd|metlog)\.panel\.StatsdPanel", PANEL),
    (r"django_statsd\.urls", "django_metlog.urls"),
    # django-statsd 3
    (r"django_statsd\.middleware\.StatsdMiddleware", BOTH),
    (
        r"django_statsd\.middleware\.StatsdMiddlewareTimer",
        "nothing: django-metlog does not time individual middlewares",
    ),
    # django-prometheus
    (r"django_prometheus\.middleware\.PrometheusBeforeMiddleware", BOTH),
    (
        r"django_prometheus\.middleware\.PrometheusAfterMiddleware",
        "nothing: one place in MIDDLEWARE is enough",
    ),
    (
        r"django_prometheus\.db\.backends\.(\w+)",
        rf"django.db.backends.\1, and 'django_metlog.patches.db' {_IN}",
    ),
    (
        r"django_prometheus\.cache\.backends\.(\w+)\.(\w+)",
        rf"django.core.cache.backends.\1.\2, and 'django_metlog.patches.cache' {_IN}",
    ),
    (r"django_(?:statsd|prometheus)", "django_metlog"),
    (
        r"django_(?:statsd|prometheus)\..*",
        "nothing: django-metlog has no equivalent",
    ),
)

_CLIENTS = {
    "statsd.client": "metlog.senders.StatsdSender",
    "django_statsd.clients.log": "metlog.senders.StdLibLoggingSender",
    "django_statsd.clients.normal": "metlog.senders.StatsdSender",
    "django_statsd.clients.null": "metlog.senders.NoSendSender",
    "django_statsd.clients.toolbar": "metlog.senders.StatsdSender",
}
"""STATSD_CLIENT of django-statsd-mozilla, and the sender that does the same."""

_GONE = {
    "PROMETHEUS_EXPORT_MIGRATIONS": "nothing: migrations are not counted",
    "PROMETHEUS_LATENCY_BUCKETS": (
        "bounds of a Metric, or nothing: see docs/questions for the default ones"
    ),
    "PROMETHEUS_METRICS_EXPORT_PORT": "'port' of metlog.senders.PrometheusSender",
    "PROMETHEUS_METRICS_EXPORT_PORT_RANGE": (
        "'directory' of metlog.senders.PrometheusSender: one address for all processes"
    ),
    "PROMETHEUS_METRIC_NAMESPACE": "'prefix' of metlog.senders.PrometheusSender",
    "STATSD_DEBUG": "nothing: manage.py check and metlog_check say what is wrong",
    "STATSD_DISABLED": "METLOG's sender, metlog.senders.NoSendSender",
    "STATSD_MAXUDPSIZE": "'max_packet' of METLOG's sender",
    "STATSD_SAMPLE_RATE": "rules: METLOG's 'metrics': [{'match': '*', 'rate': …}]",
    "STATSD_TAGS_LIKE": "'dialect': 'dogstatsd' of METLOG's sender",
    "STATSD_TRACK_DATABASE": "'django_metlog.patches.db' in METLOG_PATCHES",
    "STATSD_TRACK_MIDDLEWARE": "nothing: individual middlewares are not timed",
    "STATSD_VIEWS_TO_SKIP": "METLOG_EXCLUDE for paths, or django_metlog.exclude",
}

_IN_A_CLIENT = ("STATSD_CLIENT", "STATSD_HOST", "STATSD_PORT", "STATSD_PREFIX")


def advice(settings: Mapping[str, Any]) -> Iterator[Advice]:
    """Yield what to change in these settings, first by name and then by place."""
    settings = {name: _that_can_be_read(value) for name, value in settings.items()}
    for name in sorted(settings):
        if name in _GONE:
            value = settings[name]
            yield Advice(name, repr(value), _GONE[name] if value else "remove it")
        elif name == "MIDDLEWARE_CLASSES":
            yield Advice(name, "MIDDLEWARE_CLASSES", "MIDDLEWARE: Django's name today")
        elif name not in _IN_A_CLIENT:
            for text in sorted(set(_texts(settings[name]))):
                write = _today(text)
                if write is not None:
                    yield Advice(name, text, write)
    if not settings.get("METLOG"):
        yield _client(settings)
    if "MIDDLEWARE_CLASSES" in settings and not settings.get("MIDDLEWARE"):
        yield Advice("MIDDLEWARE", "(not there)", f"a list that begins with {BOTH}")
    if _is_of_mozilla(settings) and not settings.get("METLOG_HISTORIC_NAMES"):
        yield Advice(
            "METLOG_HISTORIC_NAMES",
            "(not there)",
            "True, when dashboards have names of statements, models or Celery tasks; "
            "docs/upgrade has both names side by side",
        )
    if _records_the_default(settings):
        yield Advice(
            "METLOG_RECORD_KEYS",
            "(not there)",
            "the five default keys and 'window.performance.timing.loadEventEnd', "
            "'window.performance.timing.responseStart', when dashboards have those two",
        )


def packages(installed: Iterable[str] | None = None) -> Iterator[Advice]:
    """Yield what to uninstall, of everything that is installed."""
    if installed is None:
        installed = (one.metadata["Name"] or "" for one in distributions())
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in installed}
    if "metlog-py" in names:
        yield Advice(
            "pip",
            "metlog-py",
            "pip uninstall metlog-py; pip install --force-reinstall metlog-core: both "
            "are `import metlog` in one folder, and uninstalling removes files of both",
        )
    for name in ("django-statsd-mozilla", "django-metlog-mozilla", "django-statsd"):
        if name in names:
            yield Advice("pip", name, f"pip uninstall {name}, when nothing imports it")


def places(modules: Iterable[str], found: str) -> Iterator[str]:
    """Yield ``file:line`` for each place with that text in these modules' sources."""
    for module in modules:
        for number, line in enumerate(_source(module), start=1):
            if re.search(rf"(?<![\w.]){re.escape(found)}(?![\w.])", line):
                yield f"{_file(module)}:{number}"


def _file(module: str) -> str | None:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec and spec.origin and spec.origin.endswith("py") else None


def _source(module: str) -> list[str]:
    file = _file(module)
    if file is None:
        return []
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


class _Unreadable:
    """A value that raises when it is looked at, as a lazy object may."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __repr__(self) -> str:
        return f"something that raises {self._error!r:.200}"


def _that_can_be_read(value: Any, depth: int = 0) -> Any:
    """Return a setting's value, without what raises in it."""
    try:
        bool(value), repr(value), list(_texts(value))
        return value
    except Exception as error:
        fault = error
    try:
        if depth < 10 and isinstance(value, Mapping):
            return {
                key: _that_can_be_read(item, depth + 1) for key, item in value.items()
            }
        if depth < 10 and isinstance(value, (list, tuple)):
            return [_that_can_be_read(item, depth + 1) for item in value]
    except Exception as error:
        fault = error
    return _Unreadable(fault)


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    """Yield every text in a setting, including keys."""
    if isinstance(value, str):
        yield value
    elif depth < 10 and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key, depth + 1)
            yield from _texts(item, depth + 1)
    elif depth < 10 and isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item, depth + 1)


def _today(text: str) -> str | None:
    for expression, write in _NAMES:
        found = re.fullmatch(expression, text)
        if found:
            return found.expand(write)
    return None


def _client(settings: Mapping[str, Any]) -> Advice:
    was = str(settings.get("STATSD_CLIENT", "django_statsd.clients.normal"))
    sender: dict[str, Any] = {"class": _CLIENTS.get(was, "metlog.senders.StatsdSender")}
    for name in ("host", "port", "prefix"):
        value = settings.get(f"STATSD_{name.upper()}")
        if value is not None and sender["class"] == "metlog.senders.StatsdSender":
            sender[name] = value
    old = [name for name in _IN_A_CLIENT if name in settings]
    return Advice("METLOG", ", ".join(old) or "(not there)", f"{{'sender': {sender}}}")


def _is_of_mozilla(settings: Mapping[str, Any]) -> bool:
    switches = ("STATSD_MODEL_SIGNALS", "STATSD_CELERY_SIGNALS")
    return any(settings.get(name) for name in switches) or any(
        text.endswith("_statsd.patches.db") for text in _texts(settings)
    )


def _records_the_default(settings: Mapping[str, Any]) -> bool:
    """Return whether the site used the default of seven keys; ours has five."""
    return not any(
        name in settings for name in ("STATSD_RECORD_KEYS", "METLOG_RECORD_KEYS")
    ) and any(
        text.startswith("django_statsd.middleware.Graphite")
        for name in ("MIDDLEWARE", "MIDDLEWARE_CLASSES")
        for text in _texts(settings.get(name))
    )


def report(settings: Mapping[str, Any], modules: Iterable[str]) -> list[str]:
    """Return a line for each thing to change, with its places in the sources."""
    modules = list(modules)
    lines = []
    for one in (*packages(), *advice(settings), *_urls(modules)):
        where = ", ".join(places(modules, one.found))
        lines.append(f"{where}: {one}" if where else str(one))
    return lines


def _urls(modules: Iterable[str]) -> Iterator[Advice]:
    for module in modules:
        if any("django_statsd.urls" in line for line in _source(module)):
            yield Advice(
                module,
                "django_statsd.urls",
                'path("services/timing/", include("django_metlog.urls"))',
            )


USAGE = """\
usage: python -m django_metlog.upgrade mysite.settings

List line by line what to change in a site's settings when coming from other packages.
Exits with 1 if there is something to change."""


def main(arguments: list[str]) -> int:
    """Read a settings module; return 1 if there is something to change."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        asked = arguments in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    sys.path.insert(0, "")
    try:
        module = import_module(arguments[0])
    except ModuleNotFoundError as error:
        # If an import in the settings is missing, its own traceback says so.
        if not error.name or not f"{arguments[0]}.".startswith(f"{error.name}."):
            raise
        print(
            f"expected a module of settings such as mysite.settings, got "
            f"{arguments[0]!r}: {error}; call it where manage.py is",
            file=sys.stderr,
        )
        return 2
    settings = {name: value for name, value in vars(module).items() if name.isupper()}
    modules = [arguments[0], str(settings.get("ROOT_URLCONF", ""))]
    lines = report(settings, filter(None, modules))
    print("\n".join(lines) or "Nothing to change.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
