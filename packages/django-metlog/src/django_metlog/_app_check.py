# SPDX-License-Identifier: MPL-2.0
"""What ``manage.py check`` says when ``INSTALLED_APPS`` lacks the app.

All other checks are the app's, and do not run then. These come from what a site uses
of it all the same: its URLs and its logging handler, which Django finds without it.
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.urls import URLPattern

from django_metlog import conf

__all__ = ["of_app", "watch_handler"]


def of_app(pattern: URLPattern) -> URLPattern:
    """Return the same pattern, of which Django's check of the URLconf asks this too."""
    return _OfApp(pattern.pattern, pattern.callback, pattern.default_args, pattern.name)


def watch_handler() -> None:
    """Have it checked, because there is a handler of ours now."""
    register(_check_handler, "metlog")


class _OfApp(URLPattern):
    def check(self) -> list[CheckMessage]:
        found: list[CheckMessage] = super().check()
        return [*found, *_missing(f"the URLconf has {self.name}")]


def _check_handler(**kwargs: Any) -> list[CheckMessage]:
    return _missing("LOGGING has a StatsdHandler")


def _missing(because: str) -> list[CheckMessage]:
    if conf.is_installed():
        return []
    hint = (
        "Add 'django_metlog' to INSTALLED_APPS; 'metlog' is the library below it, "
        "not an app."
    )
    expected = f"{because}: expected 'django_metlog' in INSTALLED_APPS, got none; "
    if any(str(name).startswith("django_metlog.") for name in conf.middleware()):
        return [
            Error(
                f"{expected}its middlewares refuse to start without it.",
                hint=hint,
                id="django_metlog.E025",
            )
        ]
    return [
        Caution(
            f"{expected}nothing is patched or checked without it.",
            hint=hint,
            id="django_metlog.W018",
        )
    ]
