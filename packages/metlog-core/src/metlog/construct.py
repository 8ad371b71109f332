# SPDX-License-Identifier: MPL-2.0
"""Making senders, filters and plugins from their configuration.

All errors are for the person who wrote the configuration: where, what was wanted,
what came.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metlog.exceptions import ConfigError
from metlog.path import resolve_name

__all__ = ["call", "make_sender", "resolve"]


def resolve(dotted: object, where: str, wanted: str) -> Callable[..., Any]:
    """What ``dotted`` names; a callable passes as it is."""
    if isinstance(dotted, str):
        try:
            found = resolve_name(dotted)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"{where}: the dotted name of {wanted} wanted, got {dotted!r}: {error}"
            ) from error
    else:
        found = dotted
    if not callable(found):
        raise ConfigError(
            f"{where}: the dotted name of {wanted} wanted, got {dotted!r}, "
            f"which is {found!r}"
        )
    return found  # type: ignore[no-any-return]  # callable() narrows Any no further


def call(
    target: Callable[..., Any],
    args: Sequence[Any],
    options: Mapping[str, Any],
    where: Callable[..., str],
) -> Any:
    """``target(*args, **options)``; ``where`` says where an option was written.

    A `ConfigError` that begins with ``option: `` gets that place instead.
    """
    name = getattr(target, "__name__", repr(target))
    try:
        signature: inspect.Signature | None = inspect.signature(target)
    except (TypeError, ValueError):  # some callables written in C have none
        signature = None
    if signature is not None:
        _check(name, signature, args, options, where)
    try:
        return target(*args, **options)
    except ConfigError as error:
        option, colon, rest = str(error).partition(": ")
        if colon and option in options:
            raise ConfigError(f"{where(option)}: {rest}") from error
        raise ConfigError(f"{where()}: {name}: {error}") from error
    except Exception as error:
        raise ConfigError(
            f"{where()}: {name} cannot be made of this: {type(error).__name__}: {error}"
        ) from error


def make_sender(spec: object, where: Callable[..., str]) -> Any:
    """A sender from ``{"class": dotted name, "args": [...], **options}``."""
    if not isinstance(spec, Mapping):
        raise ConfigError(
            f"{where()}: a dict with 'class' and the sender's options wanted, "
            f"got {spec!r}"
        )
    options = dict(spec)
    if "class" not in options:
        raise ConfigError(
            f"{where('class')} is missing: the dotted name of a sender wanted, "
            "such as metlog.senders.UdpSender"
        )
    target = resolve(options.pop("class"), where("class"), "a sender class")
    args = options.pop("args", ())
    if isinstance(args, str) or not isinstance(args, Sequence):
        args = [args]  # one line of an INI file
    sender = call(target, args, options, where)
    if not callable(getattr(sender, "send_message", None)):
        raise ConfigError(
            f"{where('class')}: a sender, with a method send_message, wanted, "
            f"got {sender!r}"
        )
    return sender


def _check(
    name: str,
    signature: inspect.Signature,
    args: Sequence[Any],
    options: Mapping[str, Any],
    where: Callable[..., str],
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
                known = ", ".join(takes) or "no options"
                raise ConfigError(
                    f"{where(option)}: {name} takes {known}; got {option!r}"
                )
    try:
        bound = signature.bind_partial(*args, **options)
    except TypeError as error:
        raise ConfigError(f"{where('args')}: {name}: {error}") from error
    for p in parameters:
        if (
            p.default is kinds.empty
            and p.kind not in {kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD}
            and p.name not in bound.arguments
        ):
            raise ConfigError(f"{where(p.name)} is missing: {name} wants it")
