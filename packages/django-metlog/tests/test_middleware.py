# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from typing import Any

from django.test import Client


def test_a_page_is_counted_and_timed_once(client: Client, sent: Any) -> None:
    """One response, three timers of one view."""
    client.get("/")
    assert sent.counters() == {"response.200": 1}
    assert sorted(sent.timers()) == [
        "view.GET",
        "view.testsite.views.GET",
        "view.testsite.views.index.GET",
    ]
