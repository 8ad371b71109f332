# SPDX-License-Identifier: MPL-2.0
"""A short `make counted`: our clients, under the servers that most sites use."""

from __future__ import annotations

import sys

import pytest

from counted.__main__ import count, line
from counted.clients import OURS
from counted.jobs import TASKS, job
from counted.scenarios import RECYCLED, SCENARIOS, VISITORS, Running, can, cell
from counted.servers import LIKELIEST, SERVERS, Server

REQUESTS = 400
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
    # the stop. A visitor of uvicorn may meet the ends of both workers, then the socket
    # that their parent still holds; and uvicorn leaves as many when a worker recycles.
    ends = 1 if scenario == "amid" else 0
    if "uvicorn" in server:
        ends = 3 if scenario == "amid" else 1 + REQUESTS // RECYCLED
    assert found.unanswered <= ends * VISITORS, found
    assert found.answered >= REQUESTS - found.unanswered, found


@pytest.mark.parametrize("client", OURS)
def test_gevent_may_come_after_the_application(client: str) -> None:
    """As in workers of gunicorn that are forked from a loaded application: no thread of
    ours stops the greenlets, so all requests are answered, and all arrive."""
    found = cell(client, OURS[client], "gunicorn, gevent and preload", "amid", REQUESTS)
    assert found.exact, found
    assert found.unanswered <= VISITORS, found


@pytest.mark.parametrize("server", MENDED)
def test_a_line_mends_what_a_server_loses(server: str) -> None:
    """As docs/servers.md gives it, at a stop amid load."""
    client = "metlog, StatsD"
    assert cell(client, OURS[client], server, "amid", REQUESTS).exact


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit('no such option: -x|-y')", "no such option: -x/-y"),
        ("raise OSError(98, 'in use')", "OSError: [Errno 98] in use"),
        ("", "it ended without a word"),
    ],
)
def test_a_cell_that_cannot_be_had_says_why(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server said last stands in the row; there is no number."""
    broken = Server((sys.executable, "-c", program))
    monkeypatch.setitem(SERVERS, "broken", broken)
    found = count(("metlog, StatsD", "broken", "stop", 1))
    assert not found.exact
    assert line(found) == f"| metlog, StatsD | broken | stop | - | - | {said} | - | - |"


def test_a_program_that_is_missing_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """No failure of one cell ends the run."""
    monkeypatch.setitem(SERVERS, "missing", Server(("/no/such", "server")))
    assert "FileNotFoundError" in line(count(("metlog, StatsD", "missing", "stop", 1)))


def test_a_cell_that_is_cut_short_is_counted_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where no new workers come of a reload, because the old ones do not end."""

    def cut(run: Running, requests: int) -> None:
        run.visit(requests)
        raise AssertionError("not within 60.0 s: two new workers. (set(), {7})")

    monkeypatch.setitem(SCENARIOS, "reload", cut)
    found = count(("metlog, StatsD", "gunicorn", "reload", 20))
    assert not found.exact
    start = "| metlog, StatsD | gunicorn | reload | 20 | 20 | **exact**, "
    assert line(found).startswith(f"{start}not within 60.0 s: two new workers | 0 | ")


@pytest.mark.parametrize("backend", TASKS)
@pytest.mark.parametrize("client", OURS)
def test_tasks_of_django_arrive_once(client: str, backend: str) -> None:
    """Those that run at once, and those of two workers that are told to stop."""
    found = job(client, OURS[client], backend, 50)
    assert found.answered == 50
    assert found.exact, found
