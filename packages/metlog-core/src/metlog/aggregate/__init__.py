# SPDX-License-Identifier: MPL-2.0
"""The middle of the library: series, what they add up to, and who takes it."""

__all__: list[str] = []
