# SPDX-License-Identifier: MPL-2.0
"""Renders of templates, timed: Django's engine and Jinja2, by the template's name.

A template's time includes what it renders in turn, by ``include`` or a form's widgets.
"""

from __future__ import annotations

from functools import cache
from time import perf_counter
from typing import Any

from django.template.backends.django import Template as DjangoTemplate

from django_metlog.catalogue import TEMPLATE
from django_metlog.patches._nesting import nesting
from django_metlog.patches._sending import survives, time
from django_metlog.patches._swap import Function, Swap

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """Time what ``render()`` of both backends does."""
    for swap in _swaps():
        swap.on()


def unpatch() -> None:
    """Restore both."""
    for swap in _swaps():
        swap.off()


_around = nesting("django_metlog_render")
"""The render that the code runs inside of."""


def _timed(render: Function) -> Function:
    def timed(template: Any, /, *args: Any, **named: Any) -> Any:
        if _around.get():
            return render(template, *args, **named)
        inside = [True]
        start = perf_counter()
        try:
            _around.set(inside)
            return render(template, *args, **named)
        finally:
            inside.clear()
            _tell_render(template, start)

    return timed


@survives
def _tell_render(template: Any, start: float) -> None:
    time(TEMPLATE, start, name=_name(template.template) or "inline")


@cache
def _swaps() -> list[Swap]:
    templates: list[type] = [DjangoTemplate]
    try:
        from django.template.backends.jinja2 import Template as JinjaTemplate
    except ImportError:
        pass  # Jinja2 is not installed
    else:
        templates.append(JinjaTemplate)
    return [Swap(template, "render", _timed) for template in templates]


def _name(template: Any) -> str | None:
    """Return the name it was requested by, ``page.html#part`` for a partial; None for a
    template made from a string."""
    name: str | None = getattr(template, "name", None)
    page = getattr(getattr(template, "origin", None), "template_name", None)
    return f"{page}#{name}" if name and page and name != page else name
