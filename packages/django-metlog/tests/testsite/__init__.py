# SPDX-License-Identifier: MPL-2.0
"""The Django site that django-metlog's tests measure."""
