# SPDX-License-Identifier: MPL-2.0
"""`make check`: who may import whom. Imports only go down, by the tables here.

python tools/floors.py --draw    # draws the picture in docs/architecture.md again

import-linter 2.17 was tried. It cannot say which modules alone may import
``django.conf.settings`` ("subpackages of external packages are not valid"), nor that
only the listed packages may come from outside, nor that a sibling's private names are
off limits (``metlog._*``: "a wildcard can only replace a whole module"). It does not
see an import of a package's own ``__init__`` as one that goes up, and cannot have
``senders.base`` on another floor than ``senders``.
"""

from __future__ import annotations

import ast
import os
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by tools/floors.py -->\n", "<!-- end -->\n"
FOR_TYPES = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


@dataclass(frozen=True)
class House:
    """A package: its floors from the top, and who may use what from outside."""

    source: str
    floors: tuple[str, ...]
    """The modules of a floor, with spaces between; a folder stands for all in it."""
    everywhere: frozenset[str] = frozenset()
    only: dict[str, set[str]] = field(default_factory=dict)
    """Names from outside → the only modules that may import them."""


HOUSES = {
    "metlog": House(
        "packages/metlog-core/src/metlog",
        floors=(
            "__main__ _cli pytest_plugin testing",
            "__init__",
            "holder",
            "config decorators",
            "_registry logging",
            "client",
            "_seams",
            "_wiring",
            "_route",
            "filters _timers capture senders _factory _observe _measurement",
            "senders._exporting senders._self_metrics",
            "handles _handle_table",
            "_aggregate",
            "shapes",
            "rules catalogue _declaration_checks",
            "senders._delivery",
            "senders.base",
            "exceptions _severity message metrics path _ini _labels semconv",
            "wire",
            "diagnostics _lasting _lookalikes _patching",
            "_living _version",
        ),
        only={
            "opentelemetry": {
                "senders._otlp_batches",
                "senders._otlp_exporters",
                "senders._otlp_logs",
                "senders._otlp_metrics",
                "senders._otlp_session",
            },
            "prometheus_client": {
                "senders._prometheus_collector",
                "senders.prometheus",
            },
            "pytest": {"pytest_plugin"},
            "requests": {"senders._otlp_session"},
            "urllib3": {"senders._otlp_session"},
            "zmq": {"senders.zmq"},
        },
    ),
    "django_metlog": House(
        "packages/django-metlog/src/django_metlog",
        floors=(
            "__init__ apps asgi metrics_urls urls",
            "middleware views patches loggers checks panel management",
            "_template_check _app_check _deployment_check _names_check",
            "templatetags",
            "_reported",
            "_beacons _labels guards _headers _message_fields upgrade _view_names",
            "scope catalogue",
            "_exclusion _page_events _segments",
            "_endpoints",
            "conf",
            "_imported _known_settings",
            "_metlog_dict",
        ),
        everywhere=frozenset({"asgiref", "django", "metlog"}),
        only={
            "celery": {"patches.celery"},
            "django.conf.settings": {"conf"},
            "metlog_toolbar": {"panel"},
        },
    ),
    "metlog_toolbar": House(
        "packages/metlog-toolbar/src/metlog_toolbar",
        floors=(
            "panel __init__",
            "views",
            "_collect _summary _present _graphite _prometheus",
            "_asking _graph",
            "conf",
        ),
        everywhere=frozenset({"asgiref", "django", "metlog"}),
        only={"debug_toolbar": {"panel"}, "django.conf.settings": {"conf"}},
    ),
}


def main() -> int:
    text = PICTURE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    drawn = f"{before}{BEGIN}{picture()}{END}{rest.partition(END)[2]}"
    if "--draw" in sys.argv:
        PICTURE.write_text(drawn, encoding="utf-8")
        return 0
    broken = [line for name in HOUSES for line in judge(name, HOUSES[name])]
    if drawn != text:
        broken.append(f"{PICTURE.name} shows other floors: run tools/floors.py --draw")
    for line in broken:
        print(line)
    if not broken:
        print("Floors: every import goes down.")
    return 1 if broken else 0


def picture() -> str:
    """Return the floors of every package, with the modules on them."""
    return "\n".join(
        line for name, house in HOUSES.items() for line in draw(name, house)
    )


def draw(package: str, house: House) -> Iterator[str]:
    """Return the names to draw: one for a folder, but for ``senders`` each backend."""
    source = ROOT / house.source
    floors: dict[int | None, set[str]] = {}
    for module in modules(source):
        name = module.partition(".")[0]
        if name == "senders":
            name = ".".join(module.split(".")[:2])
            known = any(name in floor.split() for floor in house.floors)
            if name == "senders" or ("._" in name and not known):
                continue  # it belongs to a backend
        floors.setdefault(floor_of(name, house), set()).add(name)
    shown = [
        textwrap.fill("  ".join(sorted(floors[number])), 84, break_on_hyphens=False)
        for number in range(len(house.floors))
    ]
    width = max(len(line) for text in shown for line in text.splitlines())
    rule = "─" * (width + 2)
    yield f"```text\n{package}\n┌{rule}┐"
    for number, text in enumerate(shown):
        if number:
            yield f"├{rule}┤"
        for line in text.splitlines():
            yield f"│ {line:{width}} │"
    yield f"└{rule}┘\n```\n"


def modules(source: Path) -> Iterator[str]:
    """Yield the name of each module in that folder, without the package's."""
    for path in sorted(source.rglob("*.py")):
        module = ".".join(path.relative_to(source).with_suffix("").parts)
        yield module if module == "__init__" else module.removesuffix(".__init__")


def judge(package: str, house: House) -> Iterator[str]:
    """Return a sentence for each import that breaks a rule, with file and line."""
    source = ROOT / house.source
    for path in sorted(source.rglob("*.py")):
        module = ".".join(path.relative_to(source).with_suffix("").parts)
        if module != "__init__":
            module = module.removesuffix(".__init__")
        where = os.path.relpath(path, ROOT)
        here = floor_of(module, house)
        if here is None:
            yield f"{where}: {package}.{module} stands on no floor of tools/floors.py"
            continue
        for line, target in imports(ast.parse(path.read_text(encoding="utf-8"))):
            reason = objection(package, house, module, here, target)
            if reason:
                yield f"{where}:{line}: {reason}"


def objection(
    package: str, house: House, module: str, here: int, target: str
) -> str | None:
    """Return why this module may not import that, or None if it may."""
    top = target.partition(".")[0]
    if top == package:
        inside = module_of(target.partition(".")[2], ROOT / house.source)
        there = floor_of(inside, house)
        if there is None or there >= here:
            return None
        return f"{package}.{module} imports {package}.{inside}, which stands above it"
    if top in HOUSES and "._" in target:
        return f"{target} is {top}'s own: import a public name"
    for name, owners in house.only.items():
        if target == name or target.startswith(f"{name}."):
            if any(module == one or module.startswith(f"{one}.") for one in owners):
                return None
            return f"{name} may be imported by {', '.join(sorted(owners))} alone"
    if top in sys.stdlib_module_names or top in house.everywhere:
        return None
    return f"{package} may not import {top}"


def module_of(inside: str, source: Path) -> str:
    """`client.MetlogClient` → `client`; a name of the package itself → `__init__`."""
    while inside:
        path = source.joinpath(*inside.split("."))
        if path.with_suffix(".py").exists() or path.is_dir():
            return inside
        inside = inside.rpartition(".")[0]
    return "__init__"


def floor_of(module: str, house: House) -> int | None:
    """Return the floor, 0 at the top; the longest name that fits decides."""
    fits = [
        (len(name), number)
        for number, names in enumerate(house.floors)
        for name in names.split()
        if module == name or module.startswith(f"{name}.")
    ]
    return max(fits)[1] if fits else None


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield all imports that run, wherever they are; those for type checkers do not."""
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from ((node.lineno, f"{node.module}.{a.name}") for a in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test) in FOR_TYPES:
        for other in node.orelse:
            yield from imports(other)
    else:
        for child in ast.iter_child_nodes(node):
            yield from imports(child)


if __name__ == "__main__":
    sys.exit(main())
