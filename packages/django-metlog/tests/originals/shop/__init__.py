# SPDX-License-Identifier: MPL-2.0
"""What the originals and django-metlog measure, of a Django of any age."""
