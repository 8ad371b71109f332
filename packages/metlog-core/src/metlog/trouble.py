# SPDX-License-Identifier: MPL-2.0
"""The old address of `metlog.diagnostics`."""

from metlog.diagnostics import Diagnostics as Trouble

__all__ = ["Trouble"]
