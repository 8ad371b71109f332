# SPDX-License-Identifier: MPL-2.0
"""metlog: application code says what happened to one client.

The client makes a message of it, filters it and hands it to a sender; which sender,
and so which engine gets the data, is configuration.
"""

from __future__ import annotations

from metlog.client import MetlogClient
from metlog.holder import get_client
from metlog.severity import SEVERITY

__all__ = ["SEVERITY", "MetlogClient", "get_client"]
