# SPDX-License-Identifier: MPL-2.0
"""How long a report may be, and what becomes of odd lengths."""

from __future__ import annotations

import asyncio
import io
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.test import RequestFactory, override_settings
from reports import (
    BOOMERANG,
    FORM,
    LOAD,
    URL,
    Ask,
    ask_wsgi,
    every_server,
    multipart,
    post,
    recorded,
    too_long,
)
from sending import Sent

from django_metlog.views import record


@every_server
def test_a_long_query(ask: Ask, sent: Sent) -> None:
    """The limit holds for the query as well."""
    answer = ask("GET", f"{URL}?{urlencode({**BOOMERANG, 'u': 'x' * 65536})}")
    assert answer.status_code == 413
    assert recorded(sent) == {}


@every_server
@pytest.mark.parametrize("resources", [1, 31_000, 60_000])
def test_boomerang_with_resource_timing(ask: Ask, sent: Sent, resources: int) -> None:
    """What a page with hundreds of resources adds to its beacon is taken."""
    body = urlencode({**BOOMERANG, "restiming": "x" * resources}).encode()
    assert ask("POST", URL, body).status_code == 204
    assert recorded(sent)["timing.domComplete"] == 274


@every_server
def test_the_limit_is_a_setting(ask: Ask, sent: Sent) -> None:
    """METLOG_RECORD_MAX_BYTES says how long a report may be."""
    body = urlencode(LOAD).encode()
    with override_settings(METLOG_RECORD_MAX_BYTES=len(body)):
        assert ask("POST", URL, body).status_code == 204
    with override_settings(METLOG_RECORD_MAX_BYTES=len(body) - 1):
        assert ask("POST", URL, body).status_code == 413
    with override_settings(METLOG_RECORD_MAX_BYTES=1_000_000):
        body += b"&" + b"&".join(b"k%d=1" % number for number in range(10_000))
        assert ask("POST", URL, body).status_code == 204


@every_server
def test_a_small_limit_of_django(ask: Ask) -> None:
    """DATA_UPLOAD_MAX_MEMORY_SIZE below our own limit is a 4xx too."""
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10):
        assert post(ask, LOAD).status_code == 413


@pytest.mark.parametrize("length", ["", "junk", "-1", "9" * 30, "\N{SUPERSCRIPT TWO}"])
def test_odd_content_length(length: str, sent: Sent) -> None:
    """A Content-Length that is none leaves Django without a body."""
    answer = ask_wsgi("POST", URL, urlencode(LOAD).encode(), CONTENT_LENGTH=length)
    assert answer.status_code in (400, 413)
    assert recorded(sent) == {}


@pytest.mark.parametrize("form", [FORM, "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("share", [n / 12 for n in range(12)])
def test_a_body_that_was_cut_off(form: str, share: float, sent: Sent) -> None:
    """What arrived before a connection broke is not recorded: 25 may have been 250."""
    body = urlencode(LOAD).encode() if form == FORM else multipart(LOAD)
    arrived = body[: int(share * len(body))]
    announced = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(arrived)}
    answer = ask_wsgi("POST", URL, body, form, **announced)
    assert answer.status_code == 400
    assert recorded(sent) == {}
    assert ask_wsgi("POST", URL, body, form).status_code == 204
    assert recorded(sent)["timing.domComplete"] == 250


def test_a_body_without_a_length(sent: Sent) -> None:
    """Under ASGI a body may come in pieces, its length unknown: the limit holds."""
    assert _asgi_without_length(urlencode(LOAD).encode()) == 204
    assert recorded(sent)["timing.domComplete"] == 250
    sent.clear()
    assert _asgi_without_length(too_long("own")) == 413
    assert recorded(sent) == {}


class Endless(io.BytesIO):
    """A body that counts how much of it was read."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size >= 0, "somebody wants to read all of it"
        self.taken += size
        return size * b"x"


def test_no_more_is_read_than_allowed() -> None:
    """A long body is not read if it says so, else only as far as the limit."""
    environ = {"wsgi.input": Endless(), "CONTENT_TYPE": FORM, "CONTENT_LENGTH": "70000"}
    announced = RequestFactory().request(REQUEST_METHOD="POST", **environ)
    assert record(announced).status_code == 413
    assert environ["wsgi.input"].taken == 0
    for form, status, most in [
        (FORM, 413, 2 * 65536),
        ("multipart/form-data; boundary=x", 400, 0),  # of unknown length it is nothing
    ]:
        body = Endless()
        scope = {
            "method": "POST",
            "path": URL,
            "headers": [(b"content-type", form.encode())],
        }
        assert record(ASGIRequest(scope, body)).status_code == status
        assert body.taken <= most


@pytest.mark.parametrize("length", ["", "+70000", " 70000 ", "7_0000", "7e4", "-1"])
@pytest.mark.parametrize("form", [FORM, "multipart/form-data; boundary=x"])
def test_no_more_is_read_whatever_the_length_says(form: str, length: str) -> None:
    """Some servers pass on a Content-Length as it came, and Python reads more numbers
    than HTTP has."""
    body = Endless()
    environ = {"wsgi.input": body, "CONTENT_TYPE": form, "CONTENT_LENGTH": length}
    request = RequestFactory().request(REQUEST_METHOD="POST", **environ)
    assert record(request).status_code in (400, 413)
    assert body.taken <= 2 * 65536


def _asgi_without_length(body: bytes) -> int:
    scope = {
        "type": "http",
        "method": "POST",
        "path": URL,
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-type", FORM.encode())],
    }
    status = 0

    async def talk() -> None:
        parts = iter([(body[:100], True), (body[100:], False)])
        over = asyncio.Event()

        async def receive() -> dict[str, Any]:
            for part, more in parts:
                return {"type": "http.request", "body": part, "more_body": more}
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)

        await ASGIHandler()(scope, receive, send)

    asyncio.run(talk())
    return status
