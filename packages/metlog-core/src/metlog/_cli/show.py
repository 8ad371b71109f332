# SPDX-License-Identifier: MPL-2.0
"""What was seen as a line of text: for people, with or without colour, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metlog._severity import SEVERITY
from metlog.wire.statsd import Measurement, Seen, Unreadable
from metlog.wire.text import as_text, to_json

__all__ = ["as_json", "pretty", "raw"]

_COLOURS = {  # SGR codes that both dark and light terminals show well
    "counter": "32",
    "timer": "36",
    "gauge": "35",
    "unreadable": "31",
}


def as_json(seen: Seen) -> str:
    """Return a message as it came, a measurement's keys, or ``{"unreadable": …}``."""
    if isinstance(seen, Measurement):
        return to_json(seen._asdict())
    if isinstance(seen, Unreadable):
        return to_json({"unreadable": seen.text})
    return to_json(seen)


def pretty(seen: Seen, colour: bool = False) -> str:
    """Return ``timer     view.GET   12 ms  method=GET``, control characters escaped."""
    if isinstance(seen, Unreadable):
        kind, what, rest = "unreadable", seen.text, ""
    elif isinstance(seen, Measurement):
        kind, what = seen.kind, seen.name
        rest = _value(kind, seen.value) + _rest(seen.rate, seen.fields)
    else:
        kind, what, rest = _message(seen)
    kind, what, rest = map(_printable, (kind, what, rest))
    if colour:
        paint = _COLOURS.get(kind, "33")
        return f"\x1b[{paint}m{kind:<9}\x1b[0m \x1b[1m{what}\x1b[0m  {rest}".rstrip()
    return f"{kind:<9} {what}  {rest}".rstrip()


def raw(datagram: bytes) -> Iterator[str]:
    """Yield its lines as they were sent, control characters escaped."""
    for line in datagram.decode("utf-8", "replace").split("\n"):
        if line.strip():
            yield _printable(line)


def _message(msg: dict[str, Any]) -> tuple[str, str, str]:
    fields = dict(msg["fields"])
    kind, payload = msg["type"], msg["payload"]
    if kind in {"counter", "timer", "gauge", "updown"} and "name" in fields:
        name, rate = as_text(fields.pop("name")), fields.pop("rate", 1.0)
        return kind, name, _value(kind, payload) + _rest(rate, fields)
    severity = msg.get("severity")
    try:
        said = SEVERITY(severity).name  # type: ignore[arg-type]  # raises if invalid
    except ValueError:
        said = "" if severity is None else as_text(severity)
    where = f"{said} {as_text(msg.get('logger', ''))}".strip()
    return kind, where, payload + _rest(1.0, fields)


def _value(kind: str, value: object) -> str:
    text = as_text(value)
    if kind == "timer":
        return f"{text} ms"
    return f"+{text}" if kind == "counter" and text[:1] not in {"-", "+"} else text


def _rest(rate: object, fields: dict[str, Any]) -> str:
    parts = [] if rate == 1 else [f"@{as_text(rate)}"]
    parts += [f"{as_text(key)}={as_text(value)}" for key, value in fields.items()]
    return "".join(f"  {part}" for part in parts)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
