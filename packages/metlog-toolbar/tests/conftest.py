# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import os
import sys
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).parent / "site"))
os.environ["DJANGO_SETTINGS_MODULE"] = "testsite.settings"
django.setup()
