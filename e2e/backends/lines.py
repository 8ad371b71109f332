# SPDX-License-Identifier: MPL-2.0
"""JSON lines in files, as FileSender and rsyslog write them, queried with SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.backend import Backend, Timer
from backends.program import MissingProgram

if TYPE_CHECKING:
    from pathlib import Path

# A payload is text, whatever the message; what is no number is NULL.
TABLE = """\
CREATE TEMP TABLE messages AS
SELECT
    type, fields ->> 'name' AS name, try_cast(payload AS DOUBLE) AS value,
    coalesce(try_cast(fields ->> 'rate' AS DOUBLE), 1) AS rate, metlog_pid AS pid
FROM read_json(
    ?, format = 'newline_delimited', ignore_errors = true,
    columns = {type: 'VARCHAR', payload: 'VARCHAR', fields: 'JSON', metlog_pid: 'INT'}
)
"""
COUNTER = """\
SELECT coalesce(sum(value / rate), 0) FROM messages WHERE type = 'counter' AND name = ?
"""
TIMER = """\
SELECT coalesce(sum(1 / rate), 0), coalesce(sum(value / rate), 0)
FROM messages WHERE type = 'timer' AND name = ?
"""
P95 = """\
SELECT quantile_disc(value, 0.95)
FROM messages WHERE type = 'timer' AND name = ? HAVING count(*) = ?
"""


class Lines(Backend):
    """A backend of which in the end there are files of lines."""

    paths: str
    """Where they are, with wildcards."""

    def counter(self, name: str) -> float:
        return float(self._ask(COUNTER, name)[0][0])

    def timer(self, name: str) -> Timer:
        return Timer(*self._ask(TIMER, name)[0])

    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        found = self._ask(P95, name, count)
        return (found[0][0], found[0][0]) if found else None

    def _files(self) -> list[Path]:
        folder, _, pattern = self.paths.rpartition("/")
        return [*(self.folder / folder).glob(pattern)]

    def _ask(self, question: str, *values: object) -> list[Any]:
        files = [str(path) for path in self._files() if path.stat().st_size]
        with duckdb().connect() as database:
            if files:
                database.execute(TABLE, [files])
            else:
                columns = "type TEXT, name TEXT, value DOUBLE, rate DOUBLE, pid INT"
                database.execute(f"CREATE TEMP TABLE messages ({columns})")
            return list(database.execute(question, [*values]).fetchall())


def duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingProgram(
            "DuckDB is not installed: run `pip install duckdb`"
        ) from error
    return duckdb
