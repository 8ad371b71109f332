# SPDX-License-Identifier: MPL-2.0
"""gunicorn's configuration, as in OpenTelemetry's documentation."""

from __future__ import annotations

import os
from typing import Any

from counted_site.clients import opentelemetry_sdk

os.environ["COUNTED_HAS_HOOK"] = "1"


def post_fork(server: Any, worker: Any) -> None:
    opentelemetry_sdk()
