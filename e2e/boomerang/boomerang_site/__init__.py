# SPDX-License-Identifier: MPL-2.0
"""The site of e2e/site with pages that boomerang, stick and web-vitals measure."""
