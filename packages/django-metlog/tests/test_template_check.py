# SPDX-License-Identifier: MPL-2.0
"""What templates do with ``{% stick %}`` is looked at when the site starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from django.core.management import call_command
from django.template.loaders.base import Loader

from django_metlog._template_check import MAX_BYTES, check_templates

Write = Callable[..., list[CheckMessage]]


@pytest.fixture
def write(tmp_path: Path, settings: Any) -> Write:
    """Put a template into the site; what the check says then."""

    def write(source: str | bytes, **options: Any) -> list[CheckMessage]:
        page = tmp_path / "shop" / "page.html"
        page.parent.mkdir(exist_ok=True)
        page.write_bytes(source.encode() if isinstance(source, str) else source)
        settings.TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [str(tmp_path)],
                "OPTIONS": options,
            }
        ]
        return check_templates()

    return write


SOUND = [
    "",
    "{% load metlog %}{% stick %}",
    "{% load static metlog %}{% if user %}{% stick vitals=True %}{% endif %}",
    "{% load stick from metlog %}{% block head %}{% stick sample=rate %}{% endblock %}",
    "{% extends 'base.html' %}{% load metlog %}{% block a %}{% stick %}{% endblock %}",
    "{% comment %}{% stick %}{% endcomment %}{# {% stick %} #}",
    "{% verbatim %}{% stick %}{% endverbatim %}",
    "a stick, and {% nobody_knows_this_tag %}",
    "{% load nobody_knows_this_library %}{% stick %}",
    "{% load metlog %}{% stick vitals=measured visits=request.user.is_staff %}",
    "{% load metlog %}{% stick vitals=measured|default:True errors=0 visits=None %}",
    "{% load metlog %}{% stick fields='connection device_type' sample='0.5' %}",
    "{% load metlog %}{% stick fields=_('connection') sample=1 %}",
    "{% load metlog %}{% stick True False True %}{% stick fields='' sample=None %}",
    "{% load metlog %}{% stick %}{% nobody_knows_this_tag %}",
    b"{% stick %} in latin-1: \xe4",
]


@pytest.mark.parametrize("source", SOUND)
def test_what_works_has_no_message(write: Write, source: str | bytes) -> None:
    """Nor what is no business of ours."""
    assert write(source) == []


def test_a_tag_that_every_template_has_needs_no_load(write: Write) -> None:
    """The engine's ``builtins``."""
    assert write("{% stick %}", builtins=["django_metlog.templatetags.metlog"]) == []


WRONG = [
    ("{% stick %}", "{% load metlog %}"),
    ("{% extends 'base.html' %}{% block a %}{% stick %}{% endblock %}", "{% load "),
    ("{% load stick %}{% stick %}", "{% load metlog %}"),
    ("{% load django_metlog %}{% stick %}", "{% load metlog %}"),
    ("{% load metlog %}{%stick%}{% stick vital=True %}", "vitals"),
    ("{% load metlog %}{% stick 1 2 3 4 5 6 7 8 9 %}", "sample"),
    ("{% load metlog %}{% endstick %}{% stick %}", "{% stick %}"),
    ("{% load metlg %}{% stick %}", "{% load metlog %}"),
    ("{% load static metalog %}{% stick %}", "{% load metlog %}"),
]


@pytest.mark.parametrize(("source", "line"), WRONG)
def test_what_would_raise_when_a_page_is_asked_for(
    write: Write, source: str, line: str
) -> None:
    """An error with the file, in one line, and with what to write."""
    (message,) = write(source)
    assert message.id == "django_metlog.E024"
    assert "shop/page.html" in message.msg
    assert "\n" not in message.msg
    assert line in str(message.hint)


MISUNDERSTOOD = [
    ("vitals=true", "vitals=True"),
    ("errors=true attribution=True", "errors=True"),
    ("visits=false", "visits=False"),
    ("vitals=on", "vitals=True"),
    ("vitals=yes", "vitals=True"),
    ("vitals='False'", "vitals=False"),
    ("errors='0'", "errors=False"),
    ("errors='1'", "errors=True"),
    ("vitals=none", "vitals=False"),
    ('visits="true"', "visits=True"),
    ("vitals", "vitals=True"),
    ("True visits", "visits=True"),
    ("true", "vitals=True"),
    ("sample=10", "sample=0.1"),
    ("sample=0", "sample=0.1"),
    ("sample=-0.5", "sample=0.1"),
    ("sample='10%'", "sample=0.1"),
    ("sample=0.001", "sample=0.1"),
    ("fields='release'", "device_type and connection"),
    ("fields='device_type,connection'", "device_type and connection"),
]


@pytest.mark.parametrize(("options", "line"), MISUNDERSTOOD)
def test_an_option_that_means_something_else(
    write: Write, options: str, line: str
) -> None:
    """Templates take ``true`` for a variable that is not there, so it is off."""
    (message,) = write(
        f"{{% load metlog %}}{{% if user %}}{{% stick {options} %}}{{% endif %}}"
    )
    assert message.id == "django_metlog.W021"
    assert "shop/page.html" in message.msg
    assert line in str(message.hint)


@pytest.mark.parametrize(
    "options",
    [
        *("vitals=''", "vitals=1 errors=0", "vitals=user.is_staff"),
        *("sample=rate", "sample=none", "fields=none"),
    ],
)
def test_an_option_that_means_what_it_says(write: Write, options: str) -> None:
    """Empty text is false."""
    assert write(f"{{% load metlog %}}{{% stick {options} %}}") == []


def test_a_tag_without_the_record_view(write: Write, settings: Any) -> None:
    """What the tag needs to write anything."""
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    (message,) = write("{% load metlog %}{% if user %}{% stick %}{% endif %}")
    assert message.id == "django_metlog.W016"
    assert "shop/page.html" in message.msg
    assert "path('services/timing/', include('django_metlog.urls'))" in str(
        message.hint
    )
    assert write("{% load metlog %}{% comment %}{% stick %}{% endcomment %}") == []


BROKEN = "{% stick %}"


@pytest.mark.parametrize(
    ("place", "is_read"),
    [
        ("a.html", True),
        ("a.txt", True),
        ("deep/down/in/the/site/a.html", True),
        (".hidden/a.html", True),
        ("packages/a.html", True),
        ("node_modules/a.html", False),
        ("frontend/node_modules/some/templates/a.html", False),
        (".git/a.html", False),
        ("venv/lib/python3.13/site-packages/shop/templates/a.html", False),
        ("usr/lib/python3/dist-packages/a.html", False),
    ],
)
def test_a_folder_of_templates_that_is_the_whole_project(
    write: Write, tmp_path: Path, place: str, is_read: bool
) -> None:
    """What is not the site's own is not read, however much it is."""
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(BROKEN)
    assert [place in one.msg for one in write("")] == [True] * is_read


@pytest.mark.parametrize(
    ("length", "is_read"),
    [(MAX_BYTES, True), (MAX_BYTES + 1, False), (2**40, False)],
)
def test_files_that_are_no_templates(
    write: Write, tmp_path: Path, length: int, is_read: bool
) -> None:
    """A film among them is not read into memory; nor is what has no end."""
    file = tmp_path / "film.mp4"
    file.write_text(BROKEN)
    os.truncate(file, length)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    assert len(write("")) == is_read


class Odd(Loader):
    """A loader of a site's own."""

    def get_dirs(self) -> Any:
        raise RuntimeError("not now")


class Unusual(Loader):
    """Another."""

    get_dirs: Any = None


IN_MEMORY = ("django.template.loaders.locmem.Loader", {"a.html": BROKEN})
ODD: list[dict[str, Any]] = [
    {"DIRS": [None]},
    {"DIRS": [5]},
    {"DIRS": None},
    {"DIRS": 5},
    {"DIRS": ["a\0b"]},
    {"DIRS": ["\udc80"]},
    {"DIRS": [__file__]},
    {"DIRS": ["/no/such/folder"]},
    {"DIRS": [""], "OPTIONS": {"loaders": [IN_MEMORY]}},
    {"OPTIONS": {"loaders": ["no_such.Loader"]}},
    {"OPTIONS": {"loaders": [5]}},
    {"OPTIONS": {"loaders": 5}},
    {"OPTIONS": {"loaders": [f"{__name__}.Odd"]}},
    {"OPTIONS": {"loaders": [f"{__name__}.Unusual"]}},
    {
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [f"{__name__}.Odd", IN_MEMORY],
                )
            ]
        }
    },
    {"OPTIONS": {"libraries": {"shop": "no_such.library"}}},
    {"OPTIONS": {"builtins": ["no_such.library"]}},
    {"OPTIONS": {"no_such_option": True}},
    {"BACKEND": "no_such.Backend"},
    {"BACKEND": None},
]


@pytest.mark.parametrize("engine", ODD, ids=count())
def test_templates_that_cannot_be_loaded(settings: Any, engine: dict[str, Any]) -> None:
    """Commands run, as they would without us; Django says so when one is rendered."""
    django = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": django, **engine}]
    assert check_templates() == []


@pytest.mark.parametrize("charset", ["no such", "base64", "ascii", "utf-16"])
def test_a_charset_that_does_not_fit(write: Write, charset: str) -> None:
    """Nor can this be read, when a page is asked for."""
    assert write("{% load metlog %}{% stick %} \xe4", file_charset=charset) == []


def test_the_root_of_the_file_system(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not walked through: that would take minutes, at each command."""
    walked: list[Path] = []
    monkeypatch.setattr("os.walk", lambda folder: walked.append(folder) or [])
    root = tmp_path.anchor
    for dirs, expected in (
        ([root, f"{root}.", f"{root}..", tmp_path], [tmp_path]),
        (f"{root}a{root}b", [Path("a"), Path("b")]),  # the brackets are forgotten
    ):
        settings.TEMPLATES = [
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": dirs}
        ]
        walked.clear()
        check_templates()
        assert walked == expected


def test_other_engines_and_none(settings: Any) -> None:
    """Nothing is asked of what is not Django's, nor of engines that cannot be made."""
    for engines in (
        [],
        [{"BACKEND": "django.template.backends.jinja2.Jinja2", "DIRS": ["/"]}],
        [{"BACKEND": "no.such.Engine"}],
    ):
        settings.TEMPLATES = engines
        assert check_templates() == []


def test_django_runs_it(write: Write) -> None:
    """``manage.py check``, and ``check --tag templates``."""
    assert check_templates in registry.get_checks()
    write("{% stick %}")
    with pytest.raises(Exception, match=r"django_metlog\.E024"):
        call_command("check", tags=["templates"])
