# SPDX-License-Identifier: MPL-2.0
"""From a view in the URLconf to the function or class that the site wrote.

Decorators that use `functools.wraps` need none of this, because they copy the name. It
is for those that do not, and for frameworks that put many functions behind one of their
own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import FunctionType
from typing import Any

__all__ = ["endpoint", "layers"]

DEEPEST = 20
"""How many layers are looked through; some objects claim to have every attribute."""


def endpoint(view: Any, method: str) -> Any:
    """Return what a view is named after, below partials and frameworks."""
    for _ in range(DEEPEST):
        inner = _ninja_function(view, method)
        if inner is None and isinstance(view, partial):
            inner = view.func
        if inner is None:
            inner = getattr(view, "__wrapped__", None)
            # functools.wraps has copied the name, unless there was none.
            if inner is None or hasattr(inner, "__name__"):
                return view
        view = inner
    return view


def layers(view: Any, method: str) -> Iterator[Any]:
    """Yield a view, then whatever it hands its requests to, one after the other.

    For a class these are the class and what answers this ``method``; for a decorated
    function each function below it, even if the decorator does not use `wraps`.
    """
    for _ in range(DEEPEST):
        yield view
        cls = getattr(view, "view_class", None) or getattr(view, "cls", None)
        if isinstance(cls, type):
            yield cls
            inner = _answering(view, cls, method)
        elif isinstance(view, partial):
            inner = view.func
        else:
            inner = _ninja_function(view, method) or getattr(view, "__wrapped__", None)
        if inner is None:
            inner = _enclosed(view)
        if inner is None:
            return
        view = inner


def _answering(view: Any, cls: type, method: str) -> Any:
    """Return what answers a method in a class; a ViewSet's view knows its action."""
    actions = getattr(view, "actions", None)
    name = method.lower()
    if isinstance(actions, dict):
        name = actions.get(name, name)
    return getattr(cls, name, None)


def _ninja_function(view: Any, method: str) -> Any:
    """Return the function of a django-ninja operation.

    All operations of a path are behind one function (in older releases one method),
    which only knows the ``PathView`` that lists them.
    https://github.com/vitalik/django-ninja/issues/428
    """
    module = getattr(view, "__module__", None)
    if not isinstance(module, str) or not module.startswith("ninja"):
        return None
    for owner in (getattr(view, "__self__", None), *_closure(view)):
        operations = getattr(owner, "operations", None)
        if isinstance(operations, list) and operations:
            fitting = (one for one in operations if method in one.methods)
            return getattr(next(fitting, operations[0]), "view_func", None)
    return None


def _enclosed(view: Any) -> Any:
    """Return the function that a decorator's wrapper calls: the only one in it."""
    functions = [one for one in _closure(view) if isinstance(one, FunctionType)]
    return functions[0] if len(functions) == 1 else None


def _closure(view: Any) -> Iterator[object]:
    cells = getattr(getattr(view, "__func__", view), "__closure__", None)
    for cell in cells if isinstance(cells, tuple) else ():
        try:
            yield cell.cell_contents
        except ValueError:  # the cell is still empty
            continue
