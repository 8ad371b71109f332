# SPDX-License-Identifier: MPL-2.0
"""What a site probably meant by a dict in ``METLOG`` that is wrong.

Values may be secrets, so the lines to write name options but no values.
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from metlog import MetlogClient, senders
from metlog.config import OPTIONS

__all__ = ["ignored", "meant", "no_dict"]

EXAMPLE = "metlog.senders.StatsdSender"

CLASSES = ("class", "backend", "engine", "()")
"""Keys under which Django's own settings have a class."""

SYNONYMS = {
    "labels": "fields",
    "rules": "metrics",
    "tags": "fields",
    "timers": "disabled_timers",
}


def meant(config: Mapping[Any, Any]) -> str:
    """Return the line to write instead of a dict that does not make a client, as the
    end of a sentence; empty if the error alone says enough."""
    sender = config.get("sender")
    if isinstance(sender, Mapping):
        if "class" in sender:
            return ""
        return f"; write 'sender': {_spec(sender)}"
    if isinstance(sender, str):
        return f"; write 'sender': {{'class': {_named(sender)!r}}}"
    if isinstance(sender, type):
        return f"; write 'sender': {{'class': {_of_type(sender)!r}}}"
    if isinstance(sender, (list, tuple)):
        return (
            "; write 'sender': {'class': 'metlog.senders.FanOutSender', 'routes': "
            "[{'sender': {'class': …}}, …]}"
        )
    if sender is not None:
        return f"; write 'sender': {{'class': {_of_type(type(sender))!r}, …}}"
    if any(str(key).startswith("sender_") for key in config):
        return ""
    found = [_spec(each) for each in _senders(config)]
    return f"; write METLOG = {{'sender': {found[0] if found else _spec({})}}}"


def no_dict(value: object) -> str:
    """Return the line to write instead of something neither a dict nor a client."""
    if isinstance(value, str) and "://" not in value and value:
        return f"; write METLOG = {{'sender': {{'class': {_named(value)!r}}}}}"
    if hasattr(value, "send_message"):
        if isinstance(value, type):
            return f"; write METLOG = {{'sender': {{'class': {_of_type(value)!r}}}}}"
        name = type(value).__name__
        return f"; write METLOG = MetlogClient({name}(…), 'mysite')"
    if isinstance(value, (list, tuple)) and len(value) == 1:
        comma = ", without the comma after it" if isinstance(value, tuple) else ""
        return f"; write only what is in it{comma}"
    return ""


def ignored(client: MetlogClient) -> Iterator[tuple[str, str]]:
    """Yield each unused key of the dict that ``client`` was made from, and what to do
    about it."""
    config = json.loads(getattr(client, "_config", None) or "{}")
    try:
        takes = set(inspect.signature(type(client.sender)).parameters)
    except (TypeError, ValueError):
        takes = set()
    for key in config:
        if key in OPTIONS or key.startswith(("sender_", "global_")):
            continue
        lowered = key.lower()
        if lowered in takes and lowered not in OPTIONS:
            hint = (
                "Write it beside the sender's class: METLOG = {'sender': "
                f"{{'class': {_of_type(type(client.sender))!r}, {lowered!r}: …}}}}"
            )
        elif lowered in OPTIONS or lowered in SYNONYMS:
            hint = f"Write METLOG = {{{SYNONYMS.get(lowered, lowered)!r}: …}}"
        else:
            hint = f"METLOG takes {', '.join(OPTIONS)}."
        yield key, hint


def _senders(config: Mapping[Any, Any]) -> Iterator[Mapping[Any, Any]]:
    """Yield what may be meant as a sender: the dict itself, or a dict in it."""
    for each in (config, *config.values()):
        if isinstance(each, Mapping) and any(_is_class(key) for key in each):
            yield each


def _spec(written: Mapping[Any, Any]) -> str:
    """Return the sender's dict, with all options that were written."""
    name = next((value for key, value in written.items() if _is_class(key)), EXAMPLE)
    name = _named(name) if isinstance(name, str) else EXAMPLE
    options = [f"{key!r}: …" for key in written if not _is_class(key)]
    return "{" + ", ".join([f"'class': {name!r}", *options]) + "}"


def _is_class(key: object) -> bool:
    return str(key).lower() in CLASSES


def _named(name: str) -> str:
    """Return the full dotted name of one of our senders, other names unchanged."""
    if "." in name:
        return name
    ours = {one.lower(): one for one in senders.__all__ if one.endswith("Sender")}
    for like in (name.lower(), f"{name.lower()}sender"):
        for found in difflib.get_close_matches(like, ours, n=1, cutoff=0.8):
            return f"metlog.senders.{ours[found]}"
    return name


def _of_type(kind: type) -> str:
    if getattr(senders, kind.__name__, None) is kind:
        return f"metlog.senders.{kind.__name__}"
    return f"{kind.__module__}.{kind.__qualname__}"
