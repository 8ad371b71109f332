# SPDX-License-Identifier: MPL-2.0
"""Start-up: checks, the catalogue, and the patches that the settings name."""

from __future__ import annotations

import importlib
from types import ModuleType

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from django_metlog import conf

__all__ = ["DjangoMetlogConfig", "apply_patches"]

OURS = (
    "db, cache, templates, models, tasks, celery or commands of django_metlog.patches"
)


class DjangoMetlogConfig(AppConfig):
    """Put ``django_metlog`` into ``INSTALLED_APPS``."""

    name = "django_metlog"
    verbose_name = "Metlog"

    def ready(self) -> None:
        """Raise `ImproperlyConfigured` for what cannot work: not every server checks.

        Queries nothing and imports no URLconf.
        """
        from django_metlog import catalogue, checks  # noqa: F401  # declares itself

        conf.client()
        checks.register_checks()
        apply_patches()
        setting_changed.connect(_patches_changed, dispatch_uid="django_metlog.apps")


_applied: dict[str, ModuleType] = {}


def apply_patches() -> None:
    """Make what is patched equal to what the settings name. Twice is as good as once.

    Raises `ImproperlyConfigured` for a name that is no module with ``patch()`` and
    ``unpatch()``; nothing is changed then.
    """
    wanted = {name: _patch_module(name) for name in conf.patches()}
    for name in list(_applied):
        if name not in wanted:
            _applied.pop(name).unpatch()
    for name, module in wanted.items():
        if name not in _applied:
            module.patch()
            _applied[name] = module


def _patch_module(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"METLOG_PATCHES: {name!r} cannot be imported ({error}); "
            f"wanted are {OURS}, or a module of yours with patch() and unpatch()."
        ) from error
    for function in ("patch", "unpatch"):
        if not callable(getattr(module, function, None)):
            raise ImproperlyConfigured(
                f"METLOG_PATCHES: {name!r} has no {function}(); "
                f"wanted are {OURS}, or a module of yours with patch() and unpatch()."
            )
    return module


def _patches_changed(*, setting: str, **kwargs: object) -> None:
    rows = ("METLOG_PATCHES", "STATSD_MODEL_SIGNALS", "STATSD_CELERY_SIGNALS")
    if any(setting in conf.SETTINGS[row].names for row in rows):
        apply_patches()
