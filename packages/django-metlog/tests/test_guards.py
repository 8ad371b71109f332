# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st
from reports import LOAD, URL, Ask, every_server, post

from django_metlog import guards
from django_metlog.guards import all_of, per_address, rate_limit, same_origin


def request(**headers: str) -> HttpRequest:
    """A request to shop.example, with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestFactory().post(URL, headers={"host": "shop.example", **named})


@pytest.mark.parametrize(
    ("headers", "lets_through"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "https://shop.example"}, False),
        ({"origin": "https://shop.example"}, True),
        ({"origin": "http://SHOP.example"}, True),
        ({"origin": "https://shop.example:8443"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://shop.example.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://evil.example", "referer": "https://shop.example/"}, False),
        ({"referer": "http://shop.example/basket?x=1"}, True),
        ({"referer": "http://evil.example/shop.example"}, False),
        ({"referer": "http://[broken"}, False),
        ({}, False),
    ],
)
def test_same_origin(headers: dict[str, str], lets_through: bool) -> None:
    """Pages of the same host may report; others, and requests of no page, may not."""
    answer = same_origin(request(**headers))
    assert (answer is None) is lets_through
    if answer is not None:
        assert answer.status_code == 403


def test_same_origin_with_a_port() -> None:
    """The port is part of the host."""
    headers = {"host": "localhost:8000", "origin": "http://localhost:8000"}
    assert same_origin(request(**headers)) is None


@override_settings(ALLOWED_HOSTS=["shop.example"])
def test_same_origin_with_a_host_that_is_not_allowed() -> None:
    """A host that Django does not serve has no pages."""
    headers = {"host": "evil.example", "origin": "https://evil.example"}
    answer = same_origin(request(**headers))
    assert answer is not None
    assert answer.status_code == 403


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def passed(guard: guards.Guard, times: int) -> int:
    """How many of so many requests get through."""
    return sum(guard(request()) is None for _ in range(times))


def test_rate_limit() -> None:
    """So many a second get through, the rest is told 429."""
    clock = Clock()
    guard = rate_limit(2, clock=clock)
    assert passed(guard, 5) == 2
    answer = guard(request())
    assert answer.status_code == 429
    clock.now += 0.5
    assert passed(guard, 5) == 1
    clock.now += 3600
    assert passed(guard, 5) == 2


def test_rate_limit_is_of_one_process() -> None:
    """A forked worker has a bucket of its own, whatever went through the others'."""
    guard = rate_limit(2, clock=Clock())
    worker = os.fork()
    if worker == 0:
        os._exit(passed(guard, 5))
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 2
    assert passed(guard, 5) == 2


def test_rate_limit_with_a_burst() -> None:
    """A burst is how many may come at once after a quiet time."""
    clock = Clock()
    guard = rate_limit(0.1, burst=3, clock=clock)
    assert passed(guard, 5) == 3
    clock.now += 10
    assert passed(guard, 5) == 1
    assert passed(rate_limit(0.1, clock=clock), 5) == 1


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 10), min_size=1, max_size=50),
)
def test_rate_limit_over_time(rate: float, burst: int, waits: list[float]) -> None:
    """However requests come, no more pass than the burst and the time allow."""
    clock = Clock()
    guard = rate_limit(rate, burst, clock)
    through = 0
    for wait in waits:
        clock.now += wait
        through += passed(guard, 1)
    assert through <= burst + rate * sum(waits) + 0.001


@pytest.mark.parametrize("wrong", [(0, 1), (-1, 1), (1, 0), (float("nan"), 1)])
def test_rate_limit_that_lets_nobody_through(wrong: tuple[float, ...]) -> None:
    """A limit under which nothing ever passes is a mistake, said at start-up."""
    with pytest.raises(ValueError, match="per_second above 0 and a burst of 1 or more"):
        rate_limit(*wrong)


def refuse(request: HttpRequest) -> HttpResponse:
    return HttpResponse("sync", status=403)


async def arefuse(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse("async", status=403)


def allow(request: HttpRequest) -> None:
    return None


async def aallow(request: HttpRequest) -> None:
    await asyncio.sleep(0)


@every_server
@pytest.mark.parametrize(
    ("several", "content"),
    [
        ([], None),
        ([allow, aallow], None),
        ([allow, refuse, arefuse], b"sync"),
        ([aallow, arefuse, refuse], b"async"),
        ([all_of(allow, aallow), all_of(refuse)], b"sync"),
    ],
)
def test_all_of(ask: Ask, several: list[guards.Guard], content: bytes | None) -> None:
    """The first guard that refuses decides, sync and async ones mixed."""
    with override_settings(METLOG_RECORD_GUARD=all_of(*several)):
        answer = post(ask, LOAD)
    assert answer.status_code == (204 if content is None else 403)
    assert answer.content == (content or b"")


@every_server
def test_by_path(ask: Ask) -> None:
    """The guard that most sites want is named by its path."""
    with override_settings(METLOG_RECORD_GUARD="django_metlog.guards.same_origin"):
        assert post(ask, LOAD).status_code == 403
        headers = {"sec-fetch-site": "same-origin"}
        assert post(ask, LOAD, headers=headers).status_code == 204


def test_per_address_limits_each_client_by_itself() -> None:
    """One that floods is refused; another is not, and the first one is let in again."""
    now = [0.0]
    guard = per_address(2, clock=lambda: now[0])

    def ask(address: str) -> int:
        answer = guard(RequestFactory(REMOTE_ADDR=address).post(URL))
        return 200 if answer is None else answer.status_code

    assert [ask("192.0.2.1") for _ in range(4)] == [200, 200, 429, 429]
    assert [ask("192.0.2.2") for _ in range(3)] == [200, 200, 429]
    now[0] += 0.5
    assert [ask("192.0.2.1") for _ in range(2)] == [200, 429]
    now[0] += 3600
    assert [ask("192.0.2.1") for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:DB8:1:2::1", "2001:0db8:0001:0002::2", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.11", False),
        ("", "", True),
        ("unix:", "", False),
        ("x" * 5000, "x" * 6000, True),
    ],
)
def test_per_address_knows_one_client(one: str, other: str, same: bool) -> None:
    """Of IPv6 it is the network that a client is given; what is no address is text."""
    guard = per_address(0.001)
    assert guard(RequestFactory(REMOTE_ADDR=one).post(URL)) is None
    answer = guard(RequestFactory(REMOTE_ADDR=other).post(URL))
    assert (answer is not None) is same


def test_per_address_remembers_so_many() -> None:
    """With a million addresses it holds as many as it is told, the last ones."""
    guard = per_address(0.001, addresses=3)
    ask = [f"192.0.2.{number}" for number in range(1, 6)]
    for address in ask:
        assert guard(RequestFactory(REMOTE_ADDR=address).post(URL)) is None
    refused = [
        guard(RequestFactory(REMOTE_ADDR=address).post(URL)) is not None
        for address in reversed(ask)
    ]
    assert refused == [True, True, True, False, False]


@pytest.mark.parametrize(
    "arguments", [(0,), (-1,), (float("nan"),), (1, 0.5), (1, None, 0)]
)
def test_per_address_says_what_it_needs(arguments: tuple[float, ...]) -> None:
    """A limit that lets nobody in is a mistake, and said at once."""
    with pytest.raises(ValueError, match="per_address: expected per_second above 0"):
        per_address(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("several", "said"),
    [
        ([[same_origin]], "; write all_of(same_origin, rate_limit(10))"),
        (["django_metlog.guards.same_origin"], "got 'django_metlog.guards.same_origin"),
        (
            [same_origin, rate_limit],
            "rate_limit, which makes one; write rate_limit(10)",
        ),
        ([per_address], "got per_address, which makes one; write per_address(5)"),
        ([guards.bearer], 'write bearer(os.environ["METRICS_TOKEN"])'),
        ([all_of, same_origin], "got all_of, which makes one"),
        ([None], "got None"),
    ],
)
def test_all_of_says_what_it_needs(several: Any, said: str) -> None:
    """Where it is written, and not at the first report."""
    with pytest.raises(ValueError, match=r"^all_of: expected guards, got ") as raised:
        all_of(*several)
    assert said in str(raised.value)


@pytest.mark.parametrize("make", [rate_limit, per_address])
@pytest.mark.parametrize("wrong", ["5", None, [5], "", float("nan"), -1, 5j])
def test_a_limit_that_is_no_number(make: Any, wrong: Any) -> None:
    """Is told like one that is too small."""
    with pytest.raises(ValueError, match="expected per_second above 0"):
        make(wrong)
    if wrong is not None:  # which is the default
        with pytest.raises(ValueError, match="expected per_second above 0"):
            make(5, wrong)
