# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re

from django.test import Client


def test_page():
    """The panel lists what the request sent, whatever sender is configured."""
    response = Client().get("/page/")
    request_id = re.search(rb'data-request-id="(\w+)"', response.content)[1].decode()
    shown = (
        Client()
        .get(
            "/__debug__/render_panel/",
            {"request_id": request_id, "panel_id": "MetlogPanel"},
        )
        .json()["content"]
    )
    assert "page.seen" in shown
    assert "page.work" in shown
