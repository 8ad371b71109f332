# SPDX-License-Identifier: MPL-2.0
"""The guard that docs/browser.md recommends."""

from __future__ import annotations

from django_metlog.guards import all_of, per_address, rate_limit, same_origin

guard = all_of(same_origin, per_address(20), rate_limit(200))


def anybody(request: object) -> None:
    """So that an attacker reaches what is behind."""
