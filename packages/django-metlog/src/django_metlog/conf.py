# SPDX-License-Identifier: MPL-2.0
"""The values of settings: the site's or the default, and the client they describe.

This is the only file that touches ``django.conf.settings``. A setting is read when it
is needed and cached until one changes (``override_settings`` and pytest-django's
``settings`` report that through Django's ``setting_changed``). Another client in
``settings.METLOG`` is always noticed, however it got there.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from django_metlog._imported import as_guard, patch_module
from django_metlog._known_settings import SETTINGS, Setting
from django_metlog._metlog_dict import meant
from metlog import MetlogClient
from metlog.config import client_from_dict_config
from metlog.diagnostics import Diagnostics
from metlog.exceptions import EnvironmentNotFoundError

__all__ = [
    "NOT_INSTALLED",
    "SETTINGS",
    "Setting",
    "all_names",
    "cached_until_changed",
    "check_patches",
    "clear_cache",
    "client",
    "client_or_inert",
    "everything",
    "failed_patches",
    "get",
    "guard",
    "has_same_client",
    "has_urlconf",
    "is_installed",
    "is_listed",
    "is_set_twice",
    "lacks_environment",
    "languages",
    "metrics_guard",
    "middleware",
    "name_in_use",
    "patch_modules",
    "patches",
    "read",
    "trusts",
    "urlconf_is_loaded",
    "validate",
    "validate_values",
    "why_invalid",
]

T = TypeVar("T")

DOCUMENTATION = "django-metlog's README has a table of all settings"

NOT_INSTALLED = (
    "INSTALLED_APPS must list 'django_metlog' when MIDDLEWARE lists its middlewares; "
    "without it METLOG_PATCHES and all checks are ignored. Add 'django_metlog' to "
    "INSTALLED_APPS; 'metlog' is the library below it, not an app."
)


def name_in_use(setting: Setting) -> str | None:
    """Return the name that the settings file has for it; None if it has none."""
    return next((name for name in setting.names if _is_there(name)), None)


def is_set_twice(setting: Setting) -> bool:
    """Return whether the settings have it under its own name and under the alias."""
    return len(setting.names) == 2 and all(_is_there(name) for name in setting.names)


def read(setting: Setting) -> Any:
    """Return its current value or default, valid or not."""
    name = name_in_use(setting)
    return setting.default if name is None else _as_it_is(name)


def _is_there(name: str) -> bool:
    return name in settings_read or hasattr(settings, name)


def _as_it_is(name: str) -> Any:
    """Return the value of a name that is there. Not through Django if it has been read
    already: that would inspect a lazy object, which may raise anything."""
    return settings_read[name] if name in settings_read else getattr(settings, name)


def why_invalid(setting: Setting) -> str | None:
    """Return why the setting cannot work, as a sentence; None if it can."""
    name = name_in_use(setting)
    if name is None:
        if not setting.required:
            return None
        return f"settings.{setting.name} is missing; it must be {setting.expected}."
    value = read(setting)
    if setting.accepts(value):
        return _client_fault() if setting.name == "METLOG" else None
    return f"settings.{name} {setting.fault(value)}."


@cache
def get(name: str) -> Any:
    """Return the value of a setting, by its ``METLOG_`` name, or its default.

    Raises `ImproperlyConfigured` if the value cannot work.
    """
    _clear_on_change()
    return _validated(SETTINGS[name])


def _validated(setting: Setting) -> Any:
    wrong = why_invalid(setting)
    if wrong is not None:
        raise ImproperlyConfigured(f"{wrong} ({DOCUMENTATION})")
    return read(setting)


def client() -> MetlogClient:
    """Return ``settings.METLOG``; a dict there is replaced by the client that it makes.

    Raises `ImproperlyConfigured` if there is none, or it cannot be made.
    """
    # Django's settings cache in their __dict__ what was read.
    found = settings_read.get("METLOG")
    try:
        if isinstance(found, MetlogClient):
            return found
    except Exception:  # a lazy object that cannot be made
        pass
    _validated(SETTINGS["METLOG"])
    return settings.METLOG


def client_or_inert() -> MetlogClient:
    """Return the client for code that must not fail, or one that drops everything."""
    found = settings_read.get("METLOG")
    try:
        return found if isinstance(found, MetlogClient) else client()
    except Exception as error:
        _diagnostics.report("nothing is measured", error)
        return _inert()


def has_same_client() -> bool:
    """Return whether METLOG is still the client of the last call. If not, clear what
    was cached, because no signal reports an assignment to a setting."""
    if settings_read.get("METLOG") is _last_client[0]:
        return True
    found = client_or_inert()
    if found is _last_client[0]:
        return True
    _last_client[0] = found
    clear_cache()
    return False


_last_client: list[object] = [None]


@cache
def _inert() -> MetlogClient:
    return MetlogClient(None, logger="django_metlog")


def _client_fault() -> str | None:
    """Make the client if it is still a dict. Return why that failed, or None."""
    config: Any = settings.METLOG
    if isinstance(config, MetlogClient):
        return None
    if _failed and _failed[0].config is config:
        return _failed[0].why
    try:
        settings.METLOG = client_from_dict_config(config)
    except Exception as error:  # a sender's own __init__ may raise anything
        why = f"settings.METLOG cannot be made into a client: {error}{meant(config)}"
        _failed[:] = [_Failed(config, why, error)]
        return why
    return None


def lacks_environment() -> bool:
    """Return whether ``settings.METLOG`` only lacks what a server provides: a variable,
    a folder, a backend that a sender connects to when it is made."""
    return any(
        isinstance(error, (EnvironmentNotFoundError, OSError))
        for one in _failed
        for error in (one.error, one.error.__cause__)
    )


class _Failed(NamedTuple):
    """The dict that no client could be made from, and why."""

    config: Any
    why: str
    error: Exception


_failed: list[_Failed] = []
"""The last one, so that it is tried only once."""

_diagnostics = Diagnostics("django-metlog")


def guard() -> Callable[..., Any] | None:
    """Return ``METLOG_RECORD_GUARD``, imported if it is a path.

    Raises `ImproperlyConfigured` if there is no such guard.
    """
    return _guard("METLOG_RECORD_GUARD")


def metrics_guard() -> Callable[..., Any] | None:
    """Return ``METLOG_METRICS_GUARD`` likewise."""
    return _guard("METLOG_METRICS_GUARD")


def _guard(name: str) -> Callable[..., Any] | None:
    return as_guard(name, _validated(SETTINGS[name]))


PATCH_SETTINGS = ("METLOG_PATCHES", "STATSD_MODEL_SIGNALS", "STATSD_CELERY_SIGNALS")
"""The settings that `patches` reads, by their rows in the table."""


def patches() -> list[str]:
    """Return the names of all patches, each once, with those of historic switches."""
    names = list(get("METLOG_PATCHES"))
    if get("STATSD_MODEL_SIGNALS"):
        names.append("django_metlog.patches.models")
    if get("STATSD_CELERY_SIGNALS"):
        names.append("django_metlog.patches.celery")
    return list(dict.fromkeys(names))


def patch_modules() -> dict[str, ModuleType]:
    """Import what `patches` names.

    Raises `ImproperlyConfigured` for a name that is not a module with ``patch()`` and
    ``unpatch()``.
    """
    return {name: patch_module(name) for name in patches()}


failed_patches: dict[str, Exception] = {}
"""Patches that could not be applied, and what their ``patch()`` raised."""


def check_patches() -> None:
    """Raise `ImproperlyConfigured` for the first invalid or failed patch."""
    patch_modules()
    for name, error in failed_patches.items():
        raise ImproperlyConfigured(f"METLOG_PATCHES: {name}.patch() raised {error!r}")


def validate_values() -> None:
    """Raise `ImproperlyConfigured` for the first setting whose value cannot work. Does
    not import what settings name."""
    for name in SETTINGS:
        get(name)


def validate() -> None:
    """Do the same, and import what settings name."""
    validate_values()
    guard()
    metrics_guard()
    check_patches()


def clear_cache() -> None:
    """Read every setting again, in case one was changed without notice."""
    for clear in _remembered:
        clear()


def trusts(address: object) -> bool:
    """Return whether DEBUG is on, or ``settings.INTERNAL_IPS`` has the address."""
    internal: Any = settings.INTERNAL_IPS
    if isinstance(internal, str):  # in which "27.0.0.1" would be found
        internal = [internal]
    return bool(settings.DEBUG) or (bool(address) and address in internal)


def middleware() -> list[str]:
    """Return ``settings.MIDDLEWARE``, for the check of its order."""
    return list(settings.MIDDLEWARE)


def everything() -> dict[str, Any]:
    """Return every setting by name, including Django's defaults, but without those that
    Django refuses to read, such as an empty ``SECRET_KEY``."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Django's own deprecated ones
        for name in all_names():
            with suppress(Exception):
                found[name] = _as_it_is(name)
    return found


def is_installed() -> bool:
    """Return whether the app is installed, by whatever app config."""
    return apps.is_installed("django_metlog")


def is_listed(app: str) -> bool:
    """Return whether ``settings.INSTALLED_APPS`` has exactly this text."""
    return app in settings.INSTALLED_APPS


def urlconf_is_loaded() -> bool:
    """Return whether views are loaded, so that it is known which are excluded."""
    root = settings_read.get("ROOT_URLCONF") or getattr(settings, "ROOT_URLCONF", None)
    return not isinstance(root, str) or root in sys.modules


def has_urlconf() -> bool:
    """Return whether the site has views at all."""
    return bool(getattr(settings, "ROOT_URLCONF", None))


def scheme_is_plain() -> bool:
    """Return whether a request's scheme comes from the server, not from a proxy."""
    return getattr(settings, "SECURE_PROXY_SSL_HEADER", None) is None


def languages() -> tuple[str, ...]:
    """Return the codes of ``settings.LANGUAGES``, which a URL may begin with."""
    return tuple(code for code, _ in settings.LANGUAGES)


def cached_until_changed(make: Callable[[], T]) -> Callable[[], T]:
    """Cache what ``make`` returns until one of our settings changes."""
    remembered = lru_cache(maxsize=None)(make)
    _remembered.append(remembered.cache_clear)
    return remembered


def on_change(clear: Callable[[], object]) -> None:
    """Call ``clear`` when one of our settings changes."""
    _remembered.append(clear)


settings_read: dict[str, Any] = vars(settings)
"""Settings that were read or assigned since they last changed: Django caches them here.
The attribute look-up of its lazy objects is written in Python, and would cost a request
half a microsecond."""


def all_names() -> list[str]:
    """Return every name in the settings, ours and all others."""
    return [name for name in dir(settings) if name.isupper()]


_DJANGOS = ("ROOT_URLCONF", "SECURE_PROXY_SSL_HEADER")
"""Django's own settings that cached values depend on."""

_remembered: list[Callable[[], object]] = [get.cache_clear, _failed.clear]


def _clear_on_change() -> None:
    setting_changed.connect(_clear_cache, dispatch_uid="django_metlog.conf")


def _clear_cache(*, setting: str, **kwargs: object) -> None:
    if setting in _DJANGOS or any(setting in row.names for row in SETTINGS.values()):
        clear_cache()
