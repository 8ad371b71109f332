# SPDX-License-Identifier: MPL-2.0
"""What metlog's decorators have in common.

Python evaluates decorators at import, when there is usually no client yet. So what a
decorator does is decided when the function is first called.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

from metlog._registry import CLIENT_HOLDER
from metlog.client import MetlogClient

__all__ = ["MetlogDecorator"]


class MetlogDecorator:
    """Subclass it and write `metlog_call`; then both forms work::

        class shout(MetlogDecorator):
            def metlog_call(self, *args, **kwargs):
                self.client.info(f"{self.name}!")
                return self.fn(*args, **kwargs)

        @shout
        def one(): ...

        @shout("the arguments are in self.args and self.kwargs", client_name="app")
        async def two(): ...

    The result is a function, so it can be a method or a class method; it keeps name,
    docstring and signature. Its attribute ``metlog_decorator`` is this object.

    ``client`` is the client to use, or ``client_name`` its name; without either it is
    the default client at the first call. While there is none, the function just runs.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the decorated function right away if the decorator is used bare."""
        self = super().__new__(cls)
        if len(args) == 1 and not kwargs and _is_function(args[0]):
            self.__init__()  # type: ignore[misc]  # Python does not: we return no instance
            return self(args[0])
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client: MetlogClient | None = kwargs.pop("client", None)
        self.client_name: str = kwargs.pop("client_name", "")
        self.args = args
        self.kwargs = kwargs
        self.fn: Callable[..., Any]
        self.name: str

    def __call__(self, fn: Any) -> Any:
        """Decorate ``fn``. One decorator may decorate many functions."""
        if isinstance(fn, (classmethod, staticmethod)):
            return type(fn)(self(fn.__func__))
        if not callable(fn):
            raise TypeError(
                f"{self.decorator_name}: expected a function to decorate, got {fn!r}"
            )
        mine = copy.copy(self)
        mine.fn = fn
        mine.name = _name_of(fn)
        if inspect.iscoroutinefunction(fn):

            @functools.wraps(fn)
            async def decorated(*args: Any, **kwargs: Any) -> Any:
                return await mine._call(*args, **kwargs)  # noqa: SLF001  # our own

        else:

            @functools.wraps(fn)
            def decorated(*args: Any, **kwargs: Any) -> Any:
                return mine._call(*args, **kwargs)  # noqa: SLF001  # our own

        decorated.metlog_decorator = mine  # type: ignore[attr-defined]
        return decorated

    @property
    def decorator_name(self) -> str:
        """Its name in the global option ``disabled_decorators``."""
        return type(self).__name__

    @property
    def client(self) -> MetlogClient | None:
        """The client to use; None while there is no default client."""
        if self._client is None:
            if self.client_name:
                self._client = CLIENT_HOLDER.get_client(self.client_name)
            else:
                self._client = CLIENT_HOLDER.default_client
        return self._client

    def predicate(self) -> bool:
        """Return whether this decorator is enabled; called at the first call."""
        disabled = CLIENT_HOLDER.global_config.get("disabled_decorators") or ()
        if isinstance(disabled, str):
            disabled = (disabled,)
        return self.decorator_name not in disabled

    def metlog_call(self, *args: Any, **kwargs: Any) -> Any:
        """Run instead of ``self.fn``, and call it. Subclasses override this.

        For an ``async def`` what it returns is awaited.
        """
        raise NotImplementedError

    @property
    def _fn(self) -> Callable[..., Any]:
        """``fn``, under the name that decorators written for metlog-py use."""
        return self.fn

    @property
    def _fn_fq_name(self) -> str:
        """``name``, likewise."""
        return self.name

    def _decided(self) -> Callable[..., Any]:
        """Return what to call from now on, now that there is a client."""
        return self.metlog_call if self.predicate() else self.fn

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the decorated function does; replaced by the result of `_decided`."""
        return self._first_call(*args, **kwargs)

    def _first_call(self, *args: Any, **kwargs: Any) -> Any:
        if self.client is None:
            return self.fn(*args, **kwargs)
        call = self._decided()
        self._call = call  # type: ignore[method-assign]
        return call(*args, **kwargs)


def _is_function(thing: object) -> bool:
    return callable(thing) or isinstance(thing, (classmethod, staticmethod))


def _name_of(fn: Any) -> str:
    name = getattr(fn, "__name__", None) or type(fn).__name__
    return f"{getattr(fn, '__module__', None) or type(fn).__module__}.{name}"
