# SPDX-License-Identifier: MPL-2.0
"""All settings in one table: names, allowed values and meanings.

`conf` reads the settings, and the checks and the reference are made from the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import iscoroutinefunction

from django_metlog._metlog_dict import no_dict
from metlog import MetlogClient
from metlog.wire.text import outline

__all__ = ["SETTINGS", "Setting"]


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    name: str
    default: Any
    expected: str
    """What a value must be, as the end of the sentence "must be …"."""
    is_valid: Callable[[Any], bool]
    meaning: str
    check: str
    """The id of the system check for a bad value."""
    because: Callable[[Any], str] = lambda value: ""
    """Returns what to add about a value that does not fit."""
    shown: Callable[[Any], str] = repr
    """Returns such a value for the error about it."""
    alias: str | None = None
    """The historic name for the same setting; the setting's own name wins."""
    required: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names it may have in a settings file; the first one wins."""
        return (self.name,) if self.alias is None else (self.name, self.alias)

    def accepts(self, value: object) -> bool:
        """Return whether the value can work; one that raises when it is inspected, such
        as a lazy object that cannot be made, cannot."""
        try:
            return self.is_valid(value)
        except Exception:
            return False

    def fault(self, value: object) -> str:
        """Return what is wrong with a value that it does not accept, as the end of a
        sentence."""
        try:
            self.is_valid(value)  # what it raises says more than what it looks like
            got = f"{self.shown(value):.200}{self.because(value)}"
        except Exception as error:
            got = f"something that raises {error!r:.200}"
        return f"must be {self.expected}, got {got}"


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_texts(value: object) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(
        isinstance(item, str) and item for item in value
    )


def _is_hosts(value: Any) -> bool:
    """Return whether it lists names and addresses as `urlsplit` has them: without
    scheme, port or path."""
    return _is_texts(value) and all(
        re.fullmatch(r"[^\s/:@\[\]]+|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*", host)
        for host in value
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


SECRETS = (
    *("api-key", "apikey", "authorization", "cookie", "credential", "csrf"),
    *("passwd", "password", "secret", "token"),
)
"""What is in the names of headers that must not get into messages."""


def _guard_shown(value: object) -> str:
    """Return what may be a path, and nothing that may be the token itself."""
    if isinstance(value, str):
        return repr(value) if "." in value else "text without a dot (not shown)"
    return f"an object of type {type(value).__name__!r}"


def _is_header(value: object) -> bool:
    return value is None or (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z0-9-]+", value) is not None
        and not _is_secret(value)
    )


def _is_secret(header: str) -> bool:
    return any(word in header.lower() for word in SECRETS)


def _no_header(value: object) -> str:
    """Return the header that is meant, if it is written as ``META`` has it."""
    if not isinstance(value, str):
        return ""
    words = value.removeprefix("HTTP_").replace("_", "-").upper().split("-")
    meant = "-".join(word if len(word) < 3 else word.capitalize() for word in words)
    if _is_secret(meant):
        return ": a secret must not get into messages"
    return f"; write {meant!r}" if any(words) and _is_header(meant) else ""


def _is_question(value: object) -> bool:
    # A coroutine object would always be true.
    return callable(value) and not any(
        iscoroutinefunction(call) for call in (value, type(value).__call__)
    )


def _is_exclusion(value: object) -> bool:
    if callable(value):
        return _is_question(value)
    return isinstance(value, (list, tuple)) and not _no_expression(value)


def _no_expression(value: Any) -> str:
    """Return why one of these is not a regular expression."""
    for item in value if isinstance(value, (list, tuple)) else ():
        try:
            re.compile(item).search("")
        except re.error as error:
            return f" ({item!r}: {error})"
        except TypeError:
            return f" ({item!r} is not text)"
    return ""


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            name="METLOG",
            default=None,
            required=True,
            expected=(
                "a dict as metlog.config.client_from_dict_config takes it, such as "
                "{'sender': {'class': 'metlog.senders.StatsdSender'}}, or a client"
            ),
            is_valid=lambda value: isinstance(value, (MetlogClient, Mapping)),
            because=no_dict,
            shown=outline,
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
            expected="a list of dotted module names such as 'django_metlog.patches.db'",
            is_valid=_is_texts,
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
            expected="a list of keys such as 'window.performance.timing.domComplete'",
            is_valid=_is_texts,
            meaning="which of the browser's keys are recorded",
            check="django_metlog.E003",
        ),
        Setting(
            name="METLOG_RECORD_GUARD",
            alias="STATSD_RECORD_GUARD",
            default=None,
            expected="a callable, a dotted path to one, or None",
            is_valid=_is_callable_or_path,
            shown=_guard_shown,
            meaning=(
                "called with each request to the record view, sync or async; "
                "`None` lets the request through, a response refuses it"
            ),
            check="django_metlog.E004",
        ),
        Setting(
            name="METLOG_METRICS_GUARD",
            default=None,
            expected="a callable, a dotted path to one, or None",
            is_valid=_is_callable_or_path,
            shown=_guard_shown,
            meaning=(
                "called with each request to the metrics view, sync or async; `None` "
                "as a result lets the request through, a response refuses it. Without "
                "a guard only addresses in `INTERNAL_IPS` may read metrics, or anybody "
                "with `DEBUG`, but no request that came through a proxy"
            ),
            check="django_metlog.E031",
        ),
        Setting(
            name="METLOG_VIEW_TIMER_DETAILS",
            alias="STATSD_VIEW_TIMER_DETAILS",
            default=True,
            expected="True or False",
            is_valid=_is_flag,
            meaning=(
                "send all three view timers (view, module, method), or only the first"
            ),
            check="django_metlog.E005",
        ),
        Setting(
            name="METLOG_VIEW_NAMES",
            default="module",
            expected="'module', 'url_name' or 'route'",
            is_valid=_one_of("module", "url_name", "route"),
            meaning="what views are called: `shop.views.index`, URL name, or route",
            check="django_metlog.E006",
        ),
        Setting(
            name="METLOG_AUTH_COUNTS",
            default="used",
            expected="'used', 'always' or 'off'",
            is_valid=_one_of("used", "always", "off"),
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
            expected=(
                "a list of regular expressions such as r'^/health$', or a sync "
                "function of the request"
            ),
            is_valid=_is_exclusion,
            because=_no_expression,
            meaning=(
                "requests that are not measured: those whose path (with its leading "
                "slash) matches one of the expressions anywhere, or for which the "
                "function returns true"
            ),
            check="django_metlog.E008",
        ),
        Setting(
            name="STATSD_MODEL_SIGNALS",
            default=False,
            expected="True or False",
            is_valid=_is_flag,
            meaning="historic switch for the patch `django_metlog.patches.models`",
            check="django_metlog.E009",
        ),
        Setting(
            name="STATSD_CELERY_SIGNALS",
            default=False,
            expected="True or False",
            is_valid=_is_flag,
            meaning="historic switch for the patch `django_metlog.patches.celery`",
            check="django_metlog.E010",
        ),
        Setting(
            name="METLOG_MODELS",
            default=[],
            expected="a list of labels such as 'shop' or 'shop.order'",
            is_valid=_is_texts,
            meaning="the models that `django_metlog.patches.models` counts; empty: all",
            check="django_metlog.E011",
        ),
        Setting(
            name="METLOG_VIEW_NAMES_MAX",
            default=1000,
            expected="a whole number above 0",
            is_valid=_is_count,
            meaning="how many distinct view names are sent; the rest become `other`",
            check="django_metlog.E012",
        ),
        Setting(
            name="METLOG_RECORD_BY_VIEW",
            default=False,
            expected="True or False",
            is_valid=_is_flag,
            meaning=(
                "send browser timings under the name of the page's view as well, which "
                "the browser learns from a `Server-Timing` header"
            ),
            check="django_metlog.E013",
        ),
        Setting(
            name="METLOG_RECORD_MAX_BYTES",
            # The most that browsers send by sendBeacon. boomerang sends tens of
            # kilobytes if its ResourceTiming plugin is on.
            default=65536,
            expected="a whole number above 0",
            is_valid=_is_count,
            meaning="the longest body that the record view reads, in bytes",
            check="django_metlog.E014",
        ),
        Setting(
            name="METLOG_RECORD_FIELDS",
            default={},
            expected="a dict of names, each with a list of its values: "
            "{'release': ['1.2', '1.3']}",
            is_valid=_is_closed_lists,
            meaning=(
                "which of the fields that a site adds to its reports are recorded, and "
                "which values of them; anything else is dropped"
            ),
            check="django_metlog.E030",
        ),
        Setting(
            name="METLOG_SERVER_TIMING",
            default=False,
            expected="True, False or a sync function of the request",
            is_valid=lambda value: _is_flag(value) or _is_question(value),
            meaning=(
                "tell the browser how long a request took in a `Server-Timing` header; "
                "as this shows internals, a function can decide for each request"
            ),
            check="django_metlog.E015",
        ),
        Setting(
            name="METLOG_QUEUE_TIME",
            default=False,
            expected="True or False",
            is_valid=_is_flag,
            meaning=(
                "time how long a request waited before Django, from `X-Request-Start`; "
                "only with a proxy that sets the header, as clients can send it, too"
            ),
            check="django_metlog.E016",
        ),
        Setting(
            name="METLOG_REQUEST_ID",
            default=None,
            expected="the name of a header, such as 'X-Request-ID', or None",
            is_valid=_is_header,
            because=_no_header,
            meaning=(
                "the request header whose value becomes the field `request_id` of "
                "messages sent during the request; metrics do not get it"
            ),
            check="django_metlog.E019",
        ),
        Setting(
            name="METLOG_HTTP_HOSTS",
            default=[],
            expected="a list of host names such as 'api.example.com'",
            is_valid=_is_hosts,
            meaning=(
                "the hosts that `django_metlog.patches.http` names; all others are "
                "called `other`"
            ),
            check="django_metlog.E020",
        ),
        Setting(
            name="METLOG_HISTORIC_NAMES",
            default=False,
            expected="True or False",
            is_valid=_is_flag,
            meaning=(
                "send statements, models and Celery's tasks under the dotted names "
                "that django-statsd-mozilla 0.4 gave them"
            ),
            check="django_metlog.E021",
        ),
    )
}
