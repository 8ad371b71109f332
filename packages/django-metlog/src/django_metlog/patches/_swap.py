# SPDX-License-Identifier: MPL-2.0
"""Replace a function of a class or a module by ours, and put it back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from asgiref.sync import iscoroutinefunction

__all__ = ["Swap"]

Function = Callable[..., Any]


class Swap:
    """``on()`` wraps an attribute of a class or module, ``off()`` restores it.

    Others may wrap the same attribute. If they did so after us, ours cannot be removed
    from below theirs: then it stays, and does nothing.
    """

    def __init__(
        self,
        owner: type | ModuleType,
        name: str,
        wrap: Callable[[Function], Function],
    ) -> None:
        """``wrap`` is given the function that was there and returns the new one."""
        self._owner = owner
        self._name = name
        self._wrap = wrap
        self._ours: Function | None = None
        self._original: Function | None = None
        self._is_on = False

    def on(self) -> None:
        """Replace it, unless that was done already."""
        self._is_on = True
        if self._ours is not None:
            return
        original = vars(self._owner).get(self._name)
        inherited: Function = getattr(self._owner, self._name)
        wrapped = self._wrap(inherited)

        @wraps(inherited)
        def ours(*args: Any, **kwargs: Any) -> Any:
            return (wrapped if self._is_on else inherited)(*args, **kwargs)

        @wraps(inherited)
        async def aours(*args: Any, **kwargs: Any) -> Any:
            return await (wrapped if self._is_on else inherited)(*args, **kwargs)

        self._original = original
        self._ours = aours if iscoroutinefunction(inherited) else ours
        setattr(self._owner, self._name, self._ours)

    def off(self) -> None:
        """Put back what was there, unless that was done already."""
        self._is_on = False
        if self._ours is None or vars(self._owner).get(self._name) is not self._ours:
            return
        if self._original is None:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._original)
        self._ours = self._original = None
