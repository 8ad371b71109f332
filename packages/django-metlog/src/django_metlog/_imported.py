# SPDX-License-Identifier: MPL-2.0
"""Import what settings name by dotted paths: guards and patches.

Each function raises `ImproperlyConfigured`, with the line to write, for anything else.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

__all__ = ["as_guard", "patch_module"]

PATCHES = (
    "auth",
    "cache",
    "celery",
    "commands",
    "db",
    "http",
    "mail",
    "models",
    "pool",
    "runtime",
    "tasks",
    "templates",
)
"""The patches in `django_metlog.patches`."""

GUARDS = ("internal", "same_origin")
"""What a path may name in `django_metlog.guards`; the others make guards."""


def as_guard(name: str, found: Any) -> Callable[..., Any] | None:
    """Return the guard that a setting holds or names by its path, or None."""
    if isinstance(found, str):
        path = found
        try:
            found = import_string(path)
        except ImportError as error:
            last = path.rpartition(".")[2]
            meant = difflib.get_close_matches(last, GUARDS, n=1, cutoff=0.7)
            hint = f"; did you mean 'django_metlog.guards.{meant[0]}'?" if meant else ""
            raise ImproperlyConfigured(
                f"{name} must name a guard, got {path!r}: {error}{hint}"
            ) from error
        except Exception as error:  # its module may raise anything when imported
            raise ImproperlyConfigured(
                f"{name} must name a guard, got {path!r}, whose module raises {error!r}"
            ) from error
        if not callable(found):
            raise ImproperlyConfigured(
                f"{name} must name a guard, got {path!r}, which is a "
                f"{type(found).__name__}"
            )
    if found is not None:
        _check_guard(name, found)
    return cast("Callable[..., Any] | None", found)


def _check_guard(name: str, guard: Any) -> None:
    makes_one = getattr(guard, "makes_a_guard", None)
    if isinstance(makes_one, str):
        raise ImproperlyConfigured(
            f"{name} must be a guard, got the function {guard.__name__} "
            f"that makes one; write {name} = {makes_one}"
        )
    if isinstance(guard, type):
        raise ImproperlyConfigured(
            f"{name} must be a guard, got the class {guard.__name__}; "
            f"write {name} = {guard.__name__}()"
        )
    try:
        inspect.signature(guard).bind("request")
    except TypeError as error:
        raise ImproperlyConfigured(
            f"{name} must take the request, got {guard!r:.100} "
            f"({error}); write def guard(request): return None"
        ) from error
    except ValueError:
        pass  # some callables written in C have no signature


def patch_module(name: str) -> ModuleType:
    """Return a module of ``METLOG_PATCHES``, with ``patch()`` and ``unpatch()``."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        lacking = str(getattr(error, "name", None) or name)
        way_out = (
            _expected(name)
            if f"{name}.".startswith(f"{lacking}.")
            else f"install {lacking!r}, or remove {name!r} from the list."
        )
        raise ImproperlyConfigured(
            f"METLOG_PATCHES: {name!r} cannot be imported ({error}); {way_out}"
        ) from error
    except Exception as error:  # it may raise anything when imported
        raise ImproperlyConfigured(
            f"METLOG_PATCHES: {name!r} cannot be imported: {error!r}."
        ) from error
    for function in ("patch", "unpatch"):
        if not callable(getattr(module, function, None)):
            raise ImproperlyConfigured(
                f"METLOG_PATCHES: {name!r} has no {function}(); {_expected(name)}"
            )
    return module


def _expected(name: str) -> str:
    last = name.rpartition(".")[2].lower()
    # "patches" is like "cache", and means none of them.
    known = () if last == "patches" else PATCHES
    for similar in difflib.get_close_matches(last, known, n=1, cutoff=0.6):
        if name != (ours := f"django_metlog.patches.{similar}"):
            return f"did you mean {ours!r}?"
    return (
        f"expected one of {', '.join(PATCHES)}, each as in "
        "'django_metlog.patches.db', or a module of yours with patch() and unpatch()."
    )
