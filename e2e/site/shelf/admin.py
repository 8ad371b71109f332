# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django.contrib import admin

from shelf.models import Addon, Author

admin.site.register([Addon, Author])
