# SPDX-License-Identifier: MPL-2.0
"""Handlers for `logging`."""
