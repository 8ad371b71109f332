# SPDX-License-Identifier: MPL-2.0
"""System checks: what is wrong with the settings, each with an id and a hint.

====================  =============================================================
``django_metlog.``    found
====================  =============================================================
``E001`` … ``E021``   a setting that cannot work, by its row in `conf.SETTINGS`
``E030`` … ``E031``   the same
``E017``              a guard setting has, or names, something that is not a guard
``E018``              one of our middlewares is listed twice
``E022``              ``METLOG_PATCHES`` names something that is not a patch, or fails
``E023``              ``MIDDLEWARE`` misspells one of ours
``E024``              a template's ``{% stick %}`` does not compile
``E025``              ``INSTALLED_APPS`` lacks the app, ``MIDDLEWARE`` has its classes
``W001``              a setting is there under its own and its historic name
``W002``              a setting that does not exist
``W003``              a middleware that answers by itself comes before both of ours
``W004``              ``METLOG_RECORD_KEYS`` has a key that no browser reports
``W005``              ``METLOG_MODELS`` has a label of neither an app nor a model
``W006``              ``METLOG_SERVER_TIMING`` is for everybody (``check --deploy``)
``W007``              anybody may report to the record view (``check --deploy``)
``W008``              the sender keeps or drops everything (``check --deploy``)
``W009``              ``MIDDLEWARE`` has neither of our middlewares
``W010``              ``INSTALLED_APPS`` lists ``metlog``, which is not an app
``W011``              nothing says who may read metrics (``check --deploy``)
``W012``              workers do not share their metrics (``check --deploy``)
``W013``              the metrics view has nothing to show (``check --deploy``)
``W014``              a backend mixes up declared metrics, or loses their labels
``W015``              views, databases or caches share one name in metrics
``W016``              a template has ``{% stick %}``, the URLconf no record view
``W017``              ``METLOG`` names a variable or a file that does not exist
``W018``              ``INSTALLED_APPS`` lacks the app, but a part of it is used
``W019``              ``METLOG`` has a key that no client takes, and that is ignored
``W020``              ``LOGGING`` has ``StatsdHandler`` behind a ``QueueHandler``
``W021``              an option of ``{% stick %}`` does not mean what it says
====================  =============================================================
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator
from inspect import ismodule
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_metlog import _beacons, _metlog_dict, conf
from django_metlog._deployment_check import check_deployment
from django_metlog._names_check import check_names
from django_metlog._template_check import check_templates
from django_metlog.loggers.errors import StatsdHandler
from metlog import catalogue
from metlog.senders.base import BaseSender

__all__ = ["check", "check_deployment", "check_names", "register_checks"]

OURS = (
    "django_metlog.middleware.GraphiteRequestTimingMiddleware",
    "django_metlog.middleware.GraphiteMiddleware",
)

PARTS = (
    "disabled_timers",
    "fields",
    "filters",
    "logger",
    "metrics",
    "plugins",
    "sender",
)
"""Keys of ``METLOG`` that people write as settings of their own, with a prefix."""

ANSWERING = (
    "django.middleware.cache.FetchFromCacheMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.security.SecurityMiddleware",
)
"""Django's middlewares that answer instead of the view, or change its status."""


RECORDABLE = frozenset(
    {
        _beacons.TYPE,
        _beacons.REDIRECTS,
        *(_beacons.TIMING + name for name in _beacons.BOOMERANG),
    }
)
"""The keys that ``METLOG_RECORD_KEYS`` can have."""


def register_checks() -> None:
    """Register them with ``manage.py check``, and commands that run it."""
    register(check, "metlog")
    register(check_names, "metlog", Tags.urls)
    register(check_templates, "metlog", Tags.templates)
    register(check_deployment, "metlog", Tags.security, deploy=True)


def check(**kwargs: Any) -> list[CheckMessage]:
    """Run the checks that need neither database nor URLconf."""
    conf.clear_cache()  # check the current settings
    return [
        *_values(),
        *_guards(),
        *_record_keys(),
        *_models(),
        *_written_twice(),
        *_unknown(),
        *_ignored(),
        *_queued(),
        *_patches(),
        *_middleware(),
        *_apps(),
        *_conflicts(),
    ]


def _values() -> Iterator[CheckMessage]:
    for setting in conf.SETTINGS.values():
        wrong = conf.why_invalid(setting)
        if wrong is None:
            continue
        if setting.name == "METLOG" and conf.lacks_environment():
            yield Caution(
                wrong,
                hint="Provide it where the site is served; commands run without it.",
                id="django_metlog.W017",
            )
            continue
        yield Error(wrong, hint=_way_out(setting), id=setting.check)


def _way_out(setting: conf.Setting) -> str:
    kind = type(conf.read(setting))
    if setting.name.endswith("_GUARD") and issubclass(kind, (list, tuple)):
        return (
            f"Write {setting.name} = all_of(one, another), with "
            "from django_metlog.guards import all_of"
        )
    return f"{setting.name}: {setting.meaning}."


def _guards() -> Iterator[CheckMessage]:
    for name, guard in (
        ("METLOG_RECORD_GUARD", conf.guard),
        ("METLOG_METRICS_GUARD", conf.metrics_guard),
    ):
        setting = conf.SETTINGS[name]
        if not setting.accepts(conf.read(setting)):
            continue
        try:
            guard()
        except ImproperlyConfigured as error:
            yield Error(
                str(error),
                hint="Use a callable that takes a request, or the dotted path to one.",
                id="django_metlog.E017",
            )


def _patches() -> Iterator[CheckMessage]:
    setting = conf.SETTINGS["METLOG_PATCHES"]
    if not setting.accepts(conf.read(setting)):
        return
    try:
        conf.check_patches()
    except ImproperlyConfigured as error:
        if "METLOG_PATCHES" in str(error):  # no other setting's fault
            yield Error(
                str(error),
                hint=(
                    "Fix it, or remove it from the list; what the other patches "
                    "measure is sent."
                    if conf.failed_patches
                    else "Nothing is patched until every name in the list is right."
                ),
                id="django_metlog.E022",
            )


def _record_keys() -> Iterator[CheckMessage]:
    setting = conf.SETTINGS["METLOG_RECORD_KEYS"]
    keys = conf.read(setting)
    if not setting.accepts(keys):
        return
    for key in sorted(set(keys) - RECORDABLE):
        yield Caution(
            f"METLOG_RECORD_KEYS has {key!r}, which no browser reports.",
            hint=_instead_of(key),
            id="django_metlog.W004",
        )


def _instead_of(key: str) -> str:
    if key in _beacons.VITALS:
        return "Remove it; {% stick vitals=True %} reports web vitals."
    similar = _like(key)
    return f"Did you mean {similar!r}?" if similar else "Remove it."


def _like(key: str) -> str | None:
    """Return the key that was probably meant; people often write only its last part."""
    last = {name.rpartition(".")[2].lower(): name for name in sorted(RECORDABLE)}
    similar = difflib.get_close_matches(
        key.rpartition(".")[2].lower(), last, n=1, cutoff=0.7
    )
    if similar:
        return last[similar[0]]
    return next(iter(difflib.get_close_matches(key, RECORDABLE, n=1, cutoff=0.6)), None)


def _models() -> Iterator[CheckMessage]:
    setting = conf.SETTINGS["METLOG_MODELS"]
    labels = conf.read(setting)
    if not setting.accepts(labels):
        return
    known = {app.label.lower() for app in apps.get_app_configs()}.union(
        model._meta.label.lower()  # noqa: SLF001  # public, documented
        for model in apps.get_models(include_auto_created=True)
    )
    for label in sorted(label for label in labels if label.lower() not in known):
        similar = difflib.get_close_matches(label.lower(), known, n=1, cutoff=0.6)
        yield Caution(
            f"METLOG_MODELS has {label!r}, which is neither an app here nor a model.",
            hint=f"Did you mean {similar[0]!r}?" if similar else "Remove it.",
            id="django_metlog.W005",
        )


def _written_twice() -> Iterator[CheckMessage]:
    for setting in conf.SETTINGS.values():
        if conf.is_set_twice(setting):
            yield Caution(
                f"settings.{setting.name} and settings.{setting.alias} are one "
                f"setting; {setting.name} is used.",
                hint=f"Remove {setting.alias}, its historic name.",
                id="django_metlog.W001",
            )


def _unknown() -> Iterator[CheckMessage]:
    known = {name for setting in conf.SETTINGS.values() for name in setting.names}
    for name in conf.all_names():
        if name in known or not name.startswith(("METLOG", "STATSD")):
            continue
        similar = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        # STATSD_HOST and its like belong to other packages.
        if similar or name.startswith("METLOG_"):
            part = next(filter(name[len("METLOG_") :].lower().startswith, PARTS), None)
            if part and not similar:
                way_out = f"Write it into METLOG: METLOG = {{{part!r}: …}}"
            else:
                way_out = f"Did you mean {similar[0]}?" if similar else "Remove it."
            yield Caution(
                f"settings.{name} is not a setting of django-metlog.",
                hint=way_out,
                id="django_metlog.W002",
            )


def _ignored() -> Iterator[CheckMessage]:
    """Find keys that the library does not know, and ignores as metlog-py did."""
    if conf.why_invalid(conf.SETTINGS["METLOG"]) is not None:
        return
    for key, way_out in _metlog_dict.ignored(conf.client()):
        own = f"METLOG_{key.upper()}"
        if own in conf.SETTINGS:
            way_out = f"Write it as a setting of its own: {own} = …"
        yield Caution(
            f"settings.METLOG has {key!r}, which no client takes: it is ignored.",
            hint=way_out,
            id="django_metlog.W019",
        )


def _queued() -> Iterator[CheckMessage]:
    """Find our handler behind a queue, whose handler removes exceptions from records.
    Python 3.11 can neither look up handlers by name nor configure such a queue."""
    names: Any = getattr(logging, "getHandlerNames", tuple)()
    for name in sorted(names):
        handler: Any = logging.getHandlerByName(name)  # type: ignore[attr-defined,unused-ignore]
        listener = getattr(handler, "listener", None)
        for behind in getattr(listener, "handlers", ()):
            if isinstance(behind, StatsdHandler):
                yield Caution(
                    f"LOGGING has the handler {behind.name!r}, a StatsdHandler, behind "
                    f"{name!r}, which removes exceptions from records: it counts none.",
                    hint=(
                        "List both on the logger: "
                        f"'handlers': [{name!r}, {behind.name!r}]"
                    ),
                    id="django_metlog.W020",
                )


def _middleware() -> Iterator[CheckMessage]:
    listed = conf.middleware()
    for name in listed:
        meant = _middleware_meant(name)
        if meant is not None:
            yield Error(
                f"MIDDLEWARE lists {name!r}, which does not exist.",
                hint=f"Write {meant!r}",
                id="django_metlog.E023",
            )
            return
    for ours in OURS:
        if listed.count(ours) > 1:
            yield Error(
                f"MIDDLEWARE lists {ours} {listed.count(ours)} times.",
                hint="List it once: the second does nothing.",
                id="django_metlog.E018",
            )
    places = [listed.index(ours) for ours in OURS if ours in listed]
    if not places:
        yield Caution(
            "MIDDLEWARE lists neither of django-metlog's middlewares: no request is "
            "counted or timed.",
            hint="Put these in front of all others: " + ", ".join(map(repr, OURS)),
            id="django_metlog.W009",
        )
        return
    before = [name for name in listed[: min(places)] if name in ANSWERING]
    if before:
        yield Caution(
            f"MIDDLEWARE lists {before[0]} before {listed[min(places)]}: "
            "responses of its own are not measured.",
            hint=(
                "List django-metlog's middlewares first, or right after "
                "debug_toolbar.middleware.DebugToolbarMiddleware."
            ),
            id="django_metlog.W003",
        )


def _middleware_meant(name: object) -> str | None:
    """Return which of ours is meant by a name that does not exist."""
    if not isinstance(name, str) or name in OURS:
        return None
    last = {ours.rpartition(".")[2]: ours for ours in OURS}
    similar = difflib.get_close_matches(name.rpartition(".")[2], last, n=1, cutoff=0.8)
    if not similar and not name.startswith("django_metlog."):
        return None
    try:
        found = import_string(name)
    except ImportError:
        found = None
    if found is None or ismodule(found):
        return last[similar[0]] if similar else OURS[0]
    return None


def _apps() -> Iterator[CheckMessage]:
    if conf.is_listed("metlog"):
        yield Caution(
            "INSTALLED_APPS lists 'metlog', which is a library, not a Django app.",
            hint="Remove it; 'django_metlog' is the app.",
            id="django_metlog.W010",
        )


def _conflicts() -> Iterator[CheckMessage]:
    if conf.why_invalid(conf.SETTINGS["METLOG"]) is not None:
        return
    client = conf.client()
    sender = client.sender
    if not isinstance(sender, BaseSender):
        return
    kept = [
        metric
        for metric in catalogue.metrics()
        if not client.rules.for_(metric.name).drop
    ]
    for text in dict.fromkeys(sender.conflicts(kept)):
        yield Caution(
            f"METLOG: {text}.",
            hint=(
                "Declare it with another base, make the label a placeholder or rename "
                "it, or drop one of the metrics by a rule of 'metrics'."
            ),
            id="django_metlog.W014",
        )
