# SPDX-License-Identifier: MPL-2.0
"""What happened, added up in this process: the middle of the library.

`series` are what a client has seen of one name with one set of fields; `table` holds
those of one client; `drain` takes what happened since the last time and hands it to
the exporters of every backend; `sampling` keeps some of many values; `handles` are what
callers keep who measure often.
"""

from __future__ import annotations

__all__: list[str] = []
