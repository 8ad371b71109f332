# SPDX-License-Identifier: MPL-2.0
"""The short form of `make counted`: ours, under the servers that most sites have."""

from __future__ import annotations

import pytest

from counted.clients import OURS
from counted.scenarios import SCENARIOS, can, cell
from counted.servers import LIKELIEST, SERVERS

REQUESTS = 400


@pytest.mark.parametrize("scenario", ["amid", "recycle"])
@pytest.mark.parametrize("server", LIKELIEST)
@pytest.mark.parametrize("client", OURS)
def test_what_was_answered_arrives_once(
    client: str, server: str, scenario: str
) -> None:
    """A stop amid load and recycled workers lose nothing and count nothing twice."""
    assert scenario in SCENARIOS
    if not can(SERVERS[server], scenario):
        scenario = "stop"
    found = cell(client, OURS[client], server, scenario, REQUESTS)
    # A worker of uvicorn that recycles now and then ends with a request in hand.
    assert found.answered >= REQUESTS - found.unanswered > 0.9 * REQUESTS
    assert found.exact, found
