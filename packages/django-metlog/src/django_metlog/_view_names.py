# SPDX-License-Identifier: MPL-2.0
"""The names of views in metrics.

Pure: settings are arguments. ``scheme`` is a value of ``METLOG_VIEW_NAMES``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from inspect import ismethod
from typing import Any, NamedTuple

from django.urls import ResolverMatch, URLPattern, URLResolver
from django.urls.resolvers import LocalePrefixPattern

from django_metlog._endpoints import endpoint
from django_metlog._exclusion import is_excluded
from django_metlog._segments import method_name, methods, segment
from metlog.diagnostics import Diagnostics

__all__ = ["Namer", "RequestNames", "ViewName", "in_urlconf", "mixed_up", "view_name"]

_NAMEABLE = re.compile(r"[\w-]")

_logger = logging.getLogger("django_metlog")


class ViewName(NamedTuple):
    """The name of a view in metrics."""

    group: str
    """The module, or the URL namespaces, dotted; empty if there is neither."""
    name: str
    """One segment."""

    def __str__(self) -> str:
        return f"{self.group}.{self.name}" if self.group else self.name


_diagnostics = Diagnostics("django-metlog")

UNREADABLE = ViewName("", segment(""))
"""The name of views that raise whenever they are inspected."""

FOLDED = ViewName("", "other")
"""The name of all further views once there are too many names."""


class _Texts(NamedTuple):
    """What the site calls a view, before it is split into segments."""

    group: Sequence[str]
    name: str
    divider: str

    def __str__(self) -> str:
        return self.divider.join((*self.group, self.name))


def view_name(match: ResolverMatch, method: str, scheme: str) -> ViewName:
    """Return the name of the view that ``match`` found, by one of three schemes.

    ``module``: ``shop.views`` and ``index``, ``BookList``, ``BookViewSet_retrieve``.
    ``url_name``: namespaces and URL name; by module for a pattern without a name.
    ``route``: the path with its parameters: ``books_int_pk``; ``root`` for ``/``.
    """
    return _as_segments(_texts(match, method, scheme))


def _as_segments(texts: _Texts) -> ViewName:
    return ViewName(".".join(map(segment, texts.group)), segment(texts.name))


def _texts(match: ResolverMatch, method: str, scheme: str) -> _Texts:
    if scheme == "route":
        return _Texts((), _route_name(match.route or ""), "")
    if scheme == "url_name" and match.url_name:
        return _Texts(match.namespaces, str(match.url_name), ":")
    return _texts_by_module(match.func, method)


def _texts_by_module(view: Callable[..., Any], method: str) -> _Texts:
    view = endpoint(view, method)
    cls = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if isinstance(cls, type):
        # A ViewSet of Django REST framework knows the action of each method.
        actions = getattr(view, "actions", None)
        action = actions.get(method.lower()) if isinstance(actions, dict) else None
        name = f"{cls.__name__}_{action}" if action else cls.__name__
        return _within(cls.__module__, name)
    if ismethod(view):
        return _within(view.__module__, view.__func__.__qualname__)
    own = getattr(view, "__name__", None)
    # An instance with __call__ has no name.
    name = own if isinstance(own, str) else type(view).__name__
    return _within(getattr(view, "__module__", None), name)


def _within(module: object, name: str) -> _Texts:
    return _Texts((module if isinstance(module, str) else "").split("."), name, ".")


def _route_name(route: str) -> str:
    if "(" in route or route.startswith("^"):
        from django.contrib.admindocs.views import simplify_regex

        route = simplify_regex(route)
    return route.strip("/") if _NAMEABLE.search(route) else "root"


def in_urlconf(
    resolver: URLResolver, scheme: str, languages: Sequence[str] = ()
) -> frozenset[str]:
    """Return every name that a view of this URLconf can have.

    ``languages`` are the codes that ``i18n_patterns`` puts before a route; they are
    part of a name only in the scheme ``route``.
    """
    names = set()
    for match in _matches(resolver, [], "", languages):
        for method in methods() if scheme == "module" else ("GET",):
            try:
                names.add(str(view_name(match, method, scheme)))
            except Exception:  # a view that raises whenever it is inspected
                names.add(str(UNREADABLE))
    return frozenset(names)


def mixed_up(
    resolver: URLResolver, scheme: str, languages: Sequence[str] = ()
) -> Iterator[tuple[str, list[str]]]:
    """Yield each name that several views of this URLconf share, such as ``a.b`` and
    ``a_b``, with what the site calls them."""
    called: dict[str, set[str]] = {}
    for match in _matches(resolver, [], "", languages):
        for method in methods() if scheme == "module" else ("GET",):
            with suppress(Exception):  # a view that raises whenever it is inspected
                texts = _texts(match, method, scheme)
                called.setdefault(str(_as_segments(texts)), set()).add(str(texts))
    yield from ((name, sorted(each)) for name, each in called.items() if len(each) > 1)


def _matches(
    resolver: URLResolver,
    namespaces: list[str | None],
    prefix: str,
    languages: Sequence[str],
) -> Iterator[ResolverMatch]:
    """Yield one match for each pattern, as resolving a path would return it."""
    parts = (
        (entry, part)
        for entry in resolver.url_patterns
        for part in _parts(entry.pattern, languages)
    )
    for entry, part in parts:
        # This is how Django joins the routes of nested patterns.
        route = prefix + part.removeprefix("^") if prefix else part
        if isinstance(entry, URLPattern):
            try:
                match = ResolverMatch(
                    entry.callback,
                    (),
                    {},
                    url_name=entry.name,
                    namespaces=namespaces,
                    route=route,
                )
            except Exception:  # noqa: S112  # Django cannot resolve that view either
                continue
            yield match
        else:
            inner = [entry.namespace] if entry.namespace else []
            yield from _matches(entry, [*namespaces, *inner], route, languages)


def _parts(pattern: object, languages: Sequence[str]) -> Iterator[str]:
    """Yield a pattern's part of a route; for a language prefix, one per language."""
    if not languages or not isinstance(pattern, LocalePrefixPattern):
        yield str(pattern)
        return
    yield from (f"{code}/" for code in languages)
    if not pattern.prefix_default_language:
        yield ""


class RequestNames(NamedTuple):
    """The names for a request to a view."""

    view: str
    group: str | None
    """Its module, or URL namespaces; None if that is not timed or there is neither."""
    method: str
    """A standard method, or ``OTHER``."""
    excluded: bool
    """Whether the view is marked with `django_metlog.exclude`."""


class Namer:
    """Names requests, and limits how many views it names."""

    def __init__(self, scheme: str, max_names: int, details: bool) -> None:
        """``max_names`` is how many distinct views get a name; others are ``other``.
        With ``details`` the view's group is timed, too.
        """
        self._scheme = scheme
        self._max_names = max_names
        self._details = details
        self._seen: set[ViewName] = set()
        self._folding = False

    def names(self, match: ResolverMatch, method: str | None) -> RequestNames:
        """Return the names for one request."""
        method = method_name(method)
        try:
            name = self._capped(view_name(match, method, self._scheme))
            excluded = is_excluded(match.func, method)
        except Exception as error:  # a view that raises whenever it is inspected
            _diagnostics.report("a view could not be read", error)
            name, excluded = UNREADABLE, False
        group = name.group if self._details and name.group else None
        return RequestNames(str(name), group, method, excluded)

    def _capped(self, name: ViewName) -> ViewName:
        if name in self._seen:
            return name
        if len(self._seen) < self._max_names:
            self._seen.add(name)
            return name
        if not self._folding:
            self._folding = True
            _logger.warning(
                "METLOG_VIEW_NAMES_MAX: %d view names were sent, further views are "
                "called 'other'; the first of them is %s",
                self._max_names,
                name,
            )
        return FOLDED
