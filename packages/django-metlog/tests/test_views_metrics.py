# SPDX-License-Identifier: MPL-2.0
"""The metrics view: who may read, what comes, in which form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import include, path, reverse
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_parser
from testsite.views import index

from django_metlog.guards import bearer
from django_metlog.views import ametrics
from metlog import MetlogClient
from metlog.senders import DebugCaptureSender, FanOutSender, PrometheusSender

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

site = ModuleType("site")
site.urlpatterns = [  # type: ignore[attr-defined]
    path("", include("django_metlog.metrics_urls")),
    path("page", index),
]
only_async = ModuleType("only_async")
only_async.urlpatterns = [path("metrics", ametrics), path("page", index)]  # type: ignore[attr-defined]

Ask = Callable[..., Any]


def ask_wsgi(method: str = "GET", url: str = "/metrics", **extra: Any) -> Any:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.generic(method, url, **extra)


def ask_asgi(method: str = "GET", url: str = "/metrics", **extra: Any) -> Any:
    client = From(raise_request_exception=False)
    client.address = extra.pop("REMOTE_ADDR", "127.0.0.1")
    return asyncio.run(client.generic(method, url, **extra))


class From(AsyncClient):
    """From any address, which ASGI has in its scope."""

    address = ""

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        return super()._base_scope(**request) | {"client": [self.address, 0]}


def ask_ametrics(*args: Any, **kwargs: Any) -> Any:
    with override_settings(ROOT_URLCONF=only_async):
        return ask_asgi(*args, **kwargs)


every_server = pytest.mark.parametrize(
    "ask", [ask_wsgi, ask_asgi, ask_ametrics], ids=["wsgi", "asgi", "ametrics"]
)


@pytest.fixture(autouse=True)
def client() -> Iterator[MetlogClient]:
    """The site's, with a PrometheusSender; scraped from this host."""
    with (
        MetlogClient(PrometheusSender(), "site") as client,
        override_settings(METLOG=client, ROOT_URLCONF=site, INTERNAL_IPS=["127.0.0.1"]),
    ):
        yield client


def samples(answer: Any) -> dict[str, float]:
    """``name{label="value"}`` → value, of the plain text."""
    return {
        f"{one.name}{one.labels}" if one.labels else one.name: one.value
        for family in plain_parser(answer.content.decode())
        for one in family.samples
    }


@every_server
def test_a_scrape_holds_what_was_measured(ask: Ask) -> None:
    """Itself among it, at the next scrape: it is a view like others."""
    for _ in range(3):
        assert ask(url="/page").status_code == 200
    first, second = ask(), ask()
    assert first.status_code == 200
    assert first["Cache-Control"] == "no-store"
    assert first["Content-Type"].startswith("text/plain; version=0.0.4")
    assert samples(first)["django_response_total{'status': '200'}"] == 3
    assert samples(second)["django_response_total{'status': '200'}"] == 4
    assert (
        samples(second)[
            "django_request_seconds_count"
            + str({"method": "GET", "status": "200", "view": "testsite.views.index"})
        ]
        == 3
    )


@every_server
def test_openmetrics_for_who_asks(ask: Ask) -> None:
    """As Prometheus does."""
    ask(url="/page")
    answer = ask(headers={"accept": f"{OPENMETRICS};q=0.5,text/plain;q=0.2"})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    names = {f.name for f in text_string_to_metric_families(answer.content.decode())}
    assert "django_response" in names


@pytest.mark.parametrize(
    "accept",
    [
        *("", "*/*", ",", ";;", "application/openmetrics-text; version=banana"),
        *("application/openmetrics-text", "application/json", "é", "x" * 5000),
        *("text/plain; version=1.0.0; escaping=none", "text/plain; version=1..0"),
        "application/openmetrics-text; version=9.9; escaping=allow-utf-8",
        "application/openmetrics-text; version=1.0.0; escaping=<b>",
    ],
)
def test_whatever_is_accepted_something_comes(accept: str) -> None:
    """A header that makes no sense gets plain text."""
    answer = ask_wsgi(headers={"accept": accept})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith(("text/plain", "application/openm"))


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_any_accept_is_answered(text: str) -> None:
    """Never with a 500."""
    for header in text, f"application/openmetrics-text;version={text}":
        assert ask_wsgi(headers={"accept": header}).status_code == 200


@every_server
def test_head_and_other_methods(ask: Ask) -> None:
    """GET and HEAD read; nothing else is answered, whoever asks."""
    answer = ask("HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        answer = ask(method)
        assert answer.status_code == 405
        assert answer["Allow"] == "GET, HEAD"
        assert answer["Cache-Control"] == "no-store"


def test_the_name_of_its_address() -> None:
    """Not in the include of the record view."""
    assert reverse("django_metlog.metrics") == "/metrics"
    from django_metlog import urls

    assert [one.name for one in urls.urlpatterns] == ["django_metlog.record"]


# -- who may read ----------------------------------------------------------------------

PROXIED: list[dict[str, str]] = [
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": "203.0.113.9, 127.0.0.1"},
    {"X-Forwarded-For": ""},
    {"Forwarded": "for=127.0.0.1"},
    {"Forwarded": ""},
    {"forwarded": "for=_hidden", "X-Forwarded-For": "::1"},
    # What many add instead.
    {"X-Real-IP": "203.0.113.9"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Host": "example.com"},
    {"X-Forwarded-Server": "edge"},
    {"X-Forwarded": "for=203.0.113.9"},
    {"Forwarded-For": "203.0.113.9"},
    {"Via": "1.1 varnish"},
    {"via": ""},
    {"X-Request-Start": "t=1767225600.000"},
    {"X-Queue-Start": "1767225600000"},
]


@every_server
@pytest.mark.parametrize("proxied", PROXIED)
@pytest.mark.parametrize("debug", [True, False])
def test_nobody_through_a_proxy(ask: Ask, proxied: dict[str, str], debug: bool) -> None:
    """Behind one everybody looks internal."""
    with override_settings(DEBUG=debug):
        answer = ask(headers=proxied)
    assert answer.status_code == 403
    assert answer["Cache-Control"] == "no-store"
    assert "METLOG_METRICS_GUARD = " in answer.content.decode()
    assert "# HELP" not in answer.content.decode()


@every_server
@pytest.mark.parametrize(
    ("internal", "address", "debug", "lets_through"),
    [
        (["127.0.0.1"], "127.0.0.1", False, True),
        (["127.0.0.1"], "127.0.0.2", False, False),
        (["127.0.0.1"], "203.0.113.9", True, True),
        ([], "127.0.0.1", False, False),
        (("10.0.0.7", "::1"), "::1", False, True),
        ({"10.0.0.7"}, "10.0.0.70", False, False),
        ("127.0.0.1", "27.0.0.1", False, False),
        ("127.0.0.1", "127.0.0.1", False, True),
        ([""], "", False, False),
        ("127.0.0.1", "", False, False),
    ],
)
def test_without_a_guard(
    ask: Ask, internal: Any, address: str, debug: bool, lets_through: bool
) -> None:
    """DEBUG, or an address that INTERNAL_IPS has; others get the line to write."""
    with override_settings(INTERNAL_IPS=internal, DEBUG=debug):
        answer = ask(REMOTE_ADDR=address)
    assert answer.status_code == (200 if lets_through else 403)
    if not lets_through:
        assert "bearer(os.environ" in answer.content.decode()


def refuse(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no", status=418)


async def arefuse(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no", status=418)


async def aallow(request: HttpRequest) -> None: ...


@every_server
@pytest.mark.parametrize(
    ("guard", "status"),
    [
        (lambda request: None, 200),
        (aallow, 200),
        (refuse, 418),
        (arefuse, 418),
        ("test_views_metrics.refuse", 418),
    ],
)
def test_a_guard_of_ones_own_decides_alone(ask: Ask, guard: Any, status: int) -> None:
    """Sync or async, also for what came through a proxy."""
    with override_settings(METLOG_METRICS_GUARD=guard, INTERNAL_IPS=[]):
        answer = ask(headers={"X-Forwarded-For": "203.0.113.9"})
    assert answer.status_code == status
    assert answer["Cache-Control"] == "no-store"


@every_server
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer  s3cret ", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3crett", 401),
        ("Bearer é", 401),
        ("Bearer", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("", 401),
    ],
)
def test_bearer(ask: Ask, said: str, status: int) -> None:
    """The token opens it from anywhere, and nothing else does."""
    with override_settings(METLOG_METRICS_GUARD=bearer("s3cret"), DEBUG=True):
        headers = {"Authorization": said, "Forwarded": "for=1.2.3.4"}
        answer = ask(headers=headers)
    assert answer.status_code == status
    assert b"s3cret" not in answer.content
    if status == 401:
        assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["", None, "ü", "two\nlines", b"bytes", 3])
def test_bearer_without_a_token(token: Any) -> None:
    """An empty variable must not open the door; the token is not in the message."""
    with pytest.raises(ValueError, match="expected a token of printable ASCII"):
        bearer(token)


@every_server
def test_a_site_without_a_prometheus_sender_is_told(ask: Ask) -> None:
    """404 and a sentence; one among the routes of a fan-out is found."""
    with override_settings(METLOG=MetlogClient(DebugCaptureSender(), "x")):
        answer = ask()
        assert answer.status_code == 404
        assert "PrometheusSender" in answer.content.decode()
    messages = {"sender": DebugCaptureSender(), "types": ["oldstyle"]}
    routes = [messages, {"sender": PrometheusSender()}]
    with (
        MetlogClient(FanOutSender(routes), "x") as client,
        override_settings(METLOG=client),
    ):
        assert ask(url="/page").status_code == 200
        assert samples(ask())["django_response_total{'status': '200'}"] == 1


@every_server
def test_it_can_be_excluded_like_any_view(ask: Ask) -> None:
    """Then no scrape is in what is scraped."""
    with override_settings(METLOG_EXCLUDE=["^/metrics$"]):
        ask()
        assert not any("view" in name for name in samples(ask()))
