# SPDX-License-Identifier: MPL-2.0
"""For `make demo`: runserver without its initial check of migrations.

The statements of that would be measured and shown before anybody opens a page.
"""

from __future__ import annotations

import contextlib
import sys

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import run
from django.core.wsgi import get_wsgi_application


def main(host: str, port: str) -> int:
    site = StaticFilesHandler(get_wsgi_application())
    with contextlib.suppress(KeyboardInterrupt):
        run(host, int(port), site, threading=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
