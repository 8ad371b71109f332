# SPDX-License-Identifier: MPL-2.0
"""A module of the site that raises when it is imported."""

from __future__ import annotations

raise KeyError("SHOP_TOKEN")
