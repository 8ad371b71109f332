# SPDX-License-Identifier: MPL-2.0
"""For `make demo`: print what a request sent, as StatsD lines below its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metlog import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from metlog.capture import Captured

CODES = {"counter": "c", "timer": "ms", "histogram": "ms", "gauge": "g"}
"""Of the kinds that plain StatsD has."""

NOT_SHOWN = "/__debug__/"
"""The toolbar asks for its own parts after each page."""


class PrintedRequests:
    """The outermost middleware. Lines go to the file descriptor PRINT_TO names."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.to = int(os.environ["PRINT_TO"])

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(NOT_SHOWN):
            return self.get_response(request)
        sent: list[Captured] = []
        with capture.collecting(sent.append):
            response = self.get_response(request)
        said = f"{request.method} {request.get_full_path()} {response.status_code}"
        text = "\n".join([said, *filter(None, map(line, sent)), "", ""])
        os.write(self.to, text.encode())  # at once: requests may end together
        return response


def line(sent: Captured) -> str:
    """The line by which it travels; nothing for what StatsD has no word for."""
    code = CODES.get(sent.kind)
    if code is None or sent.value is None:
        return ""
    return f"{sent.name}:{round(sent.value, 3):.12g}|{code}"
