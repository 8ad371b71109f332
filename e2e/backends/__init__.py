# SPDX-License-Identifier: MPL-2.0
"""Real backends: the site sends, and each is asked what it holds."""
