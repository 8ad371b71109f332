# SPDX-License-Identifier: MPL-2.0
"""Patch a library when, and if, the site imports it.

Patches are applied before most of a site's own modules are imported. Importing a
library just to patch it would cost every site that has it but does not use it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["cancel", "when_imported"]

Patch = Callable[[ModuleType], None]


def when_imported(name: str, patch: Patch) -> None:
    """Call ``patch(module)`` now if ``name`` is imported, else as soon as it is."""
    module = sys.modules.get(name)
    if module is not None and not _is_loading(module):
        patch(module)
        return
    _finder.waiting[name] = patch
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def cancel(name: str) -> None:
    """Stop waiting for that module."""
    _finder.waiting.pop(name, None)
    if not _finder.waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _Finder(MetaPathFinder):
    """Lets the other finders find a module, and wraps its loader."""

    def __init__(self) -> None:
        self.waiting: dict[str, Patch] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname not in self.waiting:
            return None
        for finder in sys.meta_path:
            find: Any = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = (
                find(fullname, path, target) if find and finder is not self else None
            )
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Watching(spec.loader, fullname)
                return spec
        return None


class _Watching(Loader):
    """A loader that patches what it has loaded, and otherwise acts as the original."""

    def __init__(self, loader: Loader, name: str) -> None:
        self._loader = loader
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        patch = _finder.waiting.get(self._name)
        cancel(self._name)
        if patch is not None:
            patch(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_finder = _Finder()
