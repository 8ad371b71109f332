# SPDX-License-Identifier: MPL-2.0
"""The record view as browsers meet it: through the site, by WSGI and by ASGI."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.test import override_settings
from django.urls import reverse
from reports import (
    BOOMERANG,
    FORM,
    LOAD,
    LOADED,
    REDIRECTS,
    TIMING,
    TYPE,
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


def test_address() -> None:
    """Included under services/timing/, the view is at services/timing/record."""
    assert reverse("django_metlog.record") == URL


@every_server
def test_stick(ask: Ask, sent: Sent) -> None:
    """A report of stick is answered 204, is not to be stored, and is recorded."""
    answer = post(ask, LOAD)
    assert answer.status_code == 204
    assert answer["Cache-Control"] == "no-store"
    assert answer.content == b""
    assert recorded(sent) == LOADED


@every_server
def test_stick_as_a_multipart_form(ask: Ask, sent: Sent) -> None:
    """A FormData body, which browsers send as multipart/form-data, is a form too."""
    answer = ask("POST", URL, multipart(LOAD), "multipart/form-data; boundary=x")
    assert answer.status_code == 204
    assert recorded(sent)["timing.domComplete"] == 250


@every_server
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_boomerang(ask: Ask, sent: Sent, method: str) -> None:
    """boomerang comes by GET, HEAD or POST, its fields in the query or the body."""
    form = urlencode(BOOMERANG)
    if method == "POST":
        answer = ask(method, URL, form.encode())
    else:
        answer = ask(method, f"{URL}?{form}")
    assert answer.status_code == 204
    assert answer["Cache-Control"] == "no-store"
    assert recorded(sent)["timing.domComplete"] == 274


@every_server
def test_client_in_the_query_and_the_rest_in_the_body(ask: Ask, sent: Sent) -> None:
    """A beacon_url that ends in ?client=boomerang will do."""
    body = urlencode(
        {name: value for name, value in BOOMERANG.items() if name != "client"}
    )
    assert ask("POST", f"{URL}?client=boomerang", body.encode()).status_code == 204
    assert recorded(sent)["timing.domComplete"] == 274


@every_server
@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
)
def test_other_methods(ask: Ask, sent: Sent, method: str) -> None:
    """Any other method is answered 405, and which ones there are."""
    answer = ask(method, URL, urlencode(LOAD).encode())
    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD, POST"
    assert answer["Cache-Control"] == "no-store"
    assert recorded(sent) == {}


@every_server
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_stick_by_get(ask: Ask, sent: Sent, method: str) -> None:
    """stick posts; a link with its fields records nothing."""
    answer = ask(method, f"{URL}?{urlencode(LOAD)}")
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert recorded(sent) == {}


PART_NOT_UTF8 = (
    b'--x\r\nContent-Disposition: form-data; name="client"\r\n\r\n\xff\r\n--x--\r\n'
)


@every_server
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", FORM, 400),
        (b"client=no", FORM, 400),
        (b"client=stick", FORM, 400),
        (urlencode({**LOAD, TIMING + "domLoading": "soon"}).encode(), FORM, 400),
        (urlencode(LOAD).encode() + b"&" + urlencode(LOAD).encode(), FORM, 400),
        (urlencode(LOAD).encode() + b"&own=%ff", FORM, 400),
        (urlencode(LOAD).encode() + b"&own=\xff", FORM, 400),
        (urlencode(LOAD).encode() + b"&%c3%28=1", FORM, 400),
        (json.dumps(LOAD).encode(), "application/json", 400),
        (json.dumps([LOAD]).encode(), FORM, 400),
        (urlencode(LOAD).encode(), "text/plain;charset=UTF-8", 400),
        (urlencode(LOAD).encode(), "", 400),
        (urlencode(LOAD).encode(), "application/x-www-form-urlencoded-not", 400),
        (b"junk", "multipart/form-data; boundary=x", 400),
        (b"junk", "multipart/form-data", 400),
        (PART_NOT_UTF8, "multipart/form-data; boundary=x", 400),
        (too_long("own"), FORM, 413),
        (b"&".join(b"k%d=1" % number for number in range(12_000)), FORM, 413),
        (b"&" * 70_000, FORM, 413),
    ],
)  # fmt: skip
def test_bad_reports(
    ask: Ask, sent: Sent, body: bytes, content_type: str, status: int
) -> None:
    """A bad report is answered with one sentence in plain text, and records nothing."""
    answer = ask("POST", URL, body, content_type)
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    sentence = answer.content.decode()
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert recorded(sent) == {}


@every_server
def test_impossible_values_are_counted(ask: Ask, sent: Sent) -> None:
    """One impossible value costs that value, and shows as rejected."""
    fields = {**LOAD, TIMING + "domInteractive": "-5", TIMING + "domLoading": "9" * 30}
    assert post(ask, fields).status_code == 204
    assert recorded(sent)["rejected"] == 2
    assert recorded(sent)["timing.domComplete"] == 250


@every_server
def test_keys_from_the_historic_setting(ask: Ask, sent: Sent) -> None:
    """STATSD_RECORD_KEYS says what is recorded."""
    with override_settings(STATSD_RECORD_KEYS=[TIMING + "domLoading"]):
        assert post(ask, LOAD).status_code == 204
    assert {name for name in recorded(sent) if not name.startswith("calculated")} == {
        "timing.domLoading"
    }


VITALS = {"LCP": "1204", "CLS": "0.0834", "INP": "48", "FCP": "300", "TTFB": "80"}


@every_server
@pytest.mark.parametrize("fields", [LOAD, {"client": "stick", **VITALS}])
def test_view_name(ask: Ask, sent: Sent, fields: dict[str, str]) -> None:
    """A page's view that is in the URLconf becomes a field of all the page's times."""
    assert post(ask, {**fields, "view": "testsite.views.index"}).status_code == 204
    times = [
        one
        for one in sent.captured
        if one.name.startswith("window.") and one.kind == "timer"
    ]
    assert times
    for one in times:
        assert one.fields.get("view") == "testsite.views.index", one.name
    assert not [one.name for one in sent.captured if "performance.view" in one.name]


@every_server
def test_an_unknown_view_name(ask: Ask, sent: Sent) -> None:
    """Whatever else the page says is left out: names stay bounded."""
    with override_settings(METLOG_RECORD_BY_VIEW=True):
        assert post(ask, {**LOAD, "view": "made.up"}).status_code == 204
    assert recorded(sent)["timing.domComplete"] == 250
    told = [one for one in sent.captured if one.base.startswith("window.")]
    assert not [one for one in told if "view" in one.fields or "made" in one.name]


def test_by_view(sent: Sent) -> None:
    """METLOG_RECORD_BY_VIEW sends the page's timings under its view's name as well."""
    with override_settings(METLOG_RECORD_BY_VIEW=True, METLOG_VIEW_NAMES="url_name"):
        assert post(ask_wsgi, {**LOAD, "view": "index"}).status_code == 204
    assert {
        name: value for name, value in recorded(sent).items() if name.startswith("view")
    } == {
        "view.index.timing.domComplete": 250,
        "view.index.timing.domInteractive": 171,
        "view.index.timing.domLoading": 110,
        "view.index.calculated.network": 95,
        "view.index.calculated.app": 15,
        "view.index.calculated.dom": 140,
        "view.index.calculated.rendering": 1,
    }


def test_vitals_by_view(sent: Sent) -> None:
    """Which view has the bad INP can be read from the name, too."""
    report = {"client": "stick", **VITALS, "view": "testsite.views.index"}
    with override_settings(METLOG_RECORD_BY_VIEW=True):
        assert post(ask_wsgi, report).status_code == 204
    found = recorded(sent)
    for vital in VITALS:
        of_view = found[f"view.testsite.views.index.vitals.{vital}"]
        assert of_view == found[f"vitals.{vital}"]


@every_server
def test_own_fields(ask: Ask, sent: Sent) -> None:
    """METLOG_RECORD_FIELDS lists what of a site's own fields is recorded."""
    own = {"release": "1.2", "device_type": "toaster", "junk": "x"}
    lists = {"release": ["1.2"], "device_type": ["mobile", "desktop"]}
    with override_settings(METLOG_RECORD_FIELDS=lists):
        assert post(ask, {**LOAD, **own, "view": "index"}).status_code == 204
    for one in sent.captured:
        if one.name.startswith("window."):
            assert one.fields == {"release": "1.2"}, one.name


@every_server
def test_a_sampled_report(ask: Ask, sent: Sent) -> None:
    """Where one load in four is reported, each counts for four."""
    load = {**LOAD, REDIRECTS: "1", TIMING + "domInteractive": "-1"}
    for _ in range(20):  # dice would have to fall well twenty times
        assert post(ask, {**load, "sample": "0.25"}).status_code == 204
    counters = sent.counters()
    assert counters[REDIRECTS] == 80
    assert counters[f"{TYPE}.reload"] == 80
    assert counters["window.performance.rejected"] == 80
    times = [one for one in sent.captured if one.name == f"{TIMING}domComplete"]
    assert [one.rate for one in times] == [0.25] * 20
    assert {one.value for one in times} == {250}


@override_settings(METLOG_RECORD_FIELDS={})  # so that no share is known yet
def test_many_different_samples(sent: Sent, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten shares are believed, because each makes series; a report with another counts
    once. So a stranger cannot make series without end."""
    more = {"visits": "5 testsite.views.index", "INP": "3", "error": "TypeError"}
    for n in range(50):
        fields = {**LOAD, **more, "sample": f"0.1{n:02}"}
        assert post(ask_wsgi, fields).status_code == 204
    for base in ("performance.timing", "performance.vitals", "visit"):
        rates = [one.rate for one in sent.based(f"window.{base}")]
        assert len(set(rates)) == 11
        assert rates[-1] == 1
    for name in (f"{TYPE}.reload", "window.error.TypeError"):
        assert 10 * 9 + 40 < sent.counters()[name] <= 10 * 10 + 40
    assert "counts once: its sample is 0.11, after 10 others: 0.1, 0.101" in (
        capsys.readouterr().err
    )
    sent.clear()
    assert post(ask_wsgi, {**LOAD, "sample": "0.1"}).status_code == 204
    assert {one.rate for one in sent.based("window.performance.timing")} == {0.1}


@every_server
@pytest.mark.parametrize(
    ("purpose", "kind"),
    [
        ("prefetch;prerender", "prerender"),
        ("prefetch; prerender", "prerender"),
        ("Prefetch;Prerender", "prerender"),
        ("prefetch;anonymous-client-ip;prerender", "prerender"),
        ("prefetch;prerender=?1", "prerender"),
        ("prefetch", "reload"),
        ("prerender", "reload"),
        ("prefetch;prerendered", "reload"),
        ("", "reload"),
    ],
)
def test_sent_while_prerendering(ask: Ask, sent: Sent, purpose: str, kind: str) -> None:
    """What a page says before anybody sees it is no visit: the request tells."""
    assert post(ask, LOAD, headers={"Sec-Purpose": purpose}).status_code == 204
    found = recorded(sent)
    assert found[f"navigation.type.{kind}"] == 1
    assert ("timing.domComplete" in found) == (kind != "prerender")


@every_server
def test_vitals(ask: Ask, sent: Sent) -> None:
    """Web vitals come in a report of their own, when the page is hidden."""
    assert post(ask, {"client": "stick", **VITALS}).status_code == 204
    assert recorded(sent) == {
        "vitals.LCP": 1204,
        "vitals.CLS": 83,
        "vitals.INP": 48,
        "vitals.FCP": 300,
        "vitals.TTFB": 80,
    }


def refuse(request: HttpRequest) -> HttpResponse | None:
    assert not request._read_started
    return HttpResponseForbidden("no") if "no" in request.headers else None


async def arefuse(request: HttpRequest) -> HttpResponse | None:
    await asyncio.sleep(0)
    return refuse(request)


class Refuse:
    """A guard whose asynchrony nobody can see beforehand."""

    async def __call__(self, request: HttpRequest) -> HttpResponse | None:
        return await arefuse(request)


@every_server
@pytest.mark.parametrize(
    "guard",
    [
        *(refuse, arefuse, Refuse()),
        *("test_views_record.refuse", "test_views_record.arefuse"),
    ],
)
@pytest.mark.parametrize("setting", ["METLOG_RECORD_GUARD", "STATSD_RECORD_GUARD"])
def test_guard(ask: Ask, sent: Sent, guard: object, setting: str) -> None:
    """A guard, sync or async, or its path, refuses before the body is read."""
    with override_settings(**{setting: guard}):
        assert post(ask, LOAD).status_code == 204
        assert recorded(sent)["timing.domComplete"] == 250
        sent.clear()
        headers = {"headers": {"no": "1"}}
        answer = post(ask, {"client": "junk"}, **headers)
    assert answer.status_code == 403
    assert answer.content == b"no"
    assert answer["Cache-Control"] == "no-store"
    assert recorded(sent) == {}


@every_server
def test_a_guard_that_answers_nonsense(ask: Ask) -> None:
    """A guard that returns neither None nor a response is told so."""
    with (
        override_settings(METLOG_RECORD_GUARD=lambda request: True),
        pytest.raises(TypeError, match="None or a response, got True"),
    ):
        post(ask, LOAD)


@every_server
@override_settings(
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
)
def test_strict_middleware(ask: Ask, sent: Sent) -> None:
    """Beacons have no CSRF token and no log-in, and need none."""
    assert post(ask, LOAD).status_code == 204
    assert recorded(sent)["timing.domComplete"] == 250


@every_server
def test_no_transaction(ask: Ask) -> None:
    """ATOMIC_REQUESTS opens no transaction for a beacon: it needs no database."""
    from django.db import connections

    # Without pytest-django's mark a test that touches the database fails.
    with pytest.MonkeyPatch.context() as patch:
        for database in connections.settings.values():
            patch.setitem(database, "ATOMIC_REQUESTS", True)
        assert post(ask, LOAD).status_code == 204


def test_a_body_that_somebody_read_before(sent: Sent) -> None:
    """A middleware that looked at request.POST or request.body takes nothing away."""
    for look in (lambda request: request.POST, lambda request: request.body):
        with override_settings(
            METLOG_RECORD_GUARD=lambda request, look=look: look(request) and None
        ):
            assert post(ask_wsgi, LOAD).status_code == 204
            form = "multipart/form-data; boundary=x"
            assert ask_wsgi("POST", URL, multipart(LOAD), form).status_code == 204
    assert (
        len([one for one in sent.captured if one.name == TIMING + "domComplete"]) == 4
    )
