# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_metlog.patches import _operation
from django_metlog.patches._operation import OPERATIONS, operation


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", "select"),
        ("select 1", "select"),
        ("\n\t SELECT 1", "select"),
        ("(SELECT 1) UNION (SELECT 2)", "select"),
        ("/* route='/a*b' */ SELECT 1", "select"),
        (
            "/* one */ /* two **/ -- three\n with x AS (SELECT 1) SELECT * FROM x",
            "with",
        ),
        ("-- only a comment", "other"),
        ("/* SELECT", "other"),
        ("INSERT INTO x VALUES (1)", "insert"),
        ("UPDATE x SET y = 1", "update"),
        ("DELETE FROM x", "delete"),
        ("SAVEPOINT s1", "savepoint"),
        ("RELEASE SAVEPOINT s1", "release"),
        ("ROLLBACK TO SAVEPOINT s1", "rollback"),
        ("BEGIN IMMEDIATE", "begin"),
        ("CREATE TABLE x (y)", "create"),
        ("EXPLAIN SELECT 1", "explain"),
        ("TRUNCATE x", "truncate"),
        ("SELECTED", "other"),
        ("drop-table", "drop"),
        ("FROBNICATE x", "other"),
        ("", "other"),
        ("(" * 10_000, "other"),
        ("/**/" * 10_000, "other"),
        ("/**/" * 10_000 + "DELETE FROM x", "delete"),
        ("-" * 34 + "\n;", "other"),
        ("-" * 80 + "\n-- Report\n" + "-" * 80 + "\n;WITH x AS (…) SELECT", "with"),
        ("--\n" * 10_000 + "x" * 10_000, "other"),
        ("-- one\r\nSELECT 1", "select"),
        ("# MySQL's comment\n#\nSELECT 1", "select"),
        ("/*! SELECT */ # /* \n -- */ \n (/* ( */ (VALUES (1)))", "values"),
        ("/*/ SELECT */ UPDATE x", "update"),
        ("-", "other"),
        ("/", "other"),
        ("--", "other"),
        ("#", "other"),
        ("-SELECT", "other"),
        (" " * 100_000, "other"),
        (b"SELECT 1", "other"),
        (None, "other"),
        (["SELECT"], "other"),
    ],
)
def test_operation(sql: object, expected: str) -> None:
    """The operation is the first word of the text, out of a closed list."""
    assert operation(sql) == expected


@given(
    st.lists(
        st.sampled_from(
            ["-", "--", "/*", "*/", "*", "/", "\n", " ", "(", ";", "#", "a"]
        ),
        min_size=1,
        max_size=8,
    )
)
def test_operation_takes_steps_in_proportion(parts: list[str]) -> None:
    """However hostile, a statement twice as long takes at most twice the steps."""

    def steps(sql: str) -> int:
        lines = 0

        def trace(frame: Any, event: str, arg: object) -> Any:
            nonlocal lines
            if frame.f_code.co_filename != _operation.__file__:
                return None  # the garbage collector's callbacks, Hypothesis' among them
            lines += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            operation(sql)
        finally:
            sys.settrace(before)
        return lines

    pattern = "".join(parts)
    few, many = steps(pattern * 20), steps(pattern * 40)
    assert many <= 2 * few + 20
    assert many <= 20 * len(pattern * 40)


@given(st.text())
def test_operation_of_anything(sql: str) -> None:
    """Whatever a statement is, its operation is in the list."""
    assert operation(sql) in OPERATIONS | {"other"}
