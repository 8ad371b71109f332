# SPDX-License-Identifier: MPL-2.0
"""Start-up: checks, the catalogue, and the patches that the settings name."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import ModuleType

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from django_metlog import conf
from metlog.diagnostics import Diagnostics

__all__ = ["DjangoMetlogConfig", "apply_patches"]


class DjangoMetlogConfig(AppConfig):
    """Put ``django_metlog`` into ``INSTALLED_APPS``."""

    name = "django_metlog"
    verbose_name: str = "Metlog"

    def ready(self) -> None:
        """Make the client, apply the patches, register the checks. Never raises.

        Settings that cannot work are reported by the checks, and by what serves the
        site: the middlewares, `flush_at_shutdown` and a Celery worker refuse to start.
        Commands still run, including ``check`` and ``collectstatic``, but measure
        nothing. Makes no queries and imports no URLconf.
        """
        from django_metlog import catalogue, checks  # noqa: F401  # declares metrics

        checks.register_checks()
        with suppress(ImproperlyConfigured):
            conf.validate_values()
            apply_patches()
        if "celery" in sys.modules:
            with suppress(Exception):  # another module of that name
                from django_metlog.patches.celery import refuse_wrong_settings

                refuse_wrong_settings()
        setting_changed.connect(_patches_changed, dispatch_uid="django_metlog.apps")


_applied: dict[str, ModuleType] = {}


def apply_patches() -> None:
    """Patch exactly what the settings name. Idempotent.

    Raises `ImproperlyConfigured`, and changes nothing, for a name that is not a module
    with ``patch()`` and ``unpatch()``. A patch that fails is remembered: a check
    reports it, and what serves the site refuses to start.
    """
    wanted = conf.patch_modules()
    conf.failed_patches.clear()
    for name in list(_applied):
        if name not in wanted:
            module = _applied.pop(name)
            try:
                module.unpatch()
            except Exception as error:
                _diagnostics.report(f"{name}.unpatch() failed", error)
    for name, module in wanted.items():
        if name not in _applied:
            try:
                module.patch()
            except Exception as error:
                conf.failed_patches[name] = error
                _diagnostics.report(f"{name}.patch() failed", error)
            else:
                _applied[name] = module


_diagnostics = Diagnostics("django-metlog")


def _patches_changed(*, setting: str, **kwargs: object) -> None:
    if any(setting in conf.SETTINGS[row].names for row in conf.PATCH_SETTINGS):
        apply_patches()
