# SPDX-License-Identifier: MPL-2.0
"""Functions that go on running after their call returns: coroutines and generators."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from functools import wraps
from typing import Any

__all__ = ["lasting"]


def lasting(
    fn: Callable[..., Any],
    clock: Callable[[], float],
    done: Callable[[float], object],
) -> Callable[..., Any] | None:
    """Wrap an ``async def``, a generator function or an async generator function.

    ``done(start)`` is called at the end of each run, however it ends; ``start`` is what
    ``clock`` said when it began. A generator runs from its first item to its last, or
    until it is closed. Return None for any other callable.
    """
    if inspect.iscoroutinefunction(fn):

        @wraps(fn)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            try:
                return await fn(*args, **kwargs)
            finally:
                done(start)

        return coroutine

    inner = _undecorated(fn)
    if inspect.isgeneratorfunction(inner):

        @wraps(fn)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            start = clock()
            try:
                return (yield from fn(*args, **kwargs))
            finally:
                done(start)

        return generator

    if inspect.isasyncgenfunction(inner):

        @wraps(fn)
        async def items(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            start = clock()
            source = fn(*args, **kwargs)
            try:
                step = source.__anext__()
                while True:  # ``yield from``, which async generators do not have
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        sent = yield item
                    except GeneratorExit:
                        await source.aclose()
                        raise
                    except BaseException as error:
                        step = source.athrow(error)
                    else:
                        step = source.asend(sent)
            finally:
                done(start)

        return items

    return None


def _undecorated(fn: Any) -> Any:
    """Return the function below our own decorators, which return its generators as they
    are. ``__wrapped__`` cannot be used, because `contextlib.contextmanager` sets it
    too.
    """
    while (decorator := getattr(fn, "metlog_decorator", None)) is not None:
        fn = decorator.fn
    return fn
