# SPDX-License-Identifier: MPL-2.0
"""``patches.http`` with real requests of each library to a server of the tests."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
from backends import Collector
from sending import Sent

from django_metlog.patches import http
from django_metlog.scope import open_scope
from metlog import MetlogClient
from metlog.senders import OtlpSender
from metlog.testing import HttpAnswer, HttpReceiver, HttpRequest

LOCAL = ["127.0.0.1", "LOCALHOST"]


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """Answers with the status in the path; ``/to/…`` redirects there."""

    def answer(request: HttpRequest) -> HttpAnswer:
        if request.path.startswith("/to/"):
            return HttpAnswer(302, {"Location": request.path.removeprefix("/to")})
        return HttpAnswer(int(request.path.partition("?")[0][1:]))

    with HttpReceiver(answer) as receiver:
        yield receiver.port


@pytest.fixture(autouse=True)
def patched(settings: Any) -> Iterator[None]:
    settings.METLOG_HTTP_HOSTS = LOCAL
    http.patch()
    yield
    http.unpatch()


def with_urllib3(method: str, url: str) -> Any:
    with urllib3.PoolManager(retries=urllib3.Retry(3, backoff_factor=0)) as pool:
        return pool.request(method, url, redirect=True).status


def with_requests(method: str, url: str) -> Any:
    return requests.request(method, url, timeout=60).status_code


def with_httpx(method: str, url: str) -> Any:
    return httpx.request(method, url, follow_redirects=True).status_code


def with_async_httpx(method: str, url: str) -> Any:
    async def ask() -> Any:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            return (await client.request(method, url)).status_code

    return asyncio.run(ask())


def with_aiohttp(method: str, url: str) -> Any:
    async def ask() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url) as response,
        ):
            return response.status

    return asyncio.run(ask())


ASK = [with_urllib3, with_requests, with_httpx, with_async_httpx, with_aiohttp]
Ask = Callable[[str, str], Any]

every_library = pytest.mark.parametrize("ask", ASK, ids=lambda ask: ask.__name__)


@every_library
def test_a_request_is_timed_once(server: int, sent: Sent, ask: Ask) -> None:
    """By host, method and status; neither path, query nor user is told."""
    assert ask("GET", f"http://secret:secret@127.0.0.1:{server}/200?secret=1") == 200
    assert ask("POST", f"http://127.0.0.1:{server}/503") == 503
    assert sent.names() == ["http.client.127_0_0_1"] * 2
    first, second = sent.captured
    assert dict(first.labels) | {"server": "127.0.0.1"} == dict(first.labels)
    assert (first.labels["method"], first.labels["status"]) == ("GET", "200")
    assert (second.labels["method"], second.labels["status"]) == ("POST", "503")
    assert "secret" not in json.dumps([one.message for one in sent.captured])


@every_library
def test_a_host_that_is_not_named_is_other(
    server: int, sent: Sent, settings: Any, ask: Ask
) -> None:
    """Who asks many hosts makes no more names than the setting has."""
    settings.METLOG_HTTP_HOSTS = ["api.example.com"]
    assert ask("GET", f"http://127.0.0.1:{server}/204") == 204
    assert sent.names() == ["http.client.other"]


def raising_httpx(url: str) -> Any:
    hooks: Any = {"response": [lambda response: response.raise_for_status()]}
    with httpx.Client(event_hooks=hooks) as client:
        return client.get(url)


def raising_async_httpx(url: str) -> Any:
    async def look(response: Any) -> None:
        response.raise_for_status()

    async def ask() -> Any:
        async with httpx.AsyncClient(event_hooks={"response": [look]}) as client:
            return await client.get(url)

    return asyncio.run(ask())


def raising_aiohttp(url: str) -> Any:
    async def ask() -> Any:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            return await session.get(url)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (raising_httpx, "HTTPStatusError"),
        (raising_async_httpx, "HTTPStatusError"),
        (raising_aiohttp, "ClientResponseError"),
    ],
)
@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_an_answer_that_is_made_an_exception_has_its_status(
    server: int, sent: Sent, ask: Any, error: str, status: int
) -> None:
    """By the library, as it is told to, or by a hook of the site's."""
    with pytest.raises((httpx.HTTPStatusError, aiohttp.ClientResponseError)):
        ask(f"http://127.0.0.1:{server}/{status}")
    assert sent.counters() == {f"http.client.127_0_0_1.error.{error.lower()}": 1}
    (request,) = sent.based("http.client")
    assert request.labels["status"] == str(status)


ODD_ERRORS: list[Any] = [
    *({"status": status} for status in (None, "404", 4, 999, -1, True, 404.0, [404])),
    *({"response": response} for response in (None, "no", 404, SimpleNamespace())),
    {"response": SimpleNamespace(status_code="404")},
    dict.fromkeys(("response", "status"), property(lambda error: 1 / 0)),
]


@pytest.mark.parametrize("attributes", ODD_ERRORS, ids=ascii)
def test_an_exception_with_something_else_for_a_status(
    sent: Sent, attributes: dict[str, Any]
) -> None:
    """Of a transport of the site's own, say: there was no answer."""
    error = type("OddError", (Exception,), attributes)

    def fail(request: Any) -> Any:
        raise error

    with (
        httpx.Client(transport=httpx.MockTransport(fail)) as client,
        pytest.raises(error),
    ):
        client.get("http://127.0.0.1:1/")
    (request,) = sent.based("http.client")
    assert request.labels.get("status", "") == ""
    assert sent.counters() == {"http.client.127_0_0_1.error.odderror": 1}


@pytest.fixture
def proxy() -> Iterator[str]:
    """Answers for any host; the test's own address is asked directly."""
    with HttpReceiver(lambda request: HttpAnswer(200)) as receiver:
        yield f"http://localhost:{receiver.port}"


def through_urllib3(proxy: str, url: str) -> Any:
    return urllib3.ProxyManager(proxy).request("GET", url).status


def through_requests(proxy: str, url: str) -> Any:
    return requests.get(url, proxies={"http": proxy}, timeout=60).status_code


def through_httpx(proxy: str, url: str) -> Any:
    return httpx.get(url, proxy=proxy).status_code


def through_aiohttp(proxy: str, url: str) -> Any:
    async def ask() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, proxy=proxy) as response,
        ):
            return response.status

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "ask", [through_urllib3, through_requests, through_httpx, through_aiohttp]
)
@pytest.mark.parametrize(
    ("host", "label", "port"),
    [
        ("api.example.com", "api.example.com", 80),
        ("API.example.com:8080", "api.example.com", 8080),
        ("[2001:db8::1]", "2001:db8::1", 80),
        ("another.example.com", "other", 80),
    ],
)
def test_behind_a_proxy_the_host_is_the_one_that_is_asked(
    *, settings: Any, proxy: str, ask: Ask, host: str, label: str, port: int
) -> None:
    """In every library, and for the convention, too."""
    settings.METLOG_HTTP_HOSTS = ["api.example.com", "2001:db8::1"]
    with Collector() as collector:
        settings.METLOG = MetlogClient(OtlpSender(collector.url, names="semconv"), "x")
        assert ask(proxy, f"http://{host}/path?query=http://other.example") == 200
        settings.METLOG.close()
        (point,) = [
            {a.key: a.value.string_value or a.value.int_value for a in point.attributes}
            for _, point in collector.last()
        ]
    assert (point["server.address"], point["server.port"]) == (label, port)


@every_library
@pytest.mark.parametrize(
    ("named", "host", "label"),
    [
        ("bücher.invalid", "bücher.invalid", "bücher.invalid"),
        ("Bücher.invalid", "bÜCHER.INVALID", "bücher.invalid"),
        ("bu\u0308cher.invalid", "bücher.invalid", "bu\u0308cher.invalid"),
        ("xn--bcher-kva.invalid", "bücher.invalid", "xn--bcher-kva.invalid"),
        ("bücher.invalid", "xn--bcher-kva.invalid", "bücher.invalid"),
        ("straße.invalid", "straße.invalid", "straße.invalid"),
        ("本.例え.invalid", "本.例え.invalid", "本.例え.invalid"),
        ("пример.invalid.", "пример.invalid", "пример.invalid"),
        ("api.invalid.", "API.invalid", "api.invalid"),
        ("::1", "[::1]", "::1"),
    ],
)
def test_a_host_has_one_name_in_all_libraries(
    monkeypatch: pytest.MonkeyPatch,
    *,
    sent: Sent,
    settings: Any,
    ask: Ask,
    named: str,
    host: str,
    label: str,
) -> None:
    """That of the setting, whichever form of an international name a library knows."""

    def nobody(*args: Any, **named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "nobody")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    settings.METLOG_HTTP_HOSTS = [named]
    with contextlib.suppress(Exception):
        ask("GET", f"http://{host}:1/")
    assert {one.labels["server"] for one in sent.based("http.client")} == {label}


@every_library
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("strasse.invalid", "straße.invalid"),
        ("fass.invalid", "Faß.invalid"),
        ("api.strasse.invalid", "api.straße.invalid."),
        ("xn--nxasmq6b.invalid", "βόλος.invalid"),
        ("ffi.invalid", "ﬃ.invalid"),
        ("k.invalid", "\u212a.invalid"),
    ],
)
def test_a_host_is_not_called_by_the_older_form_of_another(
    *, sent: Sent, settings: Any, ask: Ask, host: str, other: str, turned: bool
) -> None:
    """In which ß is written ss, say; but the other is in the setting, too."""
    settings.METLOG_HTTP_HOSTS = [other, host] if turned else [host, other]
    with contextlib.suppress(Exception):
        ask("GET", f"http://{host}:1/")
    assert {one.labels["server"] for one in sent.based("http.client")} == {host}


def test_many_errors_and_statuses(sent: Sent, settings: Any) -> None:
    """A label has no more values than METLOG_VIEW_NAMES_MAX, and what an exception
    says is not told."""
    settings.METLOG_VIEW_NAMES_MAX = 3

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.path[1:])
        if number < 100:
            raise type(f"Error{number}", (Exception,), {})("secret")
        return httpx.Response(number)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        for number in (*range(1, 6), *range(200, 205)):
            with contextlib.suppress(Exception):
                client.get(f"http://127.0.0.1/{number}")
    assert {one.labels.get("status") for one in sent.based("http.client")} == {
        *(None, "200", "201", "202", "other"),
    }
    assert {one.labels["class"] for one in sent.based("http.client.error")} == {
        *("error1", "error2", "error3", "other"),
    }
    assert "secret" not in json.dumps([one.message for one in sent.captured])


@every_library
def test_a_host_that_does_not_answer(sent: Sent, ask: Ask) -> None:
    """An exception is counted by its class, timed, and raised as it was."""
    with pytest.raises(Exception) as raised:
        ask("GET", "http://localhost:1/200")
    name = type(raised.value).__name__.lower()
    (error,) = sent.counters()
    assert error.startswith("http.client.localhost.error.")
    if ask is not with_requests:  # which wraps urllib3's
        assert error.endswith(name)
    assert len(sent.timers()["http.client.localhost"]) == 1


@every_library
@pytest.mark.parametrize(
    ("url", "port"), [("https://127.0.0.1/x", 443), ("http://127.0.0.1:9/x", 9)]
)
def test_the_port_is_the_scheme_s_own_if_none_is_written(
    settings: Any, ask: Ask, url: str, port: int
) -> None:
    """The convention wants one always, also when nobody answers."""
    collector = Collector()
    settings.METLOG = MetlogClient(OtlpSender(collector.url, names="semconv"), "x")
    with contextlib.suppress(Exception):
        ask("GET", url)
    settings.METLOG.close()
    collector.close()
    told = {
        (attribute.key, attribute.value.int_value)
        for name, point in collector.last()
        for attribute in point.attributes
        if name == "http.client.request.duration"
    }
    assert ("server.port", port) in told


@every_library
@pytest.mark.parametrize("host", ["127.0.0.1", "other.invalid"])
def test_the_convention_has_the_name_of_the_class(
    monkeypatch: pytest.MonkeyPatch, settings: Any, ask: Ask, host: str
) -> None:
    """As for requests to the site and for statements; dotted names and our own label
    are in lower case."""

    def nobody(*args: Any, **named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "nobody")

    with Collector() as collector:
        settings.METLOG = MetlogClient(OtlpSender(collector.url, names="semconv"), "x")
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", nobody)
            with pytest.raises(Exception) as raised:
                ask("GET", f"http://{host}:1/")
        settings.METLOG.close()
        told = {
            attribute.value.string_value
            for name, point in collector.last()
            for attribute in point.attributes
            if attribute.key in {"error.type", "class"}
        }
    names = {type(raised.value).__name__, "MaxRetryError", "NameResolutionError"}
    (kind,) = told & names
    assert told == {kind, kind.lower()}


@pytest.mark.parametrize("ask", [with_httpx, with_async_httpx, with_aiohttp])
def test_redirects_belong_to_their_request(server: int, sent: Sent, ask: Ask) -> None:
    """One call of the site's is one request, with the status that it saw."""
    assert ask("GET", f"http://127.0.0.1:{server}/to/404") == 404
    assert sent.names() == ["http.client.127_0_0_1"]
    assert sent.captured[0].labels["status"] == "404"


@pytest.mark.parametrize("ask", [with_urllib3, with_requests])
def test_redirects_are_requests_of_their_own(server: int, sent: Sent, ask: Ask) -> None:
    """Where the library makes them so: often they lead to another host."""
    assert ask("GET", f"http://127.0.0.1:{server}/to/404") == 404
    assert [one.labels["status"] for one in sent.captured] == ["302", "404"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "no.such.host.invalid"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("early", [True, False], ids=["made before", "made after"])
def test_our_own_exports_are_not_among_them(
    server: int, sent: Sent, scheme: str, host: str, early: bool
) -> None:
    """Or each export would make news for the next, and a collector that is down would
    look like a service of the site's that fails."""
    if not early:
        http.unpatch()
    with Collector() as collector:
        client = MetlogClient(OtlpSender(f"{scheme}://{host}:{collector.port}"), "x")
        if not early:
            http.patch()
        client.incr("response.cancelled")
        client.metlog("oldstyle", payload="a message")
        client.close()
    assert with_requests("GET", f"http://127.0.0.1:{server}/200") == 200
    told = [one.name for one in sent.captured if one.name.startswith("http.")]
    assert told == ["http.client.127_0_0_1"]


def test_a_method_of_somebody_s_own_is_other(server: int, sent: Sent) -> None:
    """Any word can be one."""
    with pytest.raises(Exception):  # noqa: B017  # the server does not know it
        requests.request("FROB", f"http://127.0.0.1:{server}/200", timeout=60).json()
    assert sent.captured[0].labels["method"] == "OTHER"


def test_an_excluded_request_tells_nothing(server: int, sent: Sent) -> None:
    """As of all else that it does."""
    scope = open_scope(0.0)
    scope.excluded = True
    with_requests("GET", f"http://127.0.0.1:{server}/200")
    scope.close()
    assert sent == []


def test_a_task_that_outlives_the_request_it_was_begun_in(
    server: int, sent: Sent
) -> None:
    """It takes the context along, and its own requests are requests all the same."""

    async def ask() -> None:
        begun: list[asyncio.Task[Any]] = []
        over = asyncio.Event()

        async def later() -> None:
            await over.wait()
            async with httpx.AsyncClient() as other:
                for _ in range(2):
                    await other.get(f"http://127.0.0.1:{server}/204")

        async def hook(request: httpx.Request) -> None:
            begun.append(asyncio.create_task(later()))

        hooks = {"request": [hook]}
        async with httpx.AsyncClient(event_hooks=hooks) as client:
            await client.get(f"http://127.0.0.1:{server}/200")
        over.set()
        await asyncio.gather(*begun)

    asyncio.run(ask())
    assert [one.labels["status"] for one in sent.captured] == ["200", "204", "204"]


def test_requests_inside_a_request_are_a_part_of_it(server: int, sent: Sent) -> None:
    """A hook that asks for a token, say."""

    def hook(request: httpx.Request) -> None:
        httpx.get(f"http://127.0.0.1:{server}/204")

    with httpx.Client(event_hooks={"request": [hook]}) as client:
        client.get(f"http://127.0.0.1:{server}/200")
        client.get(f"http://127.0.0.1:{server}/200")
    assert [one.labels["status"] for one in sent.captured] == ["200", "200"]


class Bare:
    """In the place of a module, with nothing that one has."""

    def __getattribute__(self, name: str) -> Any:
        raise AttributeError(name)


@pytest.mark.parametrize("name", ["urllib3.connectionpool", "httpx", "aiohttp.client"])
@pytest.mark.parametrize("double", [ModuleType("double"), Bare(), None])
def test_another_module_of_that_name(
    monkeypatch: pytest.MonkeyPatch, name: str, double: Any
) -> None:
    """The site's own, or a test's double: it is left alone."""
    http.unpatch()
    monkeypatch.setitem(sys.modules, name, double)
    http.patch()
    http.unpatch()


def test_a_module_of_the_site_s_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is imported later, and can be."""
    http.unpatch()
    (tmp_path / "httpx.py").write_text("OURS = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "httpx")
    http.patch()
    own: Any = importlib.import_module("httpx")
    assert own.OURS == 1
    monkeypatch.undo()


def test_what_answers_and_has_no_status(sent: Sent) -> None:
    """A pool of somebody's own kind, and an answer of its own kind."""

    class Pool(urllib3.HTTPConnectionPool):
        def __init__(self) -> None:
            """Without all that the base has."""

    answer = object()
    timed = http._timed_urlopen(lambda pool, method, url: answer)
    assert timed(Pool(), "GET", "/") is answer
    assert sent.names() == ["http.client.other"]


class Shy:
    """Raises whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    __str__ = __getattr__  # type: ignore[assignment]


@pytest.mark.parametrize(
    "method", ["GET", None, 5, Shy(), b"GET"], ids=lambda one: type(one).__name__
)
def test_what_is_asked_of_objects_that_raise(sent: Sent, method: Any) -> None:
    """A pool, a request and an address of somebody's own kind are passed on."""
    answer = Shy()

    async def apart(*args: Any, **named: Any) -> Any:
        return answer

    def here(*args: Any, **named: Any) -> Any:
        return answer

    assert http._timed_urlopen(here)(Shy(), method, "/") is answer
    assert http._timed_send(here)(object(), Shy()) is answer
    assert asyncio.run(http._timed_asend(apart)(object(), Shy())) is answer
    assert asyncio.run(http._timed_request(apart)(Shy(), method, Shy())) is answer
    assert sent.names() == ["http.client.other"] * 4


def test_unpatch(server: int, sent: Sent) -> None:
    """Everything is as it was, and may be patched again."""
    http.unpatch()
    http.unpatch()
    for ask in ASK:
        ask("GET", f"http://127.0.0.1:{server}/200")
    assert sent == []
    http.patch()
    http.patch()
    with_httpx("GET", f"http://127.0.0.1:{server}/200")
    assert len(sent) == 1


def test_coroutine_functions_stay_what_they_are() -> None:
    """Some look."""
    assert asyncio.iscoroutinefunction(httpx.AsyncClient.send)
    assert asyncio.iscoroutinefunction(aiohttp.ClientSession._request)


def test_a_library_that_is_imported_later() -> None:
    """Patches come before a site's own modules; nothing is imported because of them,
    and a library comes as it would without."""
    program = """
import sys
from django.conf import settings
settings.configure(METLOG={"sender": {"class": "metlog.senders.DebugCaptureSender"}})
from django_metlog.patches import http
before = list(sys.meta_path)
http.patch()
libraries = {"urllib3", "httpx", "aiohttp"}
print(sorted(libraries & sys.modules.keys()))
import httpx, urllib3.connectionpool
print(hasattr(httpx.Client.send, "__wrapped__"))
print(hasattr(urllib3.HTTPConnectionPool.urlopen, "__wrapped__"))
print(type(httpx.__spec__.loader).__name__, httpx.__loader__ is httpx.__spec__.loader)
print(importlib_resources := bool(__import__("inspect").getsource(httpx)))
http.unpatch()
print(hasattr(httpx.Client.send, "__wrapped__"), sys.meta_path == before)
import aiohttp
print(hasattr(aiohttp.ClientSession._request, "__wrapped__"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], text=True, capture_output=True, check=False
    )
    assert done.stdout.split("\n")[:-1] == [
        "[]",
        "True",
        "True",
        "SourceFileLoader True",
        "True",
        "False True",
        "False",
    ], done.stderr


def test_one_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for it changes no error."""
    http.unpatch()
    monkeypatch.delitem(sys.modules, "aiohttp.client")
    monkeypatch.setattr(sys.modules["aiohttp"], "__path__", [])
    http.patch()
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'aiohttp\.client'"):
        importlib.import_module("aiohttp.client")
