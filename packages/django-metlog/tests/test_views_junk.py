# SPDX-License-Identifier: MPL-2.0
"""Anything at all, sent to the record view."""

from __future__ import annotations

import string
from encodings.aliases import aliases
from urllib.parse import urlencode

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports import (
    BOOMERANG,
    FORM,
    LOAD,
    URL,
    Ask,
    ask_arecord,
    ask_wsgi,
    every_server,
    multipart,
    recorded,
)
from sending import Sent
from test_beacons import NAMES, NUMBERS
from test_page_events import INP

from django_metlog._beacons import MAX_MS, VITALS

JUNK = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@JUNK
@given(
    st.dictionaries(NAMES, st.lists(NUMBERS, min_size=1, max_size=2)),
    st.sampled_from(["stick", "boomerang", "x"]),
    st.booleans(),
)
def test_never_a_500_for_a_form(
    sent: Sent, fields: dict[str, list[str]], client: str, query: bool
) -> None:
    """Whatever a form holds: 204, or a 4xx that recorded nothing."""
    sent.clear()
    form = urlencode({"client": client, **fields}, doseq=True, errors="replace")
    if query:
        answer = ask_wsgi("GET", f"{URL}?{form}")
    else:
        answer = ask_wsgi("POST", URL, form.encode())
    assert answer.status_code in (204, 400, 405, 413)
    if answer.status_code != 204:
        assert recorded(sent) == {}


EVERYTHING = [
    *(*LOAD, *BOOMERANG, *VITALS, *INP, "visits", "error", "activationStart"),
    *("partial", "hidden", "view", "sample", "release", "vis.st", "early"),
    *("rt.quit", "rt.abld", "http.initiator", "nt_act_st"),
]
SPECIAL = [
    *("", "0", "-0", "1e-7", "1_0", "\N{SUPERSCRIPT TWO}"),
    *("9" * 15, "9" * 16, "9" * 400, "5\r\n6", "\0", "1.2", "0.5"),
    *("testsite.views.index", "5 testsite.views.index\n6 x\n-7 y", "boomerang"),
    *("TypeError", "prerender", "hidden", "spa_hard", "good"),
]


@JUNK
@given(
    st.sampled_from([LOAD, BOOMERANG, {"client": "stick"}]),
    st.lists(
        st.tuples(
            st.sampled_from(EVERYTHING), st.one_of(NUMBERS, st.sampled_from(SPECIAL))
        ),
        max_size=12,
    ),
    st.booleans(),
    st.sampled_from(["", "prefetch;prerender"]),
)
def test_a_report_is_recorded_completely_or_not_at_all(
    sent: Sent,
    load: dict[str, str],
    odd: list[tuple[str, str]],
    by_view: bool,
    purpose: str,
) -> None:
    """Whatever becomes of a load's fields: no number that cannot be, no label that the
    site does not have, and of a report that is refused nothing."""
    sent.clear()
    kept = [pair for pair in load.items() if pair[0] not in dict(odd)]
    form = urlencode(kept + odd, errors="replace").encode()
    fields = {"release": ["1.2"], "sample": ["0.5"]}
    with override_settings(METLOG_RECORD_BY_VIEW=by_view, METLOG_RECORD_FIELDS=fields):
        answer = ask_wsgi("POST", URL, form, headers={"Sec-Purpose": purpose})
    ours = [
        one
        for one in sent.captured
        if one.name.startswith("window.") or one.kind == "message"
    ]
    assert answer.status_code in (204, 400)
    if answer.status_code == 400:
        assert not ours
    for one in ours:
        labels = {**one.fields, **one.labels}
        assert labels.get("view", "") in ("", "testsite.views.index", "other")
        assert labels.get("release", "1.2") == "1.2"
        if one.kind == "timer":
            assert 0 <= (one.value or 0) <= MAX_MS
            assert 0.01 <= one.rate <= 1


@JUNK
@given(
    st.one_of(
        st.binary(max_size=300), st.text(string.printable, max_size=300).map(str.encode)
    ),
    st.binary(max_size=100),
    st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
    st.sampled_from([FORM, "multipart/form-data; boundary=x", "application/json", ""]),
)
def test_never_a_500_for_bytes(
    sent: Sent, body: bytes, query: bytes, method: str, content_type: str
) -> None:
    """Whatever bytes come, as body and query: 204, or a 4xx that recorded nothing."""
    sent.clear()
    for ask in (ask_wsgi, ask_arecord):
        answer = ask(
            method, URL, body, content_type, QUERY_STRING=query.decode("latin-1")
        )
        assert answer.status_code in (204, 400, 405, 413)
        if answer.status_code != 204:
            assert recorded(sent) == {}


NO_TEXT = [
    "base64",
    "bz2",
    "hex",
    "quopri",
    "rot13",
    "uu",
    "zlib",
    "undefined",
    "no-such",
]


@every_server
@pytest.mark.parametrize(
    "form", [FORM.partition(";")[0], "multipart/form-data; boundary=x"]
)
def test_never_a_500_for_a_charset(ask: Ask, sent: Sent, form: str) -> None:
    """A charset that names no encoding of text is refused, any other does no harm."""
    body = multipart(LOAD) if "multipart" in form else urlencode(LOAD).encode()
    charsets = {
        *aliases.values(),
        "idna",
        "punycode",
        "unicode_escape",
        "mbcs",
        "",
    }
    for charset in [*sorted(charsets), *NO_TEXT]:
        for written in (charset, charset.upper(), f'"{charset}"'):
            sent.clear()
            content_type = f"{form}; charset={written}"
            status = ask("POST", URL, body, content_type).status_code
            assert status in (204, 400), written
            if charset in NO_TEXT:
                assert status == 400, written
            if status == 400:
                assert recorded(sent) == {}


@every_server
@pytest.mark.parametrize(
    "header",
    [
        "Content-Disposition: form-data; name*=no-such''%41",
        "Content-Disposition: form-data; name*=rot13''%41",
        "Content-Disposition: form-data; name*=base64''%41",
        "Content-Disposition: form-data; name*=undefined''%41",
        "Content-Disposition: form-data; name*=idna''%ff",
        "Content-Disposition: form-data; name*=utf-8''%ff",
        "Content-Disposition: form-data; name*=utf-8'%41",
        "Content-Disposition: form-data; name*='''",
        "Content-Disposition: form-data; name=a; filename*=no-such''%41",
        'Content-Disposition: form-data; name=a; filename="../../etc/x"',
        (
            "Content-Disposition: form-data; name=a; filename=a\r\n"
            "Content-Type: text/plain; charset*=no-such''%41"
        ),
        "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64",
        (
            "Content-Disposition: form-data; name=a\r\n"
            "Content-Transfer-Encoding: x; y*=no-such''%41"
        ),
        "Content-Disposition: form-data",
        "Content-Disposition",
        ":",
    ],
)
def test_never_a_500_for_the_header_of_a_part(
    ask: Ask, sent: Sent, header: str
) -> None:
    """Whatever a part of a multipart form says of itself."""
    part = f"--x\r\n{header}\r\n\r\nA\r\n".encode()
    answer = ask("POST", URL, part + multipart(LOAD), "multipart/form-data; boundary=x")
    assert answer.status_code in (204, 400)
    assert (answer.status_code == 204) == ("timing.domComplete" in recorded(sent))
