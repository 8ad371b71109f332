# SPDX-License-Identifier: MPL-2.0
"""``timeit`` and ``incr_count``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from metlog.client import MetlogClient
from metlog.decorators.base import MetlogDecorator

__all__ = ["incr_count", "timeit"]

F = TypeVar("F", bound=Callable[..., Any])


class _Measuring(MetlogDecorator):
    """Takes the arguments of a client's method; the default name is the function's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        method = getattr(MetlogClient, self._method)
        # Raise a TypeError now, not when the function is called.
        bound = inspect.signature(method).bind_partial(None, *self.args, **self.kwargs)
        self._options: dict[str, Any] = {**bound.arguments}
        del self._options["self"]

    _method: str

    def _decided(self) -> Callable[..., Any]:
        client = self.client
        if client is None or not self.predicate():
            return self.fn
        return self._measured(client, {"name": self.name, **self._options})

    def _measured(
        self, client: MetlogClient, options: dict[str, Any]
    ) -> Callable[..., Any]:
        raise NotImplementedError


class _TimeIt(_Measuring):
    """Time each call of a function, with a `MetlogClient.timer`."""

    _method = "timer"
    decorator_name = "timeit"

    def _measured(
        self, client: MetlogClient, options: dict[str, Any]
    ) -> Callable[..., Any]:
        return client.timer(**options)(self.fn)


class _IncrCount(_Measuring):
    """Count each call of a function with `MetlogClient.incr` when it ends."""

    _method = "incr"
    decorator_name = "incr_count"

    def _measured(
        self, client: MetlogClient, options: dict[str, Any]
    ) -> Callable[..., Any]:
        fn = self.fn

        async def counted_async(*args: Any, **kwargs: Any) -> Any:
            try:
                return await fn(*args, **kwargs)
            finally:
                client.incr(**options)

        def counted(*args: Any, **kwargs: Any) -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                client.incr(**options)

        return counted_async if inspect.iscoroutinefunction(fn) else counted


if TYPE_CHECKING:
    # The classes as their users see them: types cannot say that calling a class returns
    # something other than an instance.

    @overload
    def timeit(name: F, /) -> F: ...
    @overload
    def timeit(
        name: str = ...,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
        *,
        client: MetlogClient | None = None,
        client_name: str = "",
    ) -> Callable[[F], F]: ...
    def timeit(*args: Any, **kwargs: Any) -> Any:
        """Time each call of a function, with a `MetlogClient.timer`.

        Use it bare or with that method's arguments; the default name is
        ``<module>.<function>``. A generator is timed from its first item to its last.
        """

    @overload
    def incr_count(name: F, /) -> F: ...
    @overload
    def incr_count(
        name: str = ...,
        count: float = 1,
        logger: str | None = None,
        severity: int | None = None,
        fields: Mapping[str, Any] | None = None,
        rate: float = 1.0,
        *,
        client: MetlogClient | None = None,
        client_name: str = "",
    ) -> Callable[[F], F]: ...
    def incr_count(*args: Any, **kwargs: Any) -> Any:
        """Count each call of a function with `MetlogClient.incr` when it ends, even if
        it raises.

        Use it bare or with that method's arguments; the default name is
        ``<module>.<function>``. A generator is counted when it is created.
        """

else:
    timeit, incr_count = _TimeIt, _IncrCount
