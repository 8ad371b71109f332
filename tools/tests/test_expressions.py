# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re
from pathlib import Path

import expressions
import pytest


@pytest.mark.parametrize(
    "expression",
    [
        r"(a+)+b",
        r"(?:a|--[^\n]*)*b",
        r"a*a*b",
        r"[0-9]*\.?[0-9]+",
        r"(?:a|a)*b",
        r"\s+$",
        r"<[^>]*>",
        r"[^,]*,",
        r"(?:[\w.]+@)+x",
        r"[^,]{0,9999},",
        r"a+b+",
        rb"\s*stick",
    ],
)
def test_what_is_not_linear_is_found(expression: str | bytes) -> None:
    """A loop in a loop, two that share a text, and one that is tried everywhere."""
    assert any(expressions.not_linear(re.compile(expression), []))


@pytest.mark.parametrize(
    "expression",
    [
        r"[0-9]+",
        r"ab+",
        r"://[^\s/?#]*@",
        r"(?:\w\.)*",
        r"'[^']*'",
        r"<[^<>]*>",
        r"[\w-]{1,64}x",
        r"(?<=a)b*|c",
        r"(?!ab)a|^b$",
        rb"\{%\s*stick",
    ],
)
def test_what_is_linear_is_not(expression: str | bytes) -> None:
    """A limit counts as one, and so does a character that the loop leaves out."""
    assert not list(expressions.not_linear(re.compile(expression), ["a", "1", "ab"]))


def test_every_call_is_found(tmp_path: Path) -> None:
    """With its flags, wherever it is; what is put together is found, too."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.py").write_text(
        "import re\n"
        "A = re.compile(rb'a', re.ASCII | re.IGNORECASE)\n"
        "def f(x):\n"
        "    return re.sub('b', '', re.escape(x)), re.search(f'{x}b', x, flags=re.M)\n"
    )
    assert expressions.in_source(tmp_path) == {
        ("inner/one.py", "a"): re.compile(b"a", re.ASCII | re.IGNORECASE),
        ("inner/one.py", "b"): re.compile("b"),
        ("inner/one.py", "f'{x}b'"): None,
    }
    assert expressions.unknown(
        tmp_path, {("inner/one.py", "b"): [], ("x", "y"): []}
    ) == {
        ("inner/one.py", "a"),
        ("inner/one.py", "f'{x}b'"),
        ("x", "y"),
    }


@pytest.mark.parametrize("line", ["from re import compile", "import re as regex"])
def test_no_call_is_hidden(tmp_path: Path, line: str) -> None:
    """What the search would not see is refused."""
    (tmp_path / "one.py").write_text(line)
    with pytest.raises(AssertionError, match=r"one\.py: expected"):
        expressions.in_source(tmp_path)


ROOT = Path(__file__).parents[2]
LITERAL = re.compile(r"(?:[(!]|[=:] )/(?![/*])((?:[^/\\\n]|\\.)+)/(?=[.,;)])")

JAVASCRIPT = {
    ("packages/metlog-stick-js/src/core.ts", "^load|Comp"): ["load", "Com"],
    ("packages/metlog-stick-js/src/fields.ts", "^l|Comp"): ["l", "Com"],
    # A page's attributes, and what it threw.
    ("packages/metlog-stick-js/src/script-all.ts", r"\bdevice_type\b"): [
        "device_",
        " ",
    ],
    ("packages/metlog-stick-js/src/script-all.ts", r"\bconnection\b"): ["connect", " "],
    ("packages/metlog-stick-js/src/errors.ts", r"^\w{0,30}Error$"): ["Error", "Erro"],
    # Names of the browser's own milestones, and of those that a site made up.
    (
        "packages/metlog-stick-js/src/milestones.ts",
        "^dom|^([ursl]|fe|co).*(rt|End)$",
    ): ["dom", "fe", "rt", "En", "uEnd"],
    ("packages/metlog-core/src/metlog/_cli/watch/page/watch.js", "seriess$"): [
        "series"
    ],
    ("packages/metlog-core/src/metlog/_cli/watch/page/chart.js", "(?<=[._])"): [
        ".",
        "_",
        "a",
    ],
    (
        "packages/metlog-toolbar/src/metlog_toolbar/static/metlog_toolbar/panel.js",
        r"\s+",
    ): [" ", "a "],
}


def test_every_expression_of_a_browser_is_here() -> None:
    """A new one comes with what may be fed to it; built scripts hold the same again."""
    sources = [
        *ROOT.glob("packages/*/src/**/*.ts"),
        *ROOT.glob("packages/*/src/**/*.js"),
    ]
    found = set()
    for path in sources:
        if path.parent.name == "static" and path.name.startswith("stick"):
            continue
        text = path.read_text(encoding="utf-8")
        assert "RegExp(" not in text
        name = path.relative_to(ROOT).as_posix()
        found |= {(name, expression) for expression in LITERAL.findall(text)}
    assert found == set(JAVASCRIPT)


@pytest.mark.parametrize("place", JAVASCRIPT, ids=ascii)
def test_a_browsers_expression_is_linear(place: tuple[str, str]) -> None:
    """They say the same in Python."""
    expression = re.compile(place[1], re.ASCII)
    assert not list(expressions.not_linear(expression, JAVASCRIPT[place]))
