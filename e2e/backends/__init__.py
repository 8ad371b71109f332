# SPDX-License-Identifier: MPL-2.0
"""Real backends: the site sends, and each backend is asked what it received."""
