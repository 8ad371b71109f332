# SPDX-License-Identifier: MPL-2.0
"""Make senders, filters and plugins from their configuration.

All errors are for the person who wrote the configuration: where it is wrong, what was
expected and what was found.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metlog.exceptions import ConfigError, within
from metlog.path import resolve_name
from metlog.wire.text import outline

__all__ = ["import_callable", "instantiate", "make_sender"]


def import_callable(dotted: object, expected: str) -> Callable[..., Any]:
    """Return what ``dotted`` names; a callable is returned as it is."""
    if isinstance(dotted, str):
        try:
            found = resolve_name(dotted)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"expected the dotted name of {expected}, got {dotted!r}: {error}"
                f"{_meant(dotted)}"
            ) from error
    else:
        found = dotted
    if not callable(found):
        which = f", which is {found!r}" if isinstance(dotted, str) else ""
        raise ConfigError(
            f"expected the dotted name of {expected}, got {dotted!r}{which}"
        )
    return found  # type: ignore[no-any-return]  # callable() narrows Any no further


def _meant(dotted: str) -> str:
    """Return the name of ours that was probably meant, as the end of a sentence."""
    from metlog import filters, senders

    ours = {
        name.lower(): f"{package.__name__}.{name}"
        for package in (senders, filters)
        for name in package.__all__
        if name not in {"Filter", "MetricSender", "Sender", "SenderStats"}
    }
    last = dotted.replace(":", ".").rpartition(".")[2].lower()
    for name in difflib.get_close_matches(last, ours, n=1, cutoff=0.65):
        if ours[name] != dotted:  # if equal, something else is missing, say an extra
            return f"; did you mean {ours[name]!r}?"
    return ""


def instantiate(
    target: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """Return ``target(*args, **options)``; what it raises becomes a `ConfigError`."""
    name = getattr(target, "__name__", repr(target))
    positions: dict[Any, int] = {}
    try:
        signature: inspect.Signature | None = inspect.signature(target)
    except (TypeError, ValueError):  # some callables written in C have no signature
        signature = None
    if signature is not None:
        _check(name, signature, args, options)
        positions = dict(zip(signature.parameters, range(len(args)), strict=False))
    try:
        return target(*args, **options)
    except ConfigError as error:
        if error.path and error.path[0] in positions:
            option, *rest = error.path
            error.path = ("args", positions[option], *rest)
        raise
    except Exception as error:
        raise ConfigError(
            f"cannot make {name} from this: {type(error).__name__}: {error}"
        ) from error


def make_sender(spec: object) -> Any:
    """Make a sender from ``{"class": dotted name, "args": [...], **options}``."""
    if not isinstance(spec, Mapping):
        raise ConfigError(
            f"expected a dict with 'class' and the sender's options, "
            f"got {outline(spec)}"
        )
    options = dict(spec)
    if "class" not in options:
        such = "FanOutSender" if "routes" in options else "UdpSender"
        mistyped = [
            key
            for key in options
            if difflib.get_close_matches(str(key).lower(), ["class"], cutoff=0.75)
        ]
        way_out = f"; did you mean 'class' by {mistyped[0]!r}?" if mistyped else ""
        raise ConfigError(
            f"expected the dotted name of a sender, such as metlog.senders.{such}, "
            f"got nothing{way_out}",
            "class",
        )
    with within("class"):
        target = import_callable(options.pop("class"), "a sender class")
    args = options.pop("args", ())
    if isinstance(args, str) or not isinstance(args, Sequence):
        args = [args]  # one line of an INI file
    sender = instantiate(target, args, options)
    if not callable(getattr(sender, "send_message", None)):
        raise ConfigError(
            f"expected a sender, with a method send_message, got {sender!r}", "class"
        )
    return sender


_FOR_METRICS = (
    ", which is for StatsdSender, OtlpSender and PrometheusSender, also as the sender "
    "of a route"
)
_ELSEWHERE = {
    "names": _FOR_METRICS,
    "semconv": _FOR_METRICS,
    "self_metrics": _FOR_METRICS
    + "; for other senders, report client.sender_stats with client.observe()",
}
"""What to add to the error about an option that only other senders have."""


def _option_meant(option: object, takes: Sequence[str]) -> str:
    lowered = str(option).lower()
    if lowered in {"options", "kwargs"}:
        return "; put what is in there beside 'class'"
    for meant in difflib.get_close_matches(lowered, takes, n=1, cutoff=0.75):
        return f"; did you mean {meant!r}?"
    return ""


def _check(
    name: str,
    signature: inspect.Signature,
    args: Sequence[Any],
    options: Mapping[str, Any],
) -> None:
    kinds = inspect.Parameter
    parameters = signature.parameters.values()
    takes = [
        p.name
        for p in parameters
        if p.kind in {kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY}
    ]
    if not any(p.kind is kinds.VAR_KEYWORD for p in parameters):
        for option in options:
            if option not in takes:
                known = ", ".join(takes) or "it has none"
                way_out = _ELSEWHERE.get(option) or _option_meant(option, takes)
                raise ConfigError(
                    f"expected an option of {name} ({known}), got {option!r}{way_out}",
                    option,
                )
    try:
        bound = signature.bind_partial(*args, **options)
    except TypeError as error:
        raise ConfigError(f"{name}: {error}", "args") from error
    for p in parameters:
        if (
            p.default is kinds.empty
            and p.kind not in {kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD}
            and p.name not in bound.arguments
        ):
            raise ConfigError(
                f"expected a value, as {name} needs one, got nothing", p.name
            )
