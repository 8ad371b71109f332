# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.test import override_settings

from django_metlog import conf


def test_a_setting_is_read_when_it_is_asked_for() -> None:
    """`override_settings` works, there and back."""
    assert conf.get("METLOG_VIEW_NAMES") == "module"
    with override_settings(METLOG_VIEW_NAMES="route"):
        assert conf.get("METLOG_VIEW_NAMES") == "route"
    assert conf.get("METLOG_VIEW_NAMES") == "module"
