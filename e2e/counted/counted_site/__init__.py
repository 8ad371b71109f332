# SPDX-License-Identifier: MPL-2.0
"""The smallest Django site there is, under every server, counting with any client."""
