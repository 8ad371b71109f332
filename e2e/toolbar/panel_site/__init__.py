# SPDX-License-Identifier: MPL-2.0
"""The site of e2e/site with what only the panel's tests need: settings and pages."""
