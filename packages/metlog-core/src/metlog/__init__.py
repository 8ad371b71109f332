# SPDX-License-Identifier: MPL-2.0
"""metlog: application code tells one client what happened.

The client turns that into a metric or a message, filters it and hands it to a sender;
which sender, and so which backend gets the data, is configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metlog._severity import SEVERITY
    from metlog.client import MetlogClient
    from metlog.holder import get_client

__all__ = ["SEVERITY", "MetlogClient", "get_client"]


def __getattr__(name: str) -> Any:
    # Late, because any pytest run with metlog installed imports metlog.pytest_plugin.
    if name == "get_client":
        from metlog.holder import get_client as found
    elif name in {"MetlogClient", "SEVERITY"}:
        import metlog.client

        found = getattr(metlog.client, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found
