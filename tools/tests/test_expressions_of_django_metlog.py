# SPDX-License-Identifier: MPL-2.0
"""Every regular expression of the package, and what somebody hostile would feed it."""

from __future__ import annotations

import re
from pathlib import Path

import expressions
import pytest

import django_metlog
from django_metlog import upgrade

PACKAGE = Path(django_metlog.__file__).parent
SOURCE = expressions.in_source(PACKAGE)

WRITTEN: dict[tuple[str, str], list[str]] = {
    # A browser's report, to which anybody may send anything.
    ("_beacons.py", r"-?[0-9]+(?:\.[0-9]+)?"): ["1", "-1", "1.", ".1", "1.1"],
    ("_beacons.py", r"[0-9]{1,15}"): ["1", "1" * 15, "1" * 16],
    ("_beacons.py", r"[a-z][a-z_-]*"): ["a", "a-", "_a", "A"],
    ("_beacons.py", r"-?[0-9]{16}"): ["1", "-", "1" * 15, "-" + "1" * 16],
    ("_page_events.py", r"[0-9]{1,15}(?:\.[0-9]{1,25})?"): ["1", "1.", "1" * 15 + "."],
    ("_page_events.py", r"[\w-]{1,64}"): ["a", "-a", "a" * 64],
    ("_page_events.py", r"[?#]"): ["?", "#", "a?", "/"],
    # A request's headers and its path.
    ("_headers.py", r"(?:t=)?([0-9]{1,19}(?:\.[0-9]{1,9})?)"): ["t=", "1", "t=1.", "t"],
    ("_view_names.py", r"[\w-]"): ["/", "<", "^$", "a"],
    ("_segments.py", r"[^\w-]+"): ["/", "a/", "é.", "\ud800"],
    # Statements, with whatever comments their authors like.
    ("patches/_operation.py", r"[\s(;]*"): ["(", " ;", "-- -\n", "/**/", "--"],
    ("patches/_operation.py", r"[A-Za-z]+"): ["a", "SELECT", "a1", "--"],
    # The site's own settings, templates and command lines.
    ("_known_settings.py", r"[A-Za-z0-9-]+"): ["X-", "-", "a:"],
    (
        "_known_settings.py",
        r"[^\s/:@\[\]]+|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*",
    ): [":", "a:", "::", "1.", "a.:", "[:"],
    ("_template_check.py", r"\{%\s*stick\s"): ["{%", "{% ", "{% stick", "{", " "],
    ("_template_check.py", r"\b(end)?stick\b|\bdjango_metlog\b"): [
        "stick",
        "end",
        "endstick ",
        "django_",
    ],
    (
        "management/commands/statsd_ping.py",
        r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[-+]?[0-9]+)?",
    ): ["1", "1.", "1e", "1e1", "-", "e1"],
    ("upgrade.py", "[-_.]+"): ["-", "-_", "a."],
}

BUILT: dict[tuple[str, str], dict[str, list[str]]] = {
    ("upgrade.py", "expression"): {
        expression: ["django_statsd.", "django_prometheus.cache.backends.", "a.", "."]
        for expression, _ in upgrade._NAMES
    },
    ("upgrade.py", r"f'(?<![\\w.]){re.escape(found)}(?![\\w.])'"): {
        rf"(?<![\w.]){re.escape(found)}(?![\w.])": [found, found[:-1], found[0], "."]
        for found in ("django_statsd.clients", "aaaaaaaab", "a.a.a.a")
    },
    # METLOG_EXCLUDE, which the site writes, and which `check` compiles.
    ("middleware/_plan.py", "expression"): {},
    ("_known_settings.py", "item"): {},
}


def test_every_expression_is_here() -> None:
    """A new one comes with what may be fed to it."""
    assert not expressions.unknown(PACKAGE, {**WRITTEN, **BUILT})


@pytest.mark.parametrize("place", WRITTEN, ids=ascii)
def test_it_is_linear(place: tuple[str, str]) -> None:
    """Text that is longer costs in proportion, however hostile it is."""
    expression = SOURCE[place]
    assert expression is not None
    assert WRITTEN[place]
    assert not list(expressions.not_linear(expression, WRITTEN[place]))


@pytest.mark.parametrize("place", BUILT, ids=ascii)
def test_what_is_put_together_is_linear(place: tuple[str, str]) -> None:
    """So does what is only known while the program runs."""
    for expression, words in BUILT[place].items():
        assert not list(expressions.not_linear(re.compile(expression), words))
