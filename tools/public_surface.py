# SPDX-License-Identifier: MPL-2.0
"""Find what looks public in a package, for the tests that list it name by name."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["added", "public_classes"]


def public_classes(modules: Iterable[str]) -> dict[str, type]:
    """Return each class in ``__all__`` of these modules, and their bases in the same
    package, by full name."""
    found: dict[str, type] = {}
    for module in modules:
        package = module.partition(".")[0]
        given = importlib.import_module(module)
        for each in (getattr(given, name) for name in getattr(given, "__all__", ())):
            for kind in each.__mro__ if inspect.isclass(each) else ():
                if _is_of(package, kind):
                    found[f"{kind.__module__}.{kind.__qualname__}"] = kind
    return found


def added(kind: type) -> set[str]:
    """Return the names without an underscore that a class or its instances have, except
    those of its bases."""
    package = kind.__module__.partition(".")[0]
    inherited = {name for base in kind.__mro__[1:] for name in _names(base, package)}
    return _names(kind, package) - inherited


def _is_of(package: str, kind: type) -> bool:
    return kind.__module__.partition(".")[0] == package


def _names(kind: type, package: str) -> set[str]:
    found = set(dir(kind)) | inspect.get_annotations(kind).keys()
    if _is_of(package, kind):  # and what its methods give an instance
        found |= {
            node.attr
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind))))
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) == "self"
        }
    return {name for name in found if not name.startswith("_")}
