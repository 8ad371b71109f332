# SPDX-License-Identifier: MPL-2.0
"""What a statement does, by its first word."""

from __future__ import annotations

import re

__all__ = ["OPERATIONS", "operation"]

# fmt: off
OPERATIONS = frozenset({
    "alter", "analyze", "begin", "call", "close", "commit", "copy", "create", "cursor",
    "declare", "delete", "drop", "exec", "execute", "explain", "fetch", "grant",
    "insert", "lock", "merge", "pragma", "refresh", "release", "replace", "reset",
    "revoke", "rollback", "savepoint", "select", "set", "show", "start", "truncate",
    "update", "use", "vacuum", "values", "with",
})
# fmt: on
"""The first words of statements; anything else is ``other``."""

_SKIPPED = re.compile(r"[\s(;]*")
_WORD = re.compile(r"[A-Za-z]+")


def operation(sql: object) -> str:
    """Return what a statement does by its first word: one of `OPERATIONS` or ``other``.

    Comments, parentheses and semicolons before it are skipped. Anything but text is
    ``other``, such as psycopg's composed statements, which cost too much to render. It
    takes linear time, because it only goes forward and stops at the first word.
    """
    if not isinstance(sql, str):
        return "other"
    if type(sql) is not str:  # a subclass may override any method
        sql = str.__str__(sql)
    place = _code(sql, 0)
    while mark := _COMMENTS.get(sql[place : place + 2]) or _COMMENTS.get(
        sql[place : place + 1]
    ):
        end = sql.find(mark, place + 1 if mark == "\n" else place + 2)
        if end < 0:
            return "other"
        place = _code(sql, end + len(mark))
    word = _WORD.match(sql, place)
    found = word[0].lower() if word else "other"
    return found if found in OPERATIONS else "other"


def _code(sql: str, place: int) -> int:
    """Return the first place from there on that is not to be skipped."""
    skipped = _SKIPPED.match(sql, place)
    return place if skipped is None else skipped.end()


_COMMENTS = {"--": "\n", "#": "\n", "/*": "*/"}
"""How comments begin and end (``#`` in MySQL). Some databases nest the last kind, which
matters only to those who put code into comments."""
