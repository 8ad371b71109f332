# SPDX-License-Identifier: MPL-2.0
"""The real site's settings, a few more pages, and the changes that a test wants.

PANEL_SITE has the changes as JSON: names of settings and their values.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from e2e_site.settings import *  # noqa: F403
from e2e_site.settings import INSTALLED_APPS, MIDDLEWARE

ROOT_URLCONF = "panel_site.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "panel_site"]

NODE_MODULES = Path(__file__).resolve().parents[3] / "node_modules"
STATICFILES_DIRS = [
    ("htmx", NODE_MODULES / "htmx.org" / "dist"),
    ("turbo", NODE_MODULES / "@hotwired" / "turbo" / "dist"),
]

globals().update(json.loads(os.environ.get("PANEL_SITE", "{}")))
MIDDLEWARE = [*globals().get("MIDDLEWARE_BEFORE", []), *MIDDLEWARE]
