# SPDX-License-Identifier: MPL-2.0
"""The settings, read: what a site has, or the default, and the client it describes.

The only file that touches ``django.conf.settings``. A setting is read when it is asked
for and remembered until one changes (``override_settings`` and pytest-django's
``settings`` say so through Django's ``setting_changed``). Another client in
``settings.METLOG`` is noticed however it came there.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
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
    """The name under which the settings file has it; None when it has it not."""
    return next((name for name in setting.names if hasattr(settings, name)), None)


def is_set_twice(setting: Setting) -> bool:
    """Return whether the settings have it under its own name and under the alias."""
    return len(setting.names) == 2 and all(
        hasattr(settings, name) for name in setting.names
    )


def read(setting: Setting) -> Any:
    """Its value or default as it is now, sound or not."""
    name = name_in_use(setting)
    return setting.default if name is None else getattr(settings, name)


def why_invalid(setting: Setting) -> str | None:
    """Why the setting cannot work, in a sentence; None when it can."""
    name = name_in_use(setting)
    if name is None:
        if not setting.required:
            return None
        return f"settings.{setting.name} is missing; it must be {setting.expected}."
    value = read(setting)
    if setting.is_valid(value):
        return _client_fault() if setting.name == "METLOG" else None
    because = setting.because(value)
    return f"settings.{name} must be {setting.expected}, got {value!r:.200}{because}."


@cache
def get(name: str) -> Any:
    """The value of a setting, by its ``METLOG_`` name, or its default.

    Raises `ImproperlyConfigured` when the value cannot work.
    """
    _clear_on_change()
    return _validated(SETTINGS[name])


def _validated(setting: Setting) -> Any:
    wrong = why_invalid(setting)
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
    _validated(SETTINGS["METLOG"])
    return settings.METLOG


def client_or_inert() -> MetlogClient:
    """The same for code that must not fail: without one, a client that drops all."""
    found = settings_read.get("METLOG")
    if isinstance(found, MetlogClient):
        return found
    try:
        return client()
    except ImproperlyConfigured as error:
        _diagnostics.report("nothing is measured", error)
        return _inert()


@cache
def _inert() -> MetlogClient:
    return MetlogClient(None, logger="django_metlog")


def _client_fault() -> str | None:
    """Make the client if it is still a dict. Why that failed, if it did."""
    config: Any = settings.METLOG
    if isinstance(config, MetlogClient):
        return None
    if _failed and _failed[0].config is config:
        return _failed[0].why
    try:
        settings.METLOG = client_from_dict_config(config)
    except Exception as error:  # whatever a sender's own __init__ raises
        why = f"settings.METLOG cannot be made into a client: {error}{meant(config)}"
        _failed[:] = [_Failed(config, why, error)]
        return why
    return None


def lacks_environment() -> bool:
    """Return whether all that ``settings.METLOG`` lacks is where the site serves: a
    variable's value, a folder, a backend that a sender connects to when it is made."""
    return any(
        isinstance(error, (EnvironmentNotFoundError, OSError))
        for one in _failed
        for error in (one.error, one.error.__cause__)
    )


class _Failed(NamedTuple):
    """The dict of which no client could be made, and why."""

    config: Any
    why: str
    error: Exception


_failed: list[_Failed] = []
"""The last one, which is tried only once."""

_diagnostics = Diagnostics("django-metlog")


def guard() -> Callable[..., Any] | None:
    """``METLOG_RECORD_GUARD``, imported when it is a path.

    Raises `ImproperlyConfigured` when there is no such thing.
    """
    return _guard("METLOG_RECORD_GUARD")


def metrics_guard() -> Callable[..., Any] | None:
    """``METLOG_METRICS_GUARD``, likewise."""
    return _guard("METLOG_METRICS_GUARD")


def _guard(name: str) -> Callable[..., Any] | None:
    return as_guard(name, _validated(SETTINGS[name]))


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
    return {name: patch_module(name) for name in patches()}


failed_patches: dict[str, Exception] = {}
"""Modules that were to be applied, and what their ``patch()`` raised."""


def check_patches() -> None:
    """Raise `ImproperlyConfigured` for the first patch that is none, or failed."""
    patch_modules()
    for name, error in failed_patches.items():
        raise ImproperlyConfigured(f"METLOG_PATCHES: {name}.patch() raised {error!r}")


def validate_values() -> None:
    """Raise `ImproperlyConfigured` for the first setting whose value cannot work.
    Imports nothing that a setting names."""
    for name in SETTINGS:
        get(name)


def validate() -> None:
    """The same, with what they name."""
    validate_values()
    guard()
    metrics_guard()
    check_patches()


def clear_cache() -> None:
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
        return {name: getattr(settings, name, None) for name in all_names()}


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


def cached_until_changed(make: Callable[[], T]) -> Callable[[], T]:
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


def all_names() -> list[str]:
    """Every name in the settings, ours and all others."""
    return [name for name in dir(settings) if name.isupper()]


_DJANGOS = ("ROOT_URLCONF", "SECURE_PROXY_SSL_HEADER")
"""Django's settings that something here is remembered of."""

_remembered: list[Callable[[], object]] = [get.cache_clear, _failed.clear]


def _clear_on_change() -> None:
    setting_changed.connect(_clear_cache, dispatch_uid="django_metlog.conf")


def _clear_cache(*, setting: str, **kwargs: object) -> None:
    if setting in _DJANGOS or any(setting in row.names for row in SETTINGS.values()):
        clear_cache()
