# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.apps import AppConfig


class ShelfConfig(AppConfig):
    name = "shelf"
