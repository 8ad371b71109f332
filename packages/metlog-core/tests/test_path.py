# SPDX-License-Identifier: MPL-2.0
"""Dotted names, in both styles."""

from __future__ import annotations

import collections.abc
import contextlib
import email
import email.message
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog.path import resolve_name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("email", email),
        ("email.message", email.message),
        ("email.message.Message", email.message.Message),
        ("email.message:Message", email.message.Message),
        ("email.message.Message.get_all", email.message.Message.get_all),
        ("email.message:Message.get_all", email.message.Message.get_all),
        ("collections.abc.Mapping", collections.abc.Mapping),
    ],
)
def test_both_styles_find_modules_and_what_is_in_them(name: str, found: object) -> None:
    """``package.module.attribute`` and ``package.module:attribute``."""
    assert resolve_name(name) is found


@pytest.mark.parametrize(
    ("name", "package", "found"),
    [
        (".message", "email", email.message),
        (".message:Message", "email", email.message.Message),
        (":message", email, email.message),
        (".", email, email),
        (":", "email", email),
        ("..message", "email.mime", email.message),
        ("email.message", "whatever", email.message),
    ],
)
def test_names_may_be_relative_to_a_package(
    name: str, package: str | ModuleType, found: object
) -> None:
    """Given the package or its name."""
    assert resolve_name(name, package) is found


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        (5, ValueError, "expected a dotted name, got 5"),
        ("", ValueError, "expected a dotted name such as"),
        (
            "a b",
            ValueError,
            "expected a dotted name such as 'package.module.name', got 'a b'",
        ),
        ("email..message", ValueError, "expected a dotted name such as"),
        ("email:message:Message", ValueError, "expected a dotted name such as"),
        (".message", ValueError, "expected a package to which '.message' is relative"),
        ("no_such_package.x", ImportError, "No module named 'no_such_package'"),
        ("email.nothing", ImportError, "no 'nothing' in 'email', needed for"),
        ("email.message.Nothing", ImportError, "no 'Nothing' in 'email.message'"),
        ("email.message:Nothing", ImportError, "no 'Nothing' in 'email.message'"),
        ("email.message.Message.x", ImportError, "no 'x' in 'Message'"),
    ],
)
def test_what_is_not_found_is_said(
    name: Any, error: type[Exception], said: str
) -> None:
    """ValueError for what is no name, ImportError for what is not there."""
    with pytest.raises(error, match=said):
        resolve_name(name)


def test_a_module_that_fails_to_import_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is that of the module, not that the name was not found."""
    (tmp_path / "half_there").mkdir()
    (tmp_path / "half_there/__init__.py").touch()
    (tmp_path / "half_there/broken.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("half_there.broken.thing", "half_there.broken:thing"):
        with pytest.raises(ImportError, match="No module named 'no_such_dependency'"):
            resolve_name(name)


@given(st.text())
def test_any_text_gives_an_object_or_one_of_two_errors(text: str) -> None:
    """Whatever a configuration says."""
    with contextlib.suppress(ImportError, ValueError):
        resolve_name(f"email.{text}")


LAZY = {
    "an import that fails": "import {name}_broken",
    "a call that fails": "return helper()",
    "a name of a module": "import os; return os.no_such_thing",
    "a nested look-up": "return getattr(object(), 'nothing_there')",
    "raised by hand": "raise AttributeError('the database has no engine')",
}


@pytest.mark.parametrize("way", LAZY)
@pytest.mark.parametrize("spelling", ["{}.Lazy", "{}:Lazy", "{}.Lazy.more"])
def test_a_module_that_fails_to_give_a_name_shows_why(
    way: str, spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module may make its names when they are asked for; what its code raises then is
    in the error's text, and in its chain."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"lazy_{abs(hash((way, spelling)))}"
    (tmp_path / name).mkdir()
    (tmp_path / f"{name}_broken.py").write_text("import os\nos.no_such_thing\n")
    (tmp_path / name / "__init__.py").write_text(
        "def helper():\n    return None.nothing_there\n"
        f"def __getattr__(name):\n    {LAZY[way].format(name=name)}\n"
    )
    with pytest.raises(ImportError) as caught:
        resolve_name(spelling.format(name))
    cause = caught.value.__cause__
    assert isinstance(cause, AttributeError)
    assert str(cause) in str(caught.value)
    assert "'Lazy'" in str(caught.value)


def test_a_name_that_is_not_there_is_said_in_few_words() -> None:
    """A lazy module that has no such name says so by itself; that adds nothing."""
    with pytest.raises(ImportError, match=r"^no 'Nothing' in 'metlog.senders'") as lazy:
        resolve_name("metlog.senders.Nothing")
    with pytest.raises(ImportError, match=r"^no 'nothing' in 'json'") as plain:
        resolve_name("json:nothing")
    assert "attribute" not in str(lazy.value) + str(plain.value)
