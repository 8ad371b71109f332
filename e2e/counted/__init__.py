# SPDX-License-Identifier: MPL-2.0
"""How many requests were answered, and how many arrived: client, server, trouble."""
