# SPDX-License-Identifier: MPL-2.0
"""Every regular expression of the package, and what somebody hostile would feed it."""

from __future__ import annotations

from pathlib import Path

import expressions
import pytest

import metlog_toolbar

PACKAGE = Path(metlog_toolbar.__file__).parent
SOURCE = expressions.in_source(PACKAGE)

# The names and values of whatever the site sends, and a backend's address.
WRITTEN: dict[tuple[str, str], list[str]] = {
    ("_graphite.py", r"[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*"): ["a", "a.", ".", "%"],
    ("_present.py", "[^A-Za-z0-9._-]"): ["/", "a", "é"],
    (
        "_summary.py",
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]",
    ): ["\x00", "\x1f", "\ud800", "\ufffe", "a"],
    ("_summary.py", "[\t\n\u2028\u2029]"): ["\t", "\u2028", "a"],
}


def test_every_expression_is_here() -> None:
    """A new one comes with what may be fed to it."""
    assert not expressions.unknown(PACKAGE, WRITTEN)


@pytest.mark.parametrize("place", WRITTEN, ids=ascii)
def test_it_is_linear(place: tuple[str, str]) -> None:
    """Text that is longer costs in proportion, however hostile it is."""
    expression = SOURCE[place]
    assert expression is not None
    assert WRITTEN[place]
    assert not list(expressions.not_linear(expression, WRITTEN[place]))
