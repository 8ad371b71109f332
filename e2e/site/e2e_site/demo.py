# SPDX-License-Identifier: MPL-2.0
"""The settings of `make demo`: those of the site, which also prints what it sends."""

from __future__ import annotations

from e2e_site.settings import *  # noqa: F403

MIDDLEWARE = ["e2e_site.printed.PrintedRequests", *MIDDLEWARE]  # noqa: F405
METLOG_RECORD_BY_VIEW = False  # each value once is enough to read
