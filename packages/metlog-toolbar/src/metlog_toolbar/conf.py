# SPDX-License-Identifier: MPL-2.0
"""``TOOLBAR_METLOG``, or ``TOOLBAR_STATSD`` as the original called it.

This is the only file here that reads the project's settings, whenever it is called.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

from metlog import MetlogClient
from metlog.rules import Rules
from metlog.senders.prometheus import find
from metlog.shapes import NAMES, Shape
from metlog.wire.text import outline

__all__ = [
    "DUPLICATES",
    "Production",
    "Spelling",
    "duplicates",
    "has_odd_patches",
    "middleware",
    "patches",
    "problems",
    "production",
]

DUPLICATES = 10
"""A key that one request reports more often than this gets a badge."""

_KEYS = ("graphite", "prometheus", "roots", "prefix", "names", "duplicates")
_SETTINGS = ("TOOLBAR_METLOG", "TOOLBAR_STATSD")


@dataclass(frozen=True)
class Spelling:
    """How Prometheus spells a key: see `metlog.senders.PrometheusSender`."""

    shape: Shape = field(default_factory=Shape)
    prefix: str | None = None
    """The prefix of every name; None for what each declaration says."""
    rules: tuple[Rules, ...] = ()
    """The client's rules, then those of the route."""


@dataclass(frozen=True)
class Production:
    """The Graphite or Prometheus to ask, and what to put before a key in Graphite."""

    url: str
    """The URL of Graphite's render or of Prometheus, without user and password, because
    pages link to it."""
    timers: tuple[str, ...]
    counts: tuple[str, ...]
    authorization: str = field(default="", repr=False)
    """The header for Basic authentication, or empty."""
    title: str = "Graphite"
    """``Graphite`` or ``Prometheus``."""
    spelling: Spelling = field(default_factory=Spelling, compare=False)
    """Only for Prometheus."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of keys that have graphs: Graphite needs a root for each."""
        everywhere = self.title == "Prometheus"
        timers = ("timer", "histogram") if everywhere or self.timers else ()
        return (*timers, "counter") if everywhere or self.counts else timers


def production() -> Production | None:
    """Return the backend; None if none is configured, or wrongly: see `problems`."""
    if problems():
        return None
    value = _value()
    if value.get("prometheus"):
        url, authorization = _without_user(value["prometheus"])
        spelling = _spelling(value)
        return Production(
            url.rstrip("/"), (), (), authorization, "Prometheus", spelling
        )
    if not value.get("graphite"):
        return None
    roots = value.get("roots", {})
    url, authorization = _without_user(value["graphite"])
    return Production(
        url,
        tuple(roots.get("timers", ())),
        tuple(roots.get("counts", ())),
        authorization,
    )


def duplicates() -> int:
    """Return the setting's ``duplicates``, by default `DUPLICATES`."""
    return DUPLICATES if problems() else _value().get("duplicates", DUPLICATES)


def middleware() -> list[str]:
    """Return the project's ``MIDDLEWARE``, the outermost first.

    Anything but a list is empty, and anything but text is left out; Django reports it.
    """
    return _texts(settings.MIDDLEWARE)


def patches() -> list[str]:
    """Return django-metlog's patches, from the setting that it checks itself."""
    return _texts(_patches())


def has_odd_patches() -> bool:
    """Return whether that setting exists and is not a list."""
    value = _patches()
    return value is not None and not isinstance(value, (list, tuple))


def _patches() -> object:
    historic = getattr(settings, "STATSD_PATCHES", None)
    return getattr(settings, "METLOG_PATCHES", historic)


def _texts(value: object) -> list[str]:
    listed = value if isinstance(value, (list, tuple)) else ()
    return [each for each in listed if isinstance(each, str)]


def problems() -> list[str]:
    """Return a sentence for each fault of the setting: what was expected and found."""
    name = _name()
    try:
        return _faults(name, getattr(settings, name, {}))
    except Exception as error:  # a lazy object that cannot be made
        got = f"something that raises {error!r:.200}"
        return [f"{name} must be a dict without what cannot be read, got {got}."]


def _faults(name: str, value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{name} must be a dict, got {outline(value)}."]
    found = []
    unknown = sorted(map(str, set(value) - set(_KEYS)))
    if unknown:
        found.append(
            f"{name} must have only the keys {', '.join(_KEYS[:-1])} and {_KEYS[-1]}, "
            f"got {', '.join(map(outline, unknown))}."
        )
    graphite = value.get("graphite", "")
    if graphite and not _is_http(graphite):
        found.append(
            f"{name}['graphite'] must be the http or https URL of Graphite's "
            f"render, got {_shown(graphite)}."
        )
    prometheus = value.get("prometheus", "")
    if prometheus and not _is_http(prometheus):
        found.append(
            f"{name}['prometheus'] must be the http or https URL of Prometheus, "
            f"got {_shown(prometheus)}."
        )
    elif prometheus and urlsplit(prometheus).query:
        found.append(
            f"{name}['prometheus'] must be a URL without a query, "
            f"got {_shown(prometheus)}."
        )
    if prometheus and graphite:
        found.append(f"{name} must have graphite or prometheus, got both; remove one.")
    if value.get("names", "labels") not in NAMES:
        found.append(
            f"{name}['names'] must be {', '.join(map(repr, NAMES[:-1]))} or "
            f"{NAMES[-1]!r}, got {outline(value['names'])}."
        )
    if not isinstance(value.get("prefix", ""), str):
        found.append(
            f"{name}['prefix'] must be text to put before every name, "
            f"got {outline(value['prefix'])}."
        )
    roots = value.get("roots", {})
    if not isinstance(roots, Mapping) or set(roots) - {"timers", "counts"}:
        found.append(
            f"{name}['roots'] must be a dict with the key timers, the key counts, "
            f"or both, got {outline(roots)}."
        )
    else:
        found += [
            f"{name}['roots'][{kind!r}] must be a list of strings, "
            f"got {outline(prefixes)}."
            for kind, prefixes in roots.items()
            if not isinstance(prefixes, (list, tuple))
            or not all(isinstance(prefix, str) for prefix in prefixes)
        ]
    times = value.get("duplicates", DUPLICATES)
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        found.append(
            f"{name}['duplicates'] must be a whole number above 0, "
            f"got {outline(times)}."
        )
    return found


def _name() -> str:
    return next((name for name in _SETTINGS if _is_there(name)), _SETTINGS[0])


def _is_there(name: str) -> bool:
    try:
        return hasattr(settings, name)
    except Exception:  # Django inspects a lazy object that it has read before
        return True


def _value() -> Mapping[str, Any]:
    value = getattr(settings, _name(), {})
    return value if isinstance(value, Mapping) else {}


def _spelling(value: Mapping[str, Any]) -> Spelling:
    """Return the site's own sender's spelling, unless the setting says otherwise."""
    client = getattr(settings, "METLOG", None)
    shape = Shape()
    prefix: str | None = None
    rules: tuple[Rules, ...] = ()
    if isinstance(client, MetlogClient):
        rules = (client.rules,)
        sender = find(client)
        if sender is not None:
            shape, prefix = sender.shape, sender.prefix
            routes = getattr(client.sender, "routes", ())
            rules += tuple(each.rules for each in routes if each.sender is sender)
    if "names" in value:
        shape = Shape(value["names"])
    return Spelling(shape, value.get("prefix", prefix), rules)


def _without_user(url: str) -> tuple[str, str]:
    """Return the URL without user and password, and those as a header."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    name, _, password = user.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}".encode()
    return parts._replace(netloc=host).geturl(), f"Basic {b64encode(pair).decode()}"


def _shown(url: object) -> str:
    """Return it for an error message, without anything that may be a password."""
    if not isinstance(url, str):
        return f"an object of type {type(url).__name__!r}"
    _, at, host = url.rpartition("@")
    return outline(f"***@{host}" if at else url)


def _is_http(url: object) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
