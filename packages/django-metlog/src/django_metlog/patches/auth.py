# SPDX-License-Identifier: MPL-2.0
"""Log-ins, failed log-ins and log-outs, counted from Django's own signals.

Only the number is sent: nobody's name, address or credentials.
"""

from __future__ import annotations

from typing import Any

from django_metlog.catalogue import AUTH_LOGIN, AUTH_LOGIN_FAILED, AUTH_LOGOUT
from django_metlog.patches._sending import count

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Listen to ``django.contrib.auth``."""
    from django.contrib.auth import signals

    signals.user_logged_in.connect(_logged_in, dispatch_uid=__name__)
    signals.user_login_failed.connect(_login_failed, dispatch_uid=__name__)
    signals.user_logged_out.connect(_logged_out, dispatch_uid=__name__)


def unpatch() -> None:
    """Stop listening."""
    from django.contrib.auth import signals

    for signal in (
        signals.user_logged_in,
        signals.user_login_failed,
        signals.user_logged_out,
    ):
        signal.disconnect(dispatch_uid=__name__)


def _logged_in(**kwargs: Any) -> None:
    count(AUTH_LOGIN)


def _login_failed(**kwargs: Any) -> None:
    count(AUTH_LOGIN_FAILED)


def _logged_out(user: object = None, **kwargs: Any) -> None:
    if user is not None:  # if None, nobody was logged in
        count(AUTH_LOGOUT)
