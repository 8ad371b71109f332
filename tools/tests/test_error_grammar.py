# SPDX-License-Identifier: MPL-2.0
"""Errors have one grammar, in all packages: ``expected X, got Y``."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"
SOURCES = sorted(PACKAGES.glob("*/src/**/*.py"))
GRAMMARS = ("expected ", " must ")


def text_of(node: ast.expr) -> str:
    """What is written of it, whatever is put in."""
    parts = [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    return "".join(parts)


def off(source: str) -> list[str]:
    """The errors that are raised there with what they got, and not what they want."""
    return [
        f"{raised.lineno}: {said}"
        for raised in ast.walk(ast.parse(source))
        if isinstance(raised, ast.Raise) and isinstance(raised.exc, ast.Call)
        for said in map(text_of, raised.exc.args)
        if ", got" in said and not any(words in said for words in GRAMMARS)
    ]


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGES))
)
def test_who_says_what_it_got_says_what_was_expected(path: Path) -> None:
    """``expected X, got Y``, or ``X must be Y, got Z``."""
    assert not off(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("error", "is_off"),
    [
        ("'expected a name, got 3'", False),
        ("f'the name must be text, got {name!r}'", False),
        ("f'a name wanted, got {name!r}'", True),
        ("'a name' + f', got {name!r}', 'section'", True),
        ("f'it takes {names}, got {name!r}'", True),
        ("'there is no such name'", False),
    ],
)
def test_the_grammar_is_told_from_others(error: str, is_off: bool) -> None:
    assert bool(off(f"raise ValueError({error})")) is is_off
