# SPDX-License-Identifier: MPL-2.0
"""Django's test runner, with all of our patches if the environment asks for them."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from django.test.runner import DiscoverRunner

from django_metlog._imported import PATCHES


class PatchingRunner(DiscoverRunner):
    """Patches once the models are loaded and before any test starts."""

    def setup_test_environment(self, **kwargs: Any) -> None:
        super().setup_test_environment(**kwargs)
        if os.environ.get("DJANGO_SUITES_PATCHED"):
            for name in PATCHES:
                import_module(f"django_metlog.patches.{name}").patch()
