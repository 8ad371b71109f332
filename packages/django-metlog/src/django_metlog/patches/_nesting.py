# SPDX-License-Identifier: MPL-2.0
"""What runs inside of something that is measured is a part of it, as long as it runs.

Whoever begins a task, a callback or a thread there may give it the context, which it
then keeps for all its life. So what the context holds is no flag: it is a list that is
emptied when the measured thing is over, whoever has it by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

__all__ = ["OUTSIDE", "Inside", "nesting"]

Inside = Sequence[bool]
"""True as long as the thing that it is about goes on, false afterwards."""

OUTSIDE: Inside = ()


def nesting(name: str) -> ContextVar[Inside]:
    """Return what holds, for one kind of thing, the one that code runs inside of.

    Set it to ``[True]`` in a ``try``, and ``clear()`` that list first in its
    ``finally``: a signal that raises in between, as a worker's time limit does, must
    not leave it as it is.
    """
    return ContextVar(name, default=OUTSIDE)
