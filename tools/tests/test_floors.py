# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from floors import BEGIN, END, HOUSES, House, judge, main, picture

if TYPE_CHECKING:
    from pathlib import Path


def verdict(folder: Path, **modules: str) -> list[str]:
    """What is said of a small package with three floors."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    house = House(
        str(folder),
        floors=("__init__ top", "middle", "ground"),
        everywhere=frozenset({"django"}),
        only={"zmq": {"ground"}, "django.conf.settings": {"middle"}},
    )
    return [line.partition(": ")[2] for line in judge("small", house)]


def test_down(tmp_path: Path) -> None:
    """Imports go down, to the standard library and to what the table allows."""
    assert not verdict(
        tmp_path,
        top="import json\nfrom small.middle import x\nfrom small import ground",
        middle="import small.ground\nfrom django.conf import settings",
        ground="import zmq, django.db",
    )


@pytest.mark.parametrize(
    "text",
    [
        "import small.middle",
        "from small import middle",
        "from small.middle import x",
        "def late():\n    from small.middle import x",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import small.middle",
    ],
)
def test_up(tmp_path: Path, text: str) -> None:
    """An import that goes up is found, also inside of a function."""
    assert verdict(tmp_path, middle="", ground=text) == [
        "small.ground imports small.middle, which stands above it"
    ]


def test_package(tmp_path: Path) -> None:
    """A name that the package itself gives stands where the package stands."""
    assert verdict(tmp_path, ground="from small import VERSION") == [
        "small.ground imports small.__init__, which stands above it"
    ]


def test_types(tmp_path: Path) -> None:
    """What only a type checker imports may come from anywhere."""
    text = "if TYPE_CHECKING:\n    from small.middle import x"

    assert not verdict(tmp_path, middle="", ground=text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import requests", "small may not import requests"),
        ("import zmq.green", "zmq may be imported by ground alone"),
        (
            "from django.conf import settings",
            "django.conf.settings may be imported by middle alone",
        ),
        (
            "from metlog._route import Route",
            "metlog._route.Route is metlog's own: import a public name",
        ),
    ],
)
def test_outside(tmp_path: Path, text: str, said: str) -> None:
    """What comes from outside is allowed by name."""
    assert verdict(tmp_path, top=text) == [said]


def test_no_floor(tmp_path: Path) -> None:
    """A new module has to be given its floor."""
    assert verdict(tmp_path, attic="") == [
        "small.attic stands on no floor of tools/floors.py"
    ]


@pytest.mark.parametrize("package", HOUSES)
def test_packages(package: str) -> None:
    """The packages keep their own rules."""
    assert not list(judge(package, HOUSES[package]))


def test_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has every backend on one floor, and an old one is told."""
    page = tmp_path / "architecture.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    monkeypatch.setattr("floors.PICTURE", page)
    monkeypatch.setattr(sys, "argv", ["floors.py"])
    assert main() == 1
    assert "run tools/floors.py --draw" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["floors.py", "--draw"])
    assert main() == 0
    drawn = page.read_text()
    assert drawn.startswith(f"before\n{BEGIN}```text")
    assert drawn.endswith(f"{END}after\n")
    backends = picture().partition("filters")[2].partition("├")[0]
    for name in ("statsd", "otlp", "prometheus", "udp", "zmq", "fanout"):
        assert f"senders.{name} " in backends
    monkeypatch.setattr(sys, "argv", ["floors.py"])
    assert main() == 0
