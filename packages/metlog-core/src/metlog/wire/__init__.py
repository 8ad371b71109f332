# SPDX-License-Identifier: MPL-2.0
"""The formats that backends read: how names, numbers and labels are written."""

__all__: list[str] = []
