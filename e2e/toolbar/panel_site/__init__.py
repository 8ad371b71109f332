# SPDX-License-Identifier: MPL-2.0
"""The site of e2e/site, with settings and pages that only the panel's tests need."""
