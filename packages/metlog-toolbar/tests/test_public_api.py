# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import importlib.metadata
import importlib.resources
import pkgutil
import re

import pytest
from django.utils.module_loading import import_string
from public_surface import added, public_classes


def test_names():
    """The panel's address, and its historic name for the same class."""
    panel = import_string("metlog_toolbar.panel.MetlogPanel")

    assert import_string("metlog_toolbar.panel.StatsdPanel") is panel
    assert panel.panel_id == "MetlogPanel"
    assert panel.is_async


def test_modules():
    """Users name the panel; ``conf`` and ``views`` are where Django projects look.
    Every other module's name begins with an underscore."""
    package = importlib.import_module("metlog_toolbar")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}

    assert {name for name in modules if name[0] != "_"} == {"conf", "panel", "views"}
    assert importlib.import_module("metlog_toolbar.panel").__all__ == [
        *("MetlogPanel", "StatsdPanel"),
    ]


CLASSES = {
    # What each class adds to its bases. The panel adds nothing to a panel.
    "metlog_toolbar.panel.MetlogPanel": "",
    "metlog_toolbar.conf.Production": (
        "authorization counts kinds spelling timers title url"
    ),
    "metlog_toolbar.conf.Spelling": "prefix rules shape",
}

PUBLIC = public_classes(f"metlog_toolbar.{name}" for name in ("conf", "panel", "views"))


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() | CLASSES.keys()))
def test_a_class_has_nothing_else(name):
    """What looks public is what this file lists: nothing is public by accident."""
    assert added(PUBLIC[name]) == set(CLASSES[name].split())


def test_urls():
    """The addresses beside the panel, in the toolbar's namespace."""
    from django.urls import reverse

    assert reverse("djdt:metlog_graph") == "/__debug__/metlog/graph/"
    assert reverse("djdt:metlog_reference") == "/__debug__/metlog/reference/"


def test_needs_no_django_metlog():
    """The panel shows what any Django project sends through metlog."""
    requires = importlib.metadata.requires("metlog-toolbar") or []

    needed = [line for line in requires if "extra ==" not in line]
    assert not any(line.startswith("django-metlog") for line in needed)


def test_no_inline_script_or_style():
    """A strict content security policy forbids both."""
    package = importlib.resources.files("metlog_toolbar")
    for template in (package / "templates" / "metlog_toolbar").iterdir():
        text = template.read_text()
        assert "<script" not in text, template.name
        assert "style=" not in text, template.name
        assert not re.search(r"<[^>]*\son\w+=", text), template.name
