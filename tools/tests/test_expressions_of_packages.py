# SPDX-License-Identifier: MPL-2.0
"""Every regular expression of the packages, and what somebody hostile would feed it."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import expressions
import pytest

import django_metlog
import metlog
import metlog_toolbar
from django_metlog import upgrade

Table = dict[tuple[str, str], list[str]]
"""File and expression, and what that is fed again and again."""

SECRET = r"""
    (
      (?:authorization|api[-_]?key|token|secret|passw(?:or)?d|cookie|credential)
      [\w-]{0,40}
      (?: ['"]\s{0,9}[:,] | \s{0,9}[:=] ) \s{0,9}
    )
    (?: '[^']{0,9999}' | "[^"]{0,9999}" | (?:(?:bearer|basic)\s{1,9})?[^\s'",;&)}\]]+ )
    """

METLOG: Table = {
    # What others raised: their addresses, their headers, their arguments.
    ("diagnostics.py", r"://[^\s/?#]*@"): ["://", "@", "://@", "://a:a@", ":"],
    ("diagnostics.py", SECRET): [
        "token",
        "token=",
        "token='",
        'token="',
        "token='secret=\"",
        "token: bearer ",
        "cookie " + " " * 9,
        "authorization" + "-" * 40,
    ],
    # Names, labels and values, of whoever calls the client.
    ("rules.py", r"[^\s\x00-\x1f\x7f]+"): ["a", "a ", "\x00"],
    ("catalogue.py", r"[^\w-]+"): ["/", "a/", "é."],
    ("catalogue.py", r"<([A-Za-z][A-Za-z0-9_]*)(…)?>"): ["<", "<a", "<a…", "<a>", "…>"],
    ("wire/statsd.py", r"[:|@#\s\x00-\x1f\x7f-\x9f]"): [":", "a|", "\n", "\x80"],
    ("wire/statsd.py", r"[:|@#,\s\x00-\x1f\x7f-\x9f]"): [":", "a,", "\n", "\x80"],
    ("wire/statsd.py", r"[|,\s\x00-\x1f\x7f-\x9f]"): ["|", "a,", "\n", "\x80"],
    ("wire/prometheus.py", r"[^A-Za-z0-9]+"): ["_", "a_", "é"],
    (
        "wire/prometheus.py",
        r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])",
    ): ["aA", "AAa", "A", "a1"],
    ("wire/prometheus.py", "(?<=[a-z])_count$"): ["_count", "a_count", "_", "a_coun"],
    (
        "wire/text.py",
        r"\\(?:ud[89ab]..\\ud[c-f]..|(ud[89a-f]..)|.)",
    ): ["\\", "\\ud800", "\\ud800\\", "\\u", "ud8"],
    ("senders/_otlp_metrics.py", r"[^A-Za-z0-9_./-]"): [":", "a", "é"],
    ("senders/_datadog.py", r"[|\s\x00-\x1f\x7f-\x9f]"): ["|", "a|", "\n"],
    ("senders/_statsd_forms.py", r"[0-9]+"): ["1", "1a", "٣"],
    # The environment and the configuration.
    ("senders/_datadog.py", r"[,\s]+"): [",", " ,", "a:b,", "a "],
    ("senders/_delivery/socket.py", r"[\s\x00/:@\[\]]"): ["/", ":", "a", "["],
    ("senders/_delivery/socket.py", r"[!-~]+"): ["a", "%", "é"],
    ("senders/_otlp_values.py", r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"): ["a", "a=", "!"],
    ("senders/_otlp_environment.py", r"[A-Za-z-]{1,16}"): ["a", "-", "a" * 16],
    ("senders/_otlp_values.py", "[?#]"): ["?", "#", "a"],
    (
        "senders/_otlp_values.py",
        r"(?:[!-~\xa1-\xff][\t -~\xa0-\xff]*)?",
    ): ["a", " ", "a ", "a\n", "\xa0"],
    (
        "senders/_otlp_values.py",
        r"[\s#\x00-\x1f\x7f\ud800-\udfff]",
    ): [" ", "a", "#", "\ud800"],
    ("senders/_otlp_values.py", r"[\w.~-]+"): ["a", ".", "-", "a/", "é"],
    ("_ini.py", r"\$\{(\w+)\}"): ["$", "${", "${a", "${a}", "}"],
    ("_ini.py", r"0|-?[1-9][0-9]{0,18}"): ["0", "1", "-1", "1" * 19],
    ("_ini.py", "[-:. ]"): ["-", ".", "a"],
    # The command line's own server, and the patterns of declarations.
    ("_cli/watch/serve.py", r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?"): [
        "localhost",
        "127.0.0.1:",
        "[::1]:1",
        ":1",
    ],
    ("_cli/watch/roles.py", r"<[^<>]*>|[^.]+"): ["<", ".<", "<a", "<.>", "a."],
    ("_cli/dashboard/graphite.py", r"<[^<>]*>|[^.]+"): ["<", ".<", "<a", "<.>", "a."],
    ("_cli/dashboard/graphite.py", r"\bp(75|95)\b"): ["p", "p75", " p9", "p95 "],
    ("_cli/dashboard/graphite.py", r"[^A-Za-z0-9_-]+"): ["/", "a/", "é"],
    ("_cli/mapping.py", r"<[^.>]*"): ["<", "<a", "<.", "a>"],
    ("_cli/mapping.py", r"<[^<.>]*(\.\.\.)?>"): ["<", "<a", "<...", "<a..", "a>"],
    ("_cli/mapping.py", r"<([^<.>]*)(?:\.\.\.)?>"): ["<", "<a", "<...", "<a..", "a>"],
}

DJANGO_METLOG: Table = {
    # A browser's report, to which anybody may send anything.
    ("_beacons.py", r"-?[0-9]+(?:\.[0-9]+)?"): ["1", "-1", "1.", ".1", "1.1"],
    ("_beacons.py", r"[0-9]{1,15}"): ["1", "1" * 15, "1" * 16],
    ("_beacons.py", r"[a-z][a-z_-]*"): ["a", "a-", "_a", "A"],
    ("_beacons.py", r"-?[0-9]{16}"): ["1", "-", "1" * 15, "-" + "1" * 16],
    ("_page_events.py", r"-?[0-9]{1,15}(?:\.[0-9]{1,25})?(?:e-[0-9]{1,3})?"): [
        *("1", "-", "-1", "1.", "1" * 15 + ".", "1e-", "1e-1", "e-", ".1e-1"),
    ],
    ("_page_events.py", r"[\w-]{1,64}"): ["a", "-a", "a" * 64],
    ("_page_events.py", r"[?#]"): ["?", "#", "a?", "/"],
    # A request's headers and its path.
    ("_headers.py", r"(?:t=)?([0-9]{1,19}(?:\.[0-9]{1,9})?)"): ["t=", "1", "t=1.", "t"],
    ("_view_names.py", r"[\w-]"): ["/", "<", "^$", "a"],
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
    ("_template_check.py", r"'(\w+)' is not a registered tag library"): [
        "'",
        "'a",
        "a' is not a registered tag library",
        "'a' is not",
    ],
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

TOOLBAR: Table = {
    # The names and values of whatever the site sends, and a backend's address.
    ("_graphite.py", r"[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*"): ["a", "a.", ".", "%"],
    ("_present.py", "[^A-Za-z0-9._-]"): ["/", "a", "é"],
    (
        "_summary.py",
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]",
    ): ["\x00", "\x1f", "\ud800", "\ufffe", "a"],
    ("_summary.py", "[\t\n\u2028\u2029]"): ["\t", "\u2028", "a"],
}


def folder(package: ModuleType) -> Path:
    return Path(str(package.__file__)).parent


TABLES: dict[ModuleType, Table] = {
    metlog: METLOG,
    django_metlog: DJANGO_METLOG,
    metlog_toolbar: TOOLBAR,
}

SOURCE = {package: expressions.in_source(folder(package)) for package in TABLES}

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


@pytest.mark.parametrize("package", TABLES, ids=lambda package: package.__name__)
def test_every_expression_is_here(package: ModuleType) -> None:
    """A new one comes with what may be fed to it."""
    built = BUILT if package is django_metlog else {}
    assert not expressions.unknown(folder(package), {**TABLES[package], **built})


@pytest.mark.parametrize(
    ("package", "place"),
    [
        pytest.param(package, place, id=ascii((package.__name__, *place)))
        for package, table in TABLES.items()
        for place in table
    ],
)
def test_it_is_linear(package: ModuleType, place: tuple[str, str]) -> None:
    """Text that is longer costs in proportion, however hostile it is."""
    expression = SOURCE[package][place]
    assert expression is not None
    fed = TABLES[package][place]
    assert fed
    assert not list(expressions.not_linear(expression, fed))


@pytest.mark.parametrize("place", BUILT, ids=ascii)
def test_what_is_put_together_is_linear(place: tuple[str, str]) -> None:
    """So does what is only known while the program runs."""
    for expression, fed in BUILT[place].items():
        assert not list(expressions.not_linear(re.compile(expression), fed))
