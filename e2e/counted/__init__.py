# SPDX-License-Identifier: MPL-2.0
"""How many were answered, and how many arrived: client by server by trouble."""
