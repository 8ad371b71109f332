# SPDX-License-Identifier: MPL-2.0
"""Every regular expression of the package, and what somebody hostile would feed it."""

from __future__ import annotations

from pathlib import Path

import expressions
import pytest

import metlog

PACKAGE = Path(metlog.__file__).parent
SOURCE = expressions.in_source(PACKAGE)

SECRET = r"""
    (
      (?:authorization|api[-_]?key|token|secret|passw(?:or)?d|cookie|credential)
      [\w-]{0,40}
      (?: ['"]\s{0,9}[:,] | \s{0,9}[:=] ) \s{0,9}
    )
    (?: '[^']{0,9999}' | "[^"]{0,9999}" | (?:(?:bearer|basic)\s{1,9})?[^\s'",;&)}\]]+ )
    """

WRITTEN: dict[tuple[str, str], list[str]] = {
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
    ("senders/_otlp_metrics.py", r"[^A-Za-z0-9_./-]"): [":", "a", "é"],
    ("senders/_datadog.py", r"[|\s\x00-\x1f\x7f-\x9f]"): ["|", "a|", "\n"],
    ("senders/_statsd_forms.py", r"[0-9]+"): ["1", "1a", "٣"],
    # The environment and the configuration.
    ("senders/_datadog.py", r"[,\s]+"): [",", " ,", "a:b,", "a "],
    ("senders/_delivery/socket.py", r"[\s\x00/:@\[\]]"): ["/", ":", "a", "["],
    ("senders/_delivery/socket.py", r"[!-~]+"): ["a", "%", "é"],
    ("senders/_otlp_environment.py", r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"): ["a", "a=", "!"],
    ("senders/_otlp_environment.py", r"[A-Za-z-]{1,16}"): ["a", "-", "a" * 16],
    ("senders/_otlp_environment.py", r"[\t\x20-\x7e\x80-\xff]*"): [" ", "a\n", "\x80"],
    (
        "senders/_otlp_environment.py",
        r"[\s#\x00-\x1f\x7f\ud800-\udfff]",
    ): [" ", "a", "#", "\ud800"],
    ("senders/_otlp_environment.py", r"[\w.:%~-]+"): ["a", ".", "-", "a/", "é"],
    ("_ini.py", r"\$\{(\w+)\}"): ["$", "${", "${a", "${a}", "}"],
    ("_ini.py", r"0|-?[1-9][0-9]{0,18}"): ["0", "1", "-1", "1" * 19],
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
    ("_cli/mapping.py", r"<[^.>]*"): ["<", "<a", "<.", "a>"],
    ("_cli/mapping.py", r"<[^<.>]*(\.\.\.)?>"): ["<", "<a", "<...", "<a..", "a>"],
    ("_cli/mapping.py", r"<([^<.>]*)(?:\.\.\.)?>"): ["<", "<a", "<...", "<a..", "a>"],
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
