# SPDX-License-Identifier: MPL-2.0
"""The panel's historic address; the panel is a package of its own now."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

try:
    from metlog_toolbar.panel import MetlogPanel as StatsdPanel
except ModuleNotFoundError as _error:
    if (_error.name or "").partition(".")[0] not in ("debug_toolbar", "metlog_toolbar"):
        raise
    raise ImproperlyConfigured(
        "django_metlog.panel.StatsdPanel is the panel of metlog-toolbar, which is not "
        "installed: pip install metlog-toolbar, and add 'metlog_toolbar' to "
        "INSTALLED_APPS."
    ) from _error

__all__ = ["StatsdPanel"]
