# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from django_metlog.asgi import flush_at_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "e2e_site.settings")

# Static files as runserver serves them: in front of the middleware, unmeasured.
application = flush_at_shutdown(ASGIStaticFilesHandler(get_asgi_application()))
