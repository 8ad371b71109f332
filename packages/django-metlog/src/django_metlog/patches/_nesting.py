# SPDX-License-Identifier: MPL-2.0
"""Nested calls: what runs inside a measured call is part of it, until that call ends.

A task, a callback or a thread that is started there may inherit the context, and keeps
it as long as it lives. So the context does not hold a flag, but a list that is emptied
when the measured call ends, for everything that has inherited it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

__all__ = ["OUTSIDE", "Inside", "nesting"]

Inside = Sequence[bool]
"""True as long as the measured call goes on, false afterwards."""

OUTSIDE: Inside = ()


def nesting(name: str) -> ContextVar[Inside]:
    """Return the variable with the call, of one kind, that the code runs inside of.

    Set it to ``[True]`` in a ``try``, and first ``clear()`` that list in its
    ``finally``: a signal handler that raises in between, as a worker's time limit does,
    must not leave it set.
    """
    return ContextVar(name, default=OUTSIDE)
