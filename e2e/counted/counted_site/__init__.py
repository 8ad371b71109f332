# SPDX-License-Identifier: MPL-2.0
"""The smallest possible Django site, for every server, counting with any client."""
