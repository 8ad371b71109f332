# SPDX-License-Identifier: MPL-2.0
"""Measurements, aggregated in this process: the middle of the library.

A series in `series` is what a client has seen of one name with one set of fields;
`table` holds all series of one client; `drain` takes what happened since the last drain
and hands it to the exporters of every backend; `histograms` and `sampling` keep many
values in little space.
"""

from __future__ import annotations

__all__: list[str] = []
