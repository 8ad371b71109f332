# SPDX-License-Identifier: MPL-2.0
"""`tidy` tells of files that others cannot read, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import tidy


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.yml", b"a: [1\n", "expected yml, got "),
        ("a.yaml", b"a: 1\n\tb: 2\n", "expected yaml, got "),
        ("a.toml", b"a = \n", "expected toml, got "),
        ("a.json", b"{'a': 1}\n", "expected json, got "),
        ("a.py", b"a = 1", "expected one line feed at the end"),
        ("a.py", b"a = 1\n\n", "expected one line feed at the end"),
        ("a.py", b"a = 1\r\n", "expected lines that end with a line feed alone"),
        ("a.css", b"a {\n}  \n", "expected no blanks at the end of line 2"),
        ("a.md", b"three blanks   \n", "expected no blanks at the end of line 1"),
        ("a.md", b"a\n<<<<<<< HEAD\n", "expected no conflict, got <<<<<<< in line 2"),
        ("a.md", b">>>>>>> theirs\n", "expected no conflict, got >>>>>>> in line 1"),
    ],
)
def test_what_is_wrong_is_told(
    name: str, content: bytes, what: str, tmp_path: Path
) -> None:
    """By file and, where there is one, by line."""
    file = tmp_path / name
    file.write_bytes(content)
    assert [found for found in tidy.look(file) if found.startswith(what)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yml", b"a: 1\n"),
        ("a.toml", b"[a]\nb = 1\n"),
        ("a.json", b'{"a": 1}\n'),
        ("py.typed", b""),
        ("a.md", b"two blanks break a line  \nin Markdown\n"),
        ("a.md", b"A heading\n=======\n"),
    ],
)
def test_what_is_right_is_left_alone(name: str, content: bytes, tmp_path: Path) -> None:
    """An empty file, a break in Markdown and a heading's line are right."""
    file = tmp_path / name
    file.write_bytes(content)
    assert list(tidy.look(file)) == []
