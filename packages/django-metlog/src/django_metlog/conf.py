# SPDX-License-Identifier: MPL-2.0
"""Every setting in one table, from which reading, checks and the reference come.

The only file that touches ``django.conf.settings``. A setting is read when it is asked
for and remembered until one changes (``override_settings`` and pytest-django's
``settings`` say so through Django's ``setting_changed``). Another client in
``settings.METLOG`` is noticed however it came there.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from metlog import MetlogClient
from metlog.config import client_from_dict_config
from metlog.diagnostics import Diagnostics

__all__ = [
    "NOT_INSTALLED",
    "SETTINGS",
    "Setting",
    "both",
    "chosen",
    "client",
    "client_or_inert",
    "everything",
    "fault",
    "forget",
    "get",
    "guard",
    "has_urlconf",
    "is_installed",
    "is_listed",
    "languages",
    "metrics_guard",
    "middleware",
    "patch_modules",
    "patches",
    "read",
    "trusts",
    "until_changed",
    "urlconf_is_loaded",
    "validate",
    "written",
]

T = TypeVar("T")

DOCUMENTATION = "django-metlog's README has a table of all settings"

NOT_INSTALLED = (
    "INSTALLED_APPS must list 'django_metlog' when MIDDLEWARE lists its middlewares; "
    "without it METLOG_PATCHES and all checks are ignored. Add 'django_metlog' to "
    "INSTALLED_APPS; 'metlog' is the library below it and no app."
)

OURS = (
    "auth, cache, celery, commands, db, http, mail, models, pool, runtime, tasks or "
    "templates of django_metlog.patches"
)


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    name: str
    default: Any
    wanted: str
    """What a value must be, in words that finish the sentence "must be …"."""
    fits: Callable[[Any], bool]
    meaning: str
    check: str
    """The id of the system check for a bad value."""
    alias: str | None = None
    """The historic name, equal in all but age; the setting's own name wins."""
    required: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names it may have in a settings file, the one that wins first."""
        return (self.name,) if self.alias is None else (self.name, self.alias)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_texts(value: object) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(
        isinstance(item, str) and item for item in value
    )


def _is_closed_lists(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and name and _is_texts(values)
        for name, values in value.items()
    )


def _is_callable_or_path(value: object) -> bool:
    if isinstance(value, str):
        return all(part.isidentifier() for part in value.split(".")) and "." in value
    return value is None or callable(value)


def _is_header(value: object) -> bool:
    return value is None or (
        isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9-]+", value) is not None
    )


def _is_question(value: object) -> bool:
    # A coroutine would always be true.
    return callable(value) and not iscoroutinefunction(value)


def _is_exclusion(value: object) -> bool:
    if callable(value):
        return _is_question(value)
    if not isinstance(value, (list, tuple)):
        return False
    try:
        for item in value:
            re.compile(item)
    except (re.error, TypeError):
        return False
    return True


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            name="METLOG",
            default=None,
            required=True,
            wanted=(
                "a dict as metlog.config.client_from_dict_config takes it, such as "
                "{'sender': {'class': 'metlog.senders.StatsdSender'}}, or a client"
            ),
            fits=lambda value: isinstance(value, (MetlogClient, Mapping)),
            meaning=(
                "the client that everything is sent through, or the dict that it is "
                "made from at start-up; `from django_metlog import client` gives it"
            ),
            check="django_metlog.E001",
        ),
        Setting(
            name="METLOG_PATCHES",
            alias="STATSD_PATCHES",
            default=[],
            wanted="a list of dotted module names such as 'django_metlog.patches.db'",
            fits=_is_texts,
            meaning="what else to measure: modules whose `patch()` runs at start-up",
            check="django_metlog.E002",
        ),
        Setting(
            name="METLOG_RECORD_KEYS",
            alias="STATSD_RECORD_KEYS",
            default=[
                "window.performance.timing.domComplete",
                "window.performance.timing.domInteractive",
                "window.performance.timing.domLoading",
                "window.performance.navigation.redirectCount",
                "window.performance.navigation.type",
            ],
            wanted="a list of keys such as 'window.performance.timing.domComplete'",
            fits=_is_texts,
            meaning="which of the browser's keys are recorded",
            check="django_metlog.E003",
        ),
        Setting(
            name="METLOG_RECORD_GUARD",
            alias="STATSD_RECORD_GUARD",
            default=None,
            wanted="a callable, a dotted path to one, or None",
            fits=_is_callable_or_path,
            meaning=(
                "called with each request to the record view, sync or async; "
                "`None` lets the request through, a response refuses it"
            ),
            check="django_metlog.E004",
        ),
        Setting(
            name="METLOG_METRICS_GUARD",
            default=None,
            wanted="a callable, a dotted path to one, or None",
            fits=_is_callable_or_path,
            meaning=(
                "called with each request to the metrics view, sync or async; `None` "
                "as a result lets the request through, a response refuses it. Without "
                "a guard only `DEBUG` and addresses in `INTERNAL_IPS` may read "
                "metrics, and no request that came through a proxy"
            ),
            check="django_metlog.E031",
        ),
        Setting(
            name="METLOG_VIEW_TIMER_DETAILS",
            alias="STATSD_VIEW_TIMER_DETAILS",
            default=True,
            wanted="True or False",
            fits=_is_flag,
            meaning=(
                "send all three view timers (view, module, method), or only the first"
            ),
            check="django_metlog.E005",
        ),
        Setting(
            name="METLOG_VIEW_NAMES",
            default="module",
            wanted="'module', 'url_name' or 'route'",
            fits=_one_of("module", "url_name", "route"),
            meaning="what views are called: `shop.views.index`, URL name, or route",
            check="django_metlog.E006",
        ),
        Setting(
            name="METLOG_AUTH_COUNTS",
            default="used",
            wanted="'used', 'always' or 'off'",
            fits=_one_of("used", "always", "off"),
            meaning=(
                "when `response.auth.<status>` is counted: where the request looked at "
                "its user anyway; always, with the queries and the `Vary: Cookie` that "
                "this costs; never"
            ),
            check="django_metlog.E007",
        ),
        Setting(
            name="METLOG_EXCLUDE",
            default=[],
            wanted="a list of regular expressions, or a sync function of the request",
            fits=_is_exclusion,
            meaning=(
                "requests that are not measured: those whose path (with its leading "
                "slash) one of the expressions finds, or for which the function is true"
            ),
            check="django_metlog.E008",
        ),
        Setting(
            name="STATSD_MODEL_SIGNALS",
            default=False,
            wanted="True or False",
            fits=_is_flag,
            meaning="historic switch for the patch `django_metlog.patches.models`",
            check="django_metlog.E009",
        ),
        Setting(
            name="STATSD_CELERY_SIGNALS",
            default=False,
            wanted="True or False",
            fits=_is_flag,
            meaning="historic switch for the patch `django_metlog.patches.celery`",
            check="django_metlog.E010",
        ),
        Setting(
            name="METLOG_MODELS",
            default=[],
            wanted="a list of labels such as 'shop' or 'shop.order'",
            fits=_is_texts,
            meaning="the models that `django_metlog.patches.models` counts; empty: all",
            check="django_metlog.E011",
        ),
        Setting(
            name="METLOG_VIEW_NAMES_MAX",
            default=1000,
            wanted="a whole number above 0",
            fits=_is_count,
            meaning="how many distinct view names are sent; the rest become `other`",
            check="django_metlog.E012",
        ),
        Setting(
            name="METLOG_RECORD_BY_VIEW",
            default=False,
            wanted="True or False",
            fits=_is_flag,
            meaning=(
                "send browser timings under the name of the page's view as well, which "
                "the browser learns from a `Server-Timing` header"
            ),
            check="django_metlog.E013",
        ),
        Setting(
            name="METLOG_RECORD_MAX_BYTES",
            # As much as browsers let sendBeacon carry. boomerang sends tens of
            # kilobytes when its ResourceTiming plugin is on.
            default=65536,
            wanted="a whole number above 0",
            fits=_is_count,
            meaning="the longest body that the record view reads, in bytes",
            check="django_metlog.E014",
        ),
        Setting(
            name="METLOG_RECORD_FIELDS",
            default={},
            wanted="a dict of names, each with a list of its values: "
            "{'release': ['1.2', '1.3']}",
            fits=_is_closed_lists,
            meaning=(
                "which of the fields that a site adds to its reports are recorded, and "
                "which values of them; anything else is dropped"
            ),
            check="django_metlog.E030",
        ),
        Setting(
            name="METLOG_SERVER_TIMING",
            default=False,
            wanted="True, False or a sync function of the request",
            fits=lambda value: _is_flag(value) or _is_question(value),
            meaning=(
                "tell the browser what a request took, in a `Server-Timing` header; "
                "a function decides for each request, because it shows internals"
            ),
            check="django_metlog.E015",
        ),
        Setting(
            name="METLOG_QUEUE_TIME",
            default=False,
            wanted="True or False",
            fits=_is_flag,
            meaning=(
                "time how long a request waited before Django, from `X-Request-Start`; "
                "only with a proxy that sets the header, for clients can send it too"
            ),
            check="django_metlog.E016",
        ),
        Setting(
            name="METLOG_REQUEST_ID",
            default=None,
            wanted="the name of a header, such as 'X-Request-ID', or None",
            fits=_is_header,
            meaning=(
                "the request header whose value becomes the field `request_id` of "
                "messages sent during the request; metrics do not get it"
            ),
            check="django_metlog.E019",
        ),
        Setting(
            name="METLOG_HTTP_HOSTS",
            default=[],
            wanted="a list of host names such as 'api.example.com'",
            fits=_is_texts,
            meaning=(
                "the hosts that `django_metlog.patches.http` names; all others are "
                "`other`"
            ),
            check="django_metlog.E020",
        ),
        Setting(
            name="METLOG_HISTORIC_NAMES",
            default=False,
            wanted="True or False",
            fits=_is_flag,
            meaning=(
                "send statements, models and Celery's tasks under the dotted names "
                "that django-statsd-mozilla 0.4 gave them"
            ),
            check="django_metlog.E021",
        ),
    )
}


def chosen(setting: Setting) -> str | None:
    """The name under which the settings file has it; None when it has it not."""
    return next((name for name in setting.names if hasattr(settings, name)), None)


def both(setting: Setting) -> bool:
    """Return whether the settings have it under its own name and under the alias."""
    return len(setting.names) == 2 and all(
        hasattr(settings, name) for name in setting.names
    )


def read(setting: Setting) -> Any:
    """Its value or default as it is now, sound or not."""
    name = chosen(setting)
    return setting.default if name is None else getattr(settings, name)


def fault(setting: Setting) -> str | None:
    """Why the setting cannot work, in a sentence; None when it can."""
    name = chosen(setting)
    if name is None:
        if not setting.required:
            return None
        return f"settings.{setting.name} is missing; it must be {setting.wanted}."
    value = read(setting)
    if setting.fits(value):
        return _client_fault() if setting.name == "METLOG" else None
    return f"settings.{name} must be {setting.wanted}; got {value!r:.200}."


@cache
def get(name: str) -> Any:
    """The value of a setting, by its ``METLOG_`` name, or its default.

    Raises `ImproperlyConfigured` when the value cannot work.
    """
    _forget_on_change()
    return _sound(SETTINGS[name])


def _sound(setting: Setting) -> Any:
    wrong = fault(setting)
    if wrong is not None:
        raise ImproperlyConfigured(f"{wrong} ({DOCUMENTATION})")
    return read(setting)


def client() -> MetlogClient:
    """``settings.METLOG``; a dict there is made into a client, which takes its place.

    Raises `ImproperlyConfigured` when there is none, or when it cannot be made.
    """
    # Django's settings remember in their __dict__ what was asked for.
    found = settings_read.get("METLOG")
    if isinstance(found, MetlogClient):
        return found
    _sound(SETTINGS["METLOG"])
    return settings.METLOG


def client_or_inert() -> MetlogClient:
    """The same for code that must not fail: without one, a client that drops all."""
    found = settings_read.get("METLOG")
    if isinstance(found, MetlogClient):
        return found
    try:
        return client()
    except ImproperlyConfigured as error:
        _trouble.report("nothing is measured", error)
        return _inert()


@cache
def _inert() -> MetlogClient:
    return MetlogClient(None, logger="django_metlog")


def _client_fault() -> str | None:
    """Make the client if it is still a dict. Why that failed, if it did."""
    config: Any = settings.METLOG
    if isinstance(config, MetlogClient):
        return None
    if _failed and _failed[0][0] is config:
        return _failed[0][1]
    try:
        settings.METLOG = client_from_dict_config(config)
    except Exception as error:  # whatever a sender's own __init__ raises
        why = f"settings.METLOG cannot be made into a client: {error}"
        _failed[:] = [(config, why)]
        return why
    return None


_failed: list[tuple[Any, str]] = []
"""The last dict of which no client could be made, and why: tried only once."""

_trouble = Diagnostics("django-metlog")


def guard() -> Callable[..., Any] | None:
    """``METLOG_RECORD_GUARD``, imported when it is a path.

    Raises `ImproperlyConfigured` when there is no such thing.
    """
    return _guard("METLOG_RECORD_GUARD")


def metrics_guard() -> Callable[..., Any] | None:
    """``METLOG_METRICS_GUARD``, likewise."""
    return _guard("METLOG_METRICS_GUARD")


def _guard(name: str) -> Callable[..., Any] | None:
    found = _sound(SETTINGS[name])
    if isinstance(found, str):
        path = found
        try:
            found = import_string(path)
        except ImportError as error:
            raise ImproperlyConfigured(f"{name}: {error}.") from error
        if not callable(found):
            raise ImproperlyConfigured(f"{name}: {path} is not callable.")
    if found is not None:
        _check_guard(name, found)
    return cast("Callable[..., Any] | None", found)


def _check_guard(name: str, guard: Any) -> None:
    makes_one = getattr(guard, "makes_a_guard", None)
    if isinstance(makes_one, str):
        raise ImproperlyConfigured(
            f"{name} must be a guard, got the function {guard.__name__} "
            f"that makes one; write {name} = {makes_one}"
        )
    if isinstance(guard, type):
        raise ImproperlyConfigured(
            f"{name} must be a guard, got the class {guard.__name__}; "
            f"write {name} = {guard.__name__}()"
        )
    try:
        inspect.signature(guard).bind("request")
    except TypeError as error:
        raise ImproperlyConfigured(
            f"{name} must take the request, got {guard!r:.100} "
            f"({error}); write def guard(request): return None"
        ) from error
    except ValueError:
        pass  # some callables written in C have no signature


def patches() -> list[str]:
    """The modules to patch with, once each, those of the historic switches included."""
    names = list(get("METLOG_PATCHES"))
    if get("STATSD_MODEL_SIGNALS"):
        names.append("django_metlog.patches.models")
    if get("STATSD_CELERY_SIGNALS"):
        names.append("django_metlog.patches.celery")
    return list(dict.fromkeys(names))


def patch_modules() -> dict[str, ModuleType]:
    """What `patches` names, imported.

    Raises `ImproperlyConfigured` for a name that is no module with ``patch()`` and
    ``unpatch()``.
    """
    return {name: _patch_module(name) for name in patches()}


def _patch_module(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"METLOG_PATCHES: {name!r} cannot be imported ({error}); expected {OURS}, "
            "or a module of yours with patch() and unpatch()."
        ) from error
    for function in ("patch", "unpatch"):
        if not callable(getattr(module, function, None)):
            raise ImproperlyConfigured(
                f"METLOG_PATCHES: {name!r} has no {function}(); expected {OURS}, "
                "or a module of yours with patch() and unpatch()."
            )
    return module


def validate() -> None:
    """Raise `ImproperlyConfigured` for the first setting that cannot work."""
    for name in SETTINGS:
        get(name)
    guard()
    metrics_guard()
    patch_modules()


def forget() -> None:
    """Read every setting anew, when something changed one without saying so."""
    for clear in _remembered:
        clear()


def trusts(address: object) -> bool:
    """Return whether DEBUG is on, or ``settings.INTERNAL_IPS`` has the address."""
    internal: Any = settings.INTERNAL_IPS
    if isinstance(internal, str):  # of which "27.0.0.1" would be a part
        internal = [internal]
    return bool(settings.DEBUG) or (bool(address) and address in internal)


def middleware() -> list[str]:
    """``settings.MIDDLEWARE``, for the check of its order."""
    return list(settings.MIDDLEWARE)


def everything() -> dict[str, Any]:
    """Every setting by its name, Django's defaults among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django's own deprecated ones
        return {name: getattr(settings, name, None) for name in written()}


def is_installed() -> bool:
    """Return whether the app is among the installed ones, by whatever config."""
    return apps.is_installed("django_metlog")


def is_listed(app: str) -> bool:
    """Return whether ``settings.INSTALLED_APPS`` has it, as it is written."""
    return app in settings.INSTALLED_APPS


def urlconf_is_loaded() -> bool:
    """Return whether the views are known, and with them what is excluded."""
    root = settings_read.get("ROOT_URLCONF") or getattr(settings, "ROOT_URLCONF", None)
    return not isinstance(root, str) or root in sys.modules


def has_urlconf() -> bool:
    """Return whether the site has views at all."""
    return bool(getattr(settings, "ROOT_URLCONF", None))


def scheme_is_plain() -> bool:
    """Return whether a request's scheme is what the server says: no proxy's word."""
    return getattr(settings, "SECURE_PROXY_SSL_HEADER", None) is None


def languages() -> tuple[str, ...]:
    """The codes of ``settings.LANGUAGES``, of which a URL may begin with one."""
    return tuple(code for code, _ in settings.LANGUAGES)


def until_changed(make: Callable[[], T]) -> Callable[[], T]:
    """Remember what ``make`` made of the settings, until one of ours changes."""
    remembered = lru_cache(maxsize=None)(make)
    _remembered.append(remembered.cache_clear)
    return remembered


def on_change(clear: Callable[[], object]) -> None:
    """Call ``clear`` when one of our settings changes."""
    _remembered.append(clear)


settings_read: dict[str, Any] = vars(settings)
"""Settings that were read since they last changed: Django keeps them there, and so do
assignments. The attribute look-up of its lazy objects is written in Python and costs a
request half a microsecond."""


def written() -> list[str]:
    """Every name in the settings, ours and all others."""
    return [name for name in dir(settings) if name.isupper()]


_DJANGOS = ("ROOT_URLCONF", "SECURE_PROXY_SSL_HEADER")
"""Django's settings that something here is remembered of."""

_remembered: list[Callable[[], object]] = [get.cache_clear, _failed.clear]


def _forget_on_change() -> None:
    setting_changed.connect(_forget, dispatch_uid="django_metlog.conf")


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting in _DJANGOS or any(setting in row.names for row in SETTINGS.values()):
        forget()
