# SPDX-License-Identifier: MPL-2.0
"""Dotted names: from the text in a configuration to the object that it names.

`pkgutil.resolve_name` is not used: for ``package.broken.name`` it says that the package
has no attribute ``broken``, no matter why that module could not be imported.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import resolve_name as absolute_name
from types import ModuleType
from typing import Any

__all__ = ["resolve_name"]


def resolve_name(name: str, package: str | ModuleType | None = None) -> Any:
    """Return the object called ``package.module.attribute`` or
    ``package.module:attribute``.

    Modules are imported as needed. A name that begins with ``.`` or ``:`` is relative
    to ``package``. Raises ValueError for something that is not a dotted name,
    ImportError if nothing has that name, and whatever an imported module raises.
    """
    if not isinstance(name, str):
        raise ValueError(f"expected a dotted name, got {name!r}")
    if name.startswith((".", ":")):
        name = _absolute(name, package)
    module_name, colon, attributes = name.partition(":")
    words = f"{module_name}.{attributes}".split(".") if colon else name.split(".")
    if not all(word.isidentifier() for word in words):
        raise ValueError(
            f"expected a dotted name such as 'package.module.name', got {name!r}"
        )
    if colon:
        return _attribute(import_module(module_name), attributes, name)
    found: Any = import_module(words[0])
    for i, word in enumerate(words[1:], 1):
        try:
            found = getattr(found, word)
        except AttributeError:
            if not hasattr(found, "__path__"):  # not a package: nothing to import
                return _attribute(found, ".".join(words[i:]), name)
            here = ".".join(words[: i + 1])
            try:
                found = import_module(here)
            except ModuleNotFoundError as error:
                if error.name != here:  # it exists, but fails to import something
                    raise
                return _attribute(found, ".".join(words[i:]), name)
    return found


def _absolute(name: str, package: str | ModuleType | None) -> str:
    if package is None:
        raise ValueError(
            f"expected a package to which {name!r} is relative, got none; "
            "write the whole name"
        )
    if isinstance(package, ModuleType):
        package = package.__name__
    if name in {".", ":"}:
        return package
    return package + name if name[0] == ":" else absolute_name(name, package)


def _attribute(owner: Any, attributes: str, name: str) -> Any:
    for word in attributes.split("."):
        try:
            owner = getattr(owner, word)
        except AttributeError as error:
            what = getattr(owner, "__name__", type(owner).__name__)
            said = f"no {word!r} in {what!r}, needed for {name!r}"
            if _is_plain(error, word):
                raise ImportError(said) from None
            raise ImportError(f"{said}: AttributeError: {error}") from error
    return owner


def _is_plain(error: AttributeError, word: str) -> bool:
    """Return whether it only says that there is no such name.

    A module's own ``__getattr__`` may say that too; if it fails in any other way, that
    is a different error.
    """
    below = error.__traceback__ and error.__traceback__.tb_next
    return below is None or (
        below.tb_next is None and str(error).endswith(f"has no attribute {word!r}")
    )
