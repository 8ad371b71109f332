# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import importlib.metadata
import importlib.resources
import inspect
import pkgutil
import re

import pytest
from django.utils.module_loading import import_string


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
    "panel.MetlogPanel": "",
    "conf.Production": "authorization counts kinds spelling timers title url",
    "conf.Spelling": "prefix rules shape",
}


@pytest.mark.parametrize("module", ["conf", "panel", "views"])
def test_every_class_of_a_public_module_is_listed(module):
    found = importlib.import_module(f"metlog_toolbar.{module}")
    public = [getattr(found, name) for name in found.__all__]

    classes = {f"{module}.{one.__name__}" for one in public if inspect.isclass(one)}
    assert classes == {name for name in CLASSES if name.startswith(f"{module}.")}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_nothing_else(name):
    """What looks public is what this file lists: nothing is public by accident."""
    kind = import_string(f"metlog_toolbar.{name}")
    inherited = {each for base in kind.__mro__[1:] for each in dir(base)}
    names = (set(dir(kind)) | inspect.get_annotations(kind).keys()) - inherited

    assert {each for each in names if each[0] != "_"} == set(CLASSES[name].split())


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
