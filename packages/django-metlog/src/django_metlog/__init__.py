# SPDX-License-Identifier: MPL-2.0
"""What a Django site does, measured: requests, queries, cache, tasks, errors, browsers.

Everything goes through ``settings.METLOG``, the site's metlog client.
"""

from __future__ import annotations

from django_metlog.exclusion import exclude

__all__ = ["exclude"]
