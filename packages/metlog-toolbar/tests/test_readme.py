# SPDX-License-Identifier: MPL-2.0
"""The README's examples do what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.conf import settings as project

from metlog_toolbar import conf
from metlog_toolbar._summary import MAX_ROWS
from metlog_toolbar.panel import MetlogPanel

PACKAGE = Path(__file__).parent.parent
README = (PACKAGE / "README.md").read_text(encoding="utf-8")


def test_settings(settings):
    """The settings of the README pass the panel's checks, and django-metlog's."""
    found: dict[str, Any] = {"INSTALLED_APPS": ["debug_toolbar"]}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, {}, found)
    for name, value in found.items():
        setattr(settings, name, value)

    assert MetlogPanel.run_checks() == []
    assert {"METLOG", "INSTALLED_APPS"} <= set(found)
    production = conf.production()
    assert production is not None
    assert production.counts == ("stats.addons-dev", "stats.addons")


def test_numbers():
    """The numbers that it gives are those of the code."""
    assert conf.DUPLICATES == 10
    assert "more than ten times" in README
    assert f"{MAX_ROWS} rows of each kind" in README


def test_is_installed_here():
    """The panel's address is the one that the tests' own project uses."""
    assert "metlog_toolbar.panel.MetlogPanel" in project.DEBUG_TOOLBAR_PANELS
    assert '"metlog_toolbar.panel.MetlogPanel"' in README
