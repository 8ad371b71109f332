# SPDX-License-Identifier: MPL-2.0
"""What a page tells after its load: page swaps, errors, the causes of its vitals."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from reports import URL, Ask, every_server
from sending import Sent

from django_metlog import _page_events

INP = {
    "webvital.INP.value": "312.4",
    "webvital.INP.delta": "8",
    "webvital.INP.rating": "needs-improvement",
    "webvital.INP.id": "v6-1795656950266-1234567890123",
    "webvital.INP.navigation_type": "navigate",
    "webvital.INP.target": "html>body>main>button.buy",
    "webvital.INP.script": "/static/shop.js",
}


def post(ask: Ask, *fields: tuple[str, str], status: int = 204) -> Any:
    body = urlencode([("client", "stick"), *fields]).encode()
    answer = ask("POST", URL, body)
    assert answer.status_code == status, answer.content
    return answer


def ours(sent: Sent) -> dict[str, float]:
    assert not [
        one for one in sent.captured if one.name.startswith("window.performance.timing")
    ]
    return {
        one.name: one.value or 0
        for one in sent.captured
        if one.name.startswith("window.")
    }


@every_server
def test_page_swaps(ask: Ask, sent: Sent) -> None:
    """Each swap is timed under the view that answered, which must be the site's."""
    lines = "412 testsite.views.index\n31.5 testsite.views.index\n7 made.up\n8 \n9"
    post(ask, ("visits", lines))
    timers = sent.timers()
    assert timers["window.visit.testsite.views.index.settled"] == [412, 32]
    assert timers["window.visit.other.settled"] == [7, 8, 9]
    views = {one.labels["view"] for one in sent.captured if one.base == "window.visit"}
    assert views == {"testsite.views.index", "other"}


@every_server
def test_too_many_page_swaps(ask: Ask, sent: Sent) -> None:
    """Fifty a report are taken; the rest, and hours, are dropped and counted."""
    post(ask, ("visits", "\n".join(["5"] * 60)), ("sample", "0.5"))
    assert len(sent.timers()["window.visit.other.settled"]) == 50
    assert {one.rate for one in sent.captured if "visit" in one.name} == {0.5}
    assert sent.counters()["window.performance.rejected"] == 20
    sent.clear()
    post(ask, ("visits", "3600001 a\n3600000 b\n-5 c\n-0 d"))
    assert sent.timers()["window.visit.other.settled"] == [3_600_000, 0]
    assert sent.counters()["window.performance.rejected"] == 2


@every_server
@pytest.mark.parametrize(
    "fields",
    [
        [("visits", "")],
        [("visits", "soon a.b")],
        [("visits", "--5 a.b")],
        [("visits", "1e3 a.b")],
        [("visits", "5 a"), ("visits", "6 b")],
        [("webvital.INP.value", "high")],
        [("webvital.INP.value", "1"), ("webvital.INP.value", "1")],
        [*INP.items(), ("webvital.INP.target", "twice")],
        [*INP.items(), ("webvital.LCP.value", "1e400")],
        [("webvital.FID.value", "1")],
    ],
)  # fmt: skip
def test_what_stick_does_not_send(
    ask: Ask, sent: Sent, fields: list[tuple[str, str]]
) -> None:
    """Such a report is bad, and nothing of it is recorded."""
    answer = post(ask, *fields, status=400)
    assert answer.content.decode().endswith(".")
    assert ours(sent) == {}
    assert not [one for one in sent.captured if one.kind == "message"]


@every_server
def test_javascript_errors(ask: Ask, sent: Sent) -> None:
    """Errors are counted by class, with the page's view, never with their text."""
    kinds = ["TypeError", "TypeError", "resource", "KeyError'; drop", "", "Error"]
    errors = [("error", kind) for kind in kinds]
    post(ask, *errors, ("view", "testsite.views.index"), ("sample", "0.5"))
    assert sent.counters() | {"response.204": 0} == {
        "window.error.TypeError": 4,
        "window.error.resource": 2,
        "window.error.other": 4,
        "window.error.Error": 2,
        "response.204": 0,
    }
    for one in sent.captured:
        if one.name.startswith("window.error"):
            assert one.fields == {"view": "testsite.views.index"}


@every_server
def test_ten_errors_a_page(ask: Ask, sent: Sent) -> None:
    """What stick does not send is not counted either."""
    post(ask, *[("error", "RangeError")] * 25)
    counters = sent.counters()
    assert counters["window.error.RangeError"] == 10
    assert counters["window.performance.rejected"] == 15


def messages(sent: Sent) -> list[dict[str, Any]]:
    return [
        {"payload": one.message["payload"], **one.message["fields"]}
        for one in sent.captured
        if one.kind == "message" and one.message and one.message["type"] == "webvital"
    ]


@every_server
def test_causes_of_vitals(ask: Ask, sent: Sent) -> None:
    """Each vital with its cause is a message, and no metric."""
    post(ask, *INP.items(), ("view", "testsite.views.index"), ("sample", "0.1"))
    assert messages(sent) == [
        {
            "payload": "INP 312.4 needs-improvement",
            "name": "INP",
            "value": 312.4,
            "delta": 8.0,
            "rating": "needs-improvement",
            "id": "v6-1795656950266-1234567890123",
            "navigation_type": "navigate",
            "target": "html>body>main>button.buy",
            "script": "/static/shop.js",
            "view": "testsite.views.index",
            "rate": 0.1,
        }
    ]
    assert ours(sent) == {}


@every_server
def test_own_fields_of_messages(ask: Ask, sent: Sent) -> None:
    """Messages carry a site's own fields as metrics do; stick's come first."""
    lists = {"release": ["1.2"], "rating": ["mine"]}
    with override_settings(METLOG_RECORD_FIELDS=lists):
        post(ask, *INP.items(), ("release", "1.2"), ("rating", "mine"))
    [message] = messages(sent)
    assert message["release"] == "1.2"
    assert message["rating"] == "needs-improvement"


@every_server
@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({"script": "/a.js?token=secret#x"}, {"script": "/a.js"}),
        ({"script": "https://example.com/a.js"}, {}),
        ({"script": "//example.com/a.js"}, {}),
        ({"script": "data:text/javascript,alert"}, {}),
        ({"target": "x" * 500}, {"target": "x" * 200}),
        ({"target": "a\nb\0c"}, {"target": "abc"}),
        ({"id": "<script>"}, {}),
        ({"navigation_type": "teleport"}, {}),
        ({"navigation_type": "back-forward"}, {"navigation_type": "back-forward"}),
    ],
)
def test_what_a_message_may_hold(
    ask: Ask, sent: Sent, change: dict[str, str], known: dict[str, str]
) -> None:
    """No more of an address than its path, and only known words."""
    least = {"webvital.LCP.value": "1", "webvital.LCP.rating": "good"}
    more = {f"webvital.LCP.{key}": value for key, value in change.items()}
    post(ask, *least.items(), *more.items())
    [message] = messages(sent)
    del message["payload"], message["name"], message["value"], message["rating"]
    assert message == known


@every_server
@pytest.mark.parametrize(
    ("value", "delta", "said"),
    [
        ("200", "-48", -48),
        ("200", "-7.105427357601002e-15", 0),
        ("0.000013500000000000001", "0.0000012345678901234567", 0),
        ("2.1e-8", "2.1e-8", 0),
        ("5e-324", "-5e-324", 0),
        ("1.7976931348623157", "0.30000000000000004", 0.3),
        ("123456789.12345678e-7", "1e-100", 0),
        ("0", "0", 0),
        ("-0", "-0", 0),
        ("3600000", "-3600000", -3_600_000),
    ],
)
def test_numbers_as_browsers_write_them(
    ask: Ask, sent: Sent, value: str, delta: str, said: float
) -> None:
    """INP falls as interactions add up, and layout may shift by a ten-millionth."""
    numbers = {"webvital.INP.value": value, "webvital.INP.delta": delta}
    post(ask, *{**INP, **numbers}.items())
    [message] = messages(sent)
    assert message["value"] == pytest.approx(float(value), abs=0.0005)
    assert message["delta"] == said
    assert "-0" not in f"{message['delta']} {message['value']} {message['payload']}"


@every_server
@pytest.mark.parametrize("value", ["-1", "-0.001", "3600001", "9" * 15])
def test_one_value_that_cannot_be(ask: Ask, sent: Sent, value: str) -> None:
    """It is dropped and counted: a delta by itself, a value with what it says of it."""
    lcp = {"webvital.LCP.value": value, "webvital.LCP.rating": "good"}
    post(ask, *INP.items(), *lcp.items())
    assert [message["name"] for message in messages(sent)] == ["INP"]
    assert sent.counters()["window.performance.rejected"] == 1
    sent.clear()
    if float(value) < 0:
        return
    for sign in ("", "-"):
        post(ask, *{**INP, "webvital.INP.delta": sign + value}.items())
    assert ["delta" in message for message in messages(sent)] == [False, False]
    assert sent.counters()["window.performance.rejected"] == 2


@every_server
def test_vitals_that_cannot_be(ask: Ask, sent: Sent) -> None:
    """A value of hours, or no rating, drops that vital and is counted."""
    odd = {"webvital.LCP.value": "9999999", "webvital.LCP.rating": "good"}
    unrated = {"webvital.FCP.value": "5", "webvital.FCP.rating": "fine"}
    post(ask, *INP.items(), *odd.items(), *unrated.items())
    assert [message["name"] for message in messages(sent)] == ["INP"]
    assert sent.counters()["window.performance.rejected"] == 2


NAMES = st.sampled_from(["visits", "error", "view", *INP, "webvital.CLS.value"])
TEXTS = st.one_of(st.text(max_size=30), st.sampled_from([*INP.values(), "5"]))


@given(st.dictionaries(NAMES, st.lists(TEXTS)))
def test_whatever_comes(fields: dict[str, list[str]]) -> None:
    """It is malformed, or becomes values that can be sent."""
    fields = {name: values for name, values in fields.items() if values}
    try:
        swaps, _ = _page_events.visits(fields)
        errors, _ = _page_events.errors(fields)
        causes, _ = _page_events.causes(fields)
    except _page_events.BadReportError:
        return
    assert all(0 <= swap.ms <= _page_events.MAX_MS for swap in swaps)
    assert errors.keys() <= _page_events.ERROR_KINDS
    json.dumps(causes, allow_nan=False)
