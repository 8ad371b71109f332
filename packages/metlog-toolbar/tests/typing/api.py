# SPDX-License-Identifier: MPL-2.0
"""What users write, for mypy (``--strict``) and pyright to read: never run."""

from __future__ import annotations

from metlog import catalogue
from metlog_toolbar.panel import MetlogPanel, StatsdPanel


class ShopPanel(MetlogPanel):
    title = "What the shop reports"


panels: list[type[MetlogPanel]] = [MetlogPanel, StatsdPanel, ShopPanel]
catalogue.declare(
    catalogue.Metric("checkout.sold", "counter", "add-ons", "Sold in the shop.")
)
