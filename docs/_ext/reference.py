# SPDX-License-Identifier: MPL-2.0
"""Reference tables made from the code: every setting, every metric, every check.

``{metlog-settings}``, ``{metlog-metrics}`` and ``{metlog-checks}`` read the tables that
django-metlog itself works from, so that the pages cannot drift.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

from metlog.senders.base import BaseSender

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sphinx.application import Sphinx


class Settings(SphinxDirective):
    """One entry a setting: name, historic alias, default, what fits, meaning."""

    def run(self) -> list[nodes.Node]:
        from django_metlog import conf

        return [
            _entry(
                setting.name,
                [
                    *([f"Historic alias: `{setting.alias}`."] if setting.alias else []),
                    "Required."
                    if setting.required
                    else f"Default: `{setting.default!r}`.",
                    f"Must be {setting.expected}.",
                    f"{setting.meaning[0].upper()}{setting.meaning[1:]}.",
                ],
            )
            for setting in conf.SETTINGS.values()
        ]


class Metrics(SphinxDirective):
    """A table of the metrics whose name begins with the argument, or of all."""

    optional_arguments = 1
    header: ClassVar = (
        *("Dotted name", "Name with labels", "Labels", "Kind", "Unit"),
        "When, and what it says",
    )

    def run(self) -> list[nodes.Node]:
        import django_metlog.catalogue  # noqa: F401  # declares its metrics
        from metlog import catalogue

        prefix = self.arguments[0] if self.arguments else ""
        rows = [
            (
                _name(metric.name),
                _name("" if metric.sum_of else metric.base),
                nodes.Text("" if metric.sum_of else ", ".join(metric.labels)),
                nodes.Text(metric.kind),
                nodes.Text(metric.unit),
                _paragraph(metric.meaning),
            )
            for metric in catalogue.metrics()
            if metric.name.startswith(prefix)
        ]
        if not rows:
            raise self.error(f"no metric begins with {prefix!r}")
        return [_table(self.header, rows)]


class Checks(SphinxDirective):
    """The ids of django-metlog's checks: one a setting, and those of ``checks``."""

    def run(self) -> list[nodes.Node]:
        from django_metlog import checks, conf

        rows = [
            (setting.check, f"{setting.name} is not {setting.expected}")
            for setting in conf.SETTINGS.values()
        ]
        # The other ids stand in the table of the module's docstring.
        rows += [
            (f"django_metlog.{found[1]}", found[2])
            for line in (checks.__doc__ or "").splitlines()
            if (found := re.fullmatch(r"``([EW]\d+)``\s+([^…].+)", line))
        ]
        return [
            _table(
                ("Id", "Found"),
                [
                    (nodes.literal(text=key), _paragraph(text))
                    for key, text in sorted(rows)
                ],
            )
        ]


def _entry(name: str, sentences: list[str]) -> nodes.Node:
    section = nodes.section(ids=[name.lower().replace("_", "-")], names=[name.lower()])
    section += nodes.title("", "", nodes.literal(text=name))
    for sentence in sentences:
        section += _paragraph(sentence)
    return section


def _paragraph(text: str) -> nodes.paragraph:
    """A paragraph in which `this` is code."""
    paragraph = nodes.paragraph()
    for i, part in enumerate(text.replace("``", "`").split("`")):
        paragraph += nodes.literal(text=part) if i % 2 else nodes.Text(part)
    return paragraph


def _name(text: str) -> nodes.literal:
    """A name that may be broken after its dots, or it hides the columns behind it."""
    name = nodes.literal()
    first, *others = text.split(".")
    name += nodes.Text(first)
    for part in others:
        name += nodes.raw("", "<wbr>", format="html")
        name += nodes.Text(f".{part}")
    return name


def _table(header: Iterable[str], rows: Iterable[Iterable[nodes.Node]]) -> nodes.Node:
    header = list(header)
    group = nodes.tgroup(cols=len(header))
    for _ in header:
        group += nodes.colspec(colwidth=1)
    group += nodes.thead("", _row(nodes.Text(text) for text in header))
    body = nodes.tbody()
    for row in rows:
        body += _row(row)
    group += body
    return nodes.table("", group)


def _row(cells: Iterable[nodes.Node]) -> nodes.row:
    return nodes.row(
        "",
        *(
            nodes.entry(
                "",
                cell
                if isinstance(cell, nodes.paragraph)
                else nodes.paragraph("", "", cell),
            )
            for cell in cells
        ),
    )


def own_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, args: str, returns: str
) -> tuple[str, None] | None:
    """What a sender takes, with the defaults: autodoc shows the ``__new__`` of all,
    which takes anything. A protocol is not called at all."""
    if what != "class" or not isinstance(obj, type):
        return None
    if getattr(obj, "_is_protocol", False):
        return "", None
    if not issubclass(obj, BaseSender):
        return None
    has_none = obj.__init__ is object.__init__
    found = inspect.Signature() if has_none else inspect.signature(obj)
    return stringify_signature(
        found, show_annotation=False, show_return_annotation=False
    ), None


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-signature", own_signature)
    app.add_directive("metlog-checks", Checks)
    app.add_directive("metlog-settings", Settings)
    app.add_directive("metlog-metrics", Metrics)
    return {"parallel_read_safe": True}
