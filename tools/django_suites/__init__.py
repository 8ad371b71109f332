# SPDX-License-Identifier: MPL-2.0
"""`make django-suites`: Django's own tests, with and without all patches."""
