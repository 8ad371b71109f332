# SPDX-License-Identifier: MPL-2.0
"""The short form of `make counted`: ours, under the servers that most sites have."""

from __future__ import annotations

import pytest

from counted.clients import OURS
from counted.jobs import TASKS, job
from counted.scenarios import VISITORS, can, cell
from counted.servers import LIKELIEST, SERVERS

REQUESTS = 400
RECYCLED = 200
"""A worker ends after so many."""
MENDED = ("waitress, with the line", "hypercorn, with the line", "runserver, Ctrl-C")


@pytest.mark.parametrize("scenario", ["amid", "recycle"])
@pytest.mark.parametrize("server", LIKELIEST)
@pytest.mark.parametrize("client", OURS)
def test_what_was_answered_arrives_once(
    client: str, server: str, scenario: str
) -> None:
    """A stop amid load and recycled workers lose nothing and count nothing twice."""
    if not can(SERVERS[server], scenario):
        scenario = "stop"
    found = cell(client, OURS[client], server, scenario, REQUESTS)
    assert found.exact, found
    # What a server leaves unanswered is its own, and no more than each visitor's one at
    # the stop; uvicorn leaves as many whenever a worker recycles.
    ends = 1 if scenario == "amid" else 0
    if scenario == "recycle" and "uvicorn" in server:
        ends = 1 + REQUESTS // RECYCLED
    assert found.unanswered <= ends * VISITORS, found
    assert found.answered >= REQUESTS - found.unanswered, found


@pytest.mark.parametrize("server", MENDED)
def test_a_line_mends_what_a_server_loses(server: str) -> None:
    """As docs/servers.md gives it, at a stop amid load."""
    client = "metlog, StatsD"
    assert cell(client, OURS[client], server, "amid", REQUESTS).exact


@pytest.mark.parametrize("backend", TASKS)
@pytest.mark.parametrize("client", OURS)
def test_tasks_of_django_arrive_once(client: str, backend: str) -> None:
    """Those that run at once, and those of two workers that are told to stop."""
    found = job(client, OURS[client], backend, 50)
    assert found.answered == 50
    assert found.exact, found
