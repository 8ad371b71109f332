# SPDX-License-Identifier: MPL-2.0
"""Single values of `OtlpSender`'s options and variables, checked.

A check takes a value and the name of the argument or variable that it comes from, and
returns what it means or raises a `ConfigError`. No error shows a header's value, or
the user and password of an endpoint.
"""

from __future__ import annotations

import math
import os
import re
import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from metlog.exceptions import ConfigError
from metlog.wire.text import encodable

__all__ = [
    "as_number",
    "certificates",
    "choice",
    "file",
    "headers",
    "in_utf8",
    "key_pair",
    "seconds",
    "shown",
    "url",
]


def shown(url: object) -> str:
    """Return a URL that may be printed: without user, password and query."""
    text = str(url)
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        scheme, rest = "", text
    place, *query = re.split("[?#]", rest, maxsplit=1)
    if query and "@" in query[0]:  # in a password or in a query, who knows
        place = "..."
    return scheme + slashes + place.rpartition("@")[2]


def url(value: object, name: str) -> str:
    """Return an ``http`` or ``https`` URL."""
    try:
        parts = urlsplit(str(value))
        usable = parts.scheme in {"http", "https"} and _is_host(parts)
        usable = usable and parts.port != 0 and not _NOT_IN_URLS.search(str(value))
    except ValueError:  # whose text may contain a password
        usable = False
    if not usable or not isinstance(value, str):
        raise ConfigError(
            f"expected a URL such as http://localhost:4318, got {shown(value)!r}", name
        )
    return value


def _is_host(parts: SplitResult) -> bool:
    """Return whether the host of a URL is one, or raise ValueError. What requests would
    refuse at each export has to be found out now."""
    host, place = parts.hostname or "", parts.netloc.rpartition("@")[2]
    if ":" in host:
        IPv6Address(host.partition("%")[0])
        return place.partition("]")[2][:1] in {"", ":"}
    host.encode("idna")
    return "[" not in place and bool(_HOST.fullmatch(host))


_NOT_IN_URLS = re.compile(r"[\s#\x00-\x1f\x7f\ud800-\udfff]")
_HOST = re.compile(r"[\w.~-]+")  # no variable that was not expanded, no second URL

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~\xa1-\xff][\t -~\xa0-\xff]*)?")


def headers(pairs: Sequence[tuple[Any, Any]], where: str) -> dict[str, str]:
    """Return them with lower-case names. An error gives only the position, because
    names and values may be secret."""
    found = {}
    for position, (name, value) in enumerate(pairs, 1):
        if not (
            isinstance(name, str)
            and isinstance(value, str)
            and _TOKEN.fullmatch(name)
            and _VALUE.fullmatch(value.strip(" \t"))
        ):
            raise ConfigError(
                "expected name=value for each header, in printable Latin-1, got "
                f"something else as number {position} (not shown: it may be secret)",
                where,
            )
        found[name.lower()] = value.strip(" \t")  # requests refuses leading blanks
    return found


def seconds(value: object, name: str, minimum: float = 0.01) -> float:
    """Return seconds, of at most an hour."""
    number = as_number(value)
    if number is None or not minimum <= number <= 3600:
        raise ConfigError(
            f"expected seconds from {minimum:g} to 3600, got {value!r}", name
        )
    return number


def choice(choices: str) -> Callable[[object, str], str]:
    """Return a check for one of these words, in upper or lower case."""

    def check(value: object, name: str) -> str:
        found = str(value).lower()
        if found not in choices.split():
            expected = ", ".join(repr(word) for word in choices.split())
            raise ConfigError(f"expected one of {expected}, got {value!r}", name)
        return found

    return check


def file(value: object, name: str) -> str:
    """Return the path of a file that exists."""
    if not os.path.isfile(str(value)):  # noqa: PTH113  # requests takes only text
        raise ConfigError(f"expected a file, got {value!r}", name)
    return str(value)


def certificates(value: object, name: str) -> str:
    """Return the path of a file with certificates."""
    path = file(value, name)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:  # an SSLError is one
        raise ConfigError(
            f"expected a file of certificates in PEM format, got {path!r} ({error})",
            name,
        ) from error
    return path


def key_pair(certificate: str, key: str | None, name: str) -> None:
    """Raise if the key does not belong to the certificate, or has a password, which
    nobody could type. Without ``key`` both are in one file."""
    expected = f"the key of the certificate in {certificate!r}"
    if key is None:
        expected = f"a file with the key, too, or {name.replace('CERTIFICATE', 'KEY')}"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise ConfigError(
            f"expected {expected}, in PEM format and without a password, "
            f"got {key or certificate!r} ({error})",
            name,
        ) from error


def as_number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def in_utf8(text: str) -> bool:
    """Return whether a text can be sent: it has no lone surrogate."""
    return encodable(text) == text
