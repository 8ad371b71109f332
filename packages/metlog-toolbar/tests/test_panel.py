# SPDX-License-Identifier: MPL-2.0
"""The panel in its toolbar: each test is about what a request leaves in the store."""

from __future__ import annotations

import html5lib
import pytest
from debug_toolbar.models import HistoryEntry
from debug_toolbar.toolbar import DebugToolbar
from django.conf import settings as project
from django.db import connection
from django.test import Client
from testsite import views
from testsite.shown import content, get, keys, request_ids, stats, text_of

from metlog import capture, catalogue
from metlog.client import MetlogClient
from metlog.senders import DebugCaptureSender
from metlog_toolbar._summary import MAX_ROWS

HOSTILE = "\"><script>alert(1)</script>'&amp;\x00\x1b\ud800\u202e\u2028{{ x }}|:@#"

MEMORY = "debug_toolbar.store.MemoryStore"
CACHE = "debug_toolbar.store.CacheStore"
DATABASE = "debug_toolbar.store.DatabaseStore"


@pytest.fixture
def store(settings, request):
    """One of the toolbar's three stores."""
    config = {**project.DEBUG_TOOLBAR_CONFIG, "TOOLBAR_STORE_CLASS": request.param}
    settings.DEBUG_TOOLBAR_CONFIG = config
    if request.param == DATABASE:
        with connection.schema_editor() as editor:
            editor.create_model(HistoryEntry)
    yield request.param
    if request.param == DATABASE:
        with connection.schema_editor() as editor:
            editor.delete_model(HistoryEntry)


def config(settings, **changes):
    settings.DEBUG_TOOLBAR_CONFIG = {**project.DEBUG_TOOLBAR_CONFIG, **changes}


def assert_valid(html):
    parser = html5lib.HTMLParser()
    parser.parseFragment(html)
    assert parser.errors == []


@pytest.mark.parametrize("asgi", [False, True], ids=["wsgi", "asgi"])
def test_page(asgi):
    """The panel shows what the request sent, though the sender sends nothing."""
    get("/page/", asgi=asgi)

    assert keys() == ["page.nokey", "page.seen", "page.work"]
    shown = text_of(content())
    assert "page.seen" in shown
    assert "page is old" in shown


@pytest.mark.parametrize(
    ("store", "asgi"),
    [
        (MEMORY, False),
        (MEMORY, True),
        (CACHE, False),
        (CACHE, True),
        # Under ASGI the toolbar itself fails with its DatabaseStore, see its docs.
        pytest.param(DATABASE, False, marks=pytest.mark.django_db(transaction=True)),
    ],
    indirect=["store"],
)
def test_stores(store, asgi):
    """Every store gives back what was put in, and the same HTML is made of it."""
    get("/page/", asgi=asgi)

    assert [bar["name"] for bar in stats()["bars"]] == ["page.work"]
    assert stats()["timers"][0]["repeated"] == "step=one"
    assert "page.work" in content()


@pytest.mark.parametrize("asgi", [False, True], ids=["wsgi", "asgi"])
def test_async_view(asgi):
    """What child tasks and sync_to_async send belongs to the request."""
    get("/async/", asgi=asgi)

    assert keys() == [
        "async.left",
        "async.nokey",
        "async.pool",
        "async.right",
        "async.thread",
        "async.view",
    ]


@pytest.mark.parametrize("asgi", [False, True], ids=["wsgi", "asgi"])
def test_other_panels(asgi):
    """What other panels send while the toolbar runs them is not shown."""
    get("/silent/", asgi=asgi)

    assert stats()["sent"] == 0


def test_debug_capture_sender(settings):
    """With the sender that the original asked for the panel works as well."""
    sender = DebugCaptureSender()
    settings.METLOG = MetlogClient(sender, "testsite")
    get("/page/")

    assert keys() == ["page.nokey", "page.seen", "page.work"]
    assert len(sender.msgs) > 4


def test_exact_times():
    """Timers have their exact length, and lie within the request."""
    get("/page/")
    summary = stats()
    [bar] = summary["bars"]

    assert bar["elapsed_ms"] == 12.5
    # It was sent, not measured: it began that long before.
    assert -12.5 <= bar["start_ms"] <= summary["elapsed_ms"] - 12.5


@pytest.mark.parametrize("path", ["/data/", "/streamed/", "/broken/"])
def test_history(path):
    """Answers without a toolbar in them are in the history: JSON, streams, errors."""
    get(path)

    assert stats()["sent"] == 1
    assert_valid(content())


def test_nothing_sent():
    """A request that sent nothing says so."""
    get("/silent/")

    assert "sent nothing" in text_of(content())
    assert_valid(content())


def test_expired_request():
    """A request that the store has forgotten is an empty panel, not an error."""
    toolbar = DebugToolbar.fetch("") or DebugToolbar.fetch(_forgotten())
    assert toolbar is not None
    panel = toolbar.get_panel_by_id("MetlogPanel")

    assert panel.nav_subtitle == ""
    assert_valid(panel.content)


def _forgotten():
    get("/page/")
    request_id = request_ids()[-1]
    DebugToolbar.fetch(request_id).store._request_store[request_id].clear()
    return request_id


@pytest.mark.parametrize("render", [True, False], ids=["rendered", "loaded"])
@pytest.mark.parametrize("shadow", [True, False], ids=["shadow", "light"])
def test_hostile_texts(settings, render, shadow):
    """Names and texts from outside are text: valid HTML, and nothing runs."""
    config(settings, RENDER_PANELS=render, USE_SHADOW_DOM=shadow)
    settings.TOOLBAR_METLOG = {"duplicates": 1}
    client = settings.METLOG

    def view(request):
        client.incr(HOSTILE)
        for _ in range(2):  # which earns it a badge
            client.timer_send(HOSTILE, 5, fields={HOSTILE: HOSTILE})
        client.error(HOSTILE)
        client.metlog(HOSTILE, logger=HOSTILE, fields={HOSTILE: HOSTILE})

    response = _through(view)

    shown = response.content.decode() if render else content()
    assert "metlog-panel" in shown
    assert "2 × the same" in text_of(content())
    assert "<script>alert" not in shown
    assert_valid(content())
    assert HOSTILE not in response.headers["Server-Timing"]


def _through(work):
    """A request whose view is ``work``."""
    original = views.settings.METLOG.incr

    def once(name, *args, **kwargs):
        if name == "page.seen":
            work(None)
        original(name, *args, **kwargs)

    views.settings.METLOG.incr = once
    try:
        return get("/page/")
    finally:
        del views.settings.METLOG.incr


def test_many_messages(settings):
    """5,000 messages stay a page one can use: lists are cut, and say what is more."""
    client = settings.METLOG

    def view(request):
        for number in range(1500):
            client.timer_send(f"many.{number}", number)
            client.incr(f"many.{number}")
        for number in range(2000):
            client.info("message %d", number)

    _through(view)
    shown = content()

    assert stats()["sent"] == 5_004
    # Bars, messages, and two rows for each key of timers and of counters.
    assert shown.count("<tr") == 6 * MAX_ROWS + 5
    assert len(shown) < 1_100_000
    text = text_of(shown)
    assert f"{1501 - MAX_ROWS} more, all of them shorter" in text
    assert f"{1501 - MAX_ROWS} more metrics" in text
    assert f"{2001 - MAX_ROWS} more messages" in text
    assert_valid(shown)


def test_badge(settings):
    """A timer that is sent over and over with the same fields gets a badge."""
    client = settings.METLOG
    settings.TOOLBAR_METLOG = {"duplicates": 3}

    def view(request):
        for number in range(4):
            client.timer_send("db.execute", 1, fields={"operation": "select"})
            client.timer_send("db.other", 1, fields={"operation": number})

    _through(view)
    shown = text_of(content())

    assert "4 × the same: operation=select" in shown
    assert shown.count("× the same") == 1


def test_a_declared_metric_has_its_dotted_name(settings):
    """As in Graphite, with what is in no name as fields."""
    client = settings.METLOG
    execute = catalogue.Metric(
        "sql.<client>.<alias>.execute", "timer", "s", "A statement.", ("operation",)
    )

    def view(request):
        handle = execute.series(client, client="psql", alias="a.b", operation="select")
        handle.record(12.5)

    _through(view)

    assert "sql.psql.a_b.execute" in keys()
    shown = text_of(content())
    assert "operation=select" in shown
    assert "alias=" not in shown


def test_meaning(settings):
    """A key that the catalogue knows is shown with its meaning and a link to it."""
    metric = catalogue.Metric("page.seen", "counter", "pages", "A page was looked at.")
    catalogue.declare(metric)
    get("/page/")

    assert "A page was looked at." in content()
    assert "/__debug__/metlog/reference/#counter-page.seen" in content()


def test_numbers_for_scripts(settings):
    """Where people write 1,5 the drawing still gets 1.5."""
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    client = settings.METLOG
    _through(lambda request: client.timer_send("slow", 1234.5))

    shown = content()
    assert 'data-ms="1234.5"' in shown
    assert "1234.50" in shown
    assert "1.234" not in shown


def naming_the_view(get_response):
    """A middleware with a Server-Timing of its own."""

    def middleware(request):
        response = get_response(request)
        response.headers["Server-Timing"] = 'view;desc="shop.views.cart"'
        return response

    return middleware


def test_the_site_s_server_timing_stays(settings):
    """The toolbar sets the header anew; what was in it, such as the view, stays."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.naming_the_view"]

    timing = get("/page/").headers["Server-Timing"]

    assert f'desc="{request_ids()[-1]}"' in timing
    assert ', view;desc="shop.views.cart"' in timing


def test_server_timing():
    """A header tells the page's script which request the navigation was."""
    response = get("/page/")

    assert f'desc="{request_ids()[-1]}"' in response.headers["Server-Timing"]
    assert f'data-request="{request_ids()[-1]}"' in content()


def test_statsd_lines(settings):
    """As text: what plain StatsD would get, sums for counters."""
    client = settings.METLOG

    def view(request):
        client.incr("x", 2)
        client.incr("x", 3)
        client.timer_send("t", 1.5)
        client.gauge("g", -4)

    _through(view)
    lines = content().partition('data-text="statsd">')[2].partition("</pre>")[0]

    assert set(lines.split("\n")) == {
        "x:5|c",
        "t:1.5|ms",
        "g:0|g",
        "g:-4|g",
        "page.seen:1|c",
        "page.work:12.5|ms",
        "page.nokey:1|c",
    }


def test_subtitle():
    """The toolbar's own list says how much there is."""
    get("/page/")
    toolbar = DebugToolbar.fetch(request_ids()[-1])

    panel = toolbar.get_panel_by_id("MetlogPanel")
    assert panel.nav_subtitle == "1 timer, 2 counters, 1 message"


@pytest.mark.parametrize("whole", ["request", "request.query_time"])
def test_what_has_no_bar_is_not_called_shorter(settings, whole):
    """The time of the whole request stands in the list below, and has no bar."""
    client = settings.METLOG
    _through(lambda request: client.timer_send(whole, 5_000))

    assert whole in keys()
    assert "all of them shorter" not in text_of(content())


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ([], "2 counters"),
        (["incr"], "3 counters"),
        (["histogram"], "2 counters, 1 histogram"),
        (["incr", "incr", "histogram"], "4 counters, 1 histogram"),
        (["gauge", "gauge"], "2 counters, 2 gauges"),
        (["updown"], "2 counters, 1 updown"),
        (["updown", "histogram", "gauge"], "2 counters, 1 gauge, 1 histogram"),
    ],
)
def test_each_kind_is_counted_by_its_name(settings, recorded, said):
    """A histogram is no counter, nor is a level, though they stand in one table.
    Two counters are the page's own."""
    client = settings.METLOG

    def view(request):
        for number, method in enumerate(recorded):
            getattr(client, method)(f"x.{number}", 1)
        client.info("said")

    _through(view)
    panel = DebugToolbar.fetch(request_ids()[-1]).get_panel_by_id("MetlogPanel")
    tiles = " ".join(text_of(content()).split())

    assert f"1 timer, {said}, " in panel.nav_subtitle
    for tile in said.split(", "):
        assert tile in tiles


def test_switched_off():
    """Unticked in the toolbar, the panel collects nothing."""
    client = Client()
    client.cookies["djdtMetlogPanel"] = "off"
    client.get("/page/")

    assert stats() == {}


def test_toolbar_hidden(monkeypatch):
    """Where the toolbar is not shown nothing is stored, and the tee stays closed."""
    tee = []
    monkeypatch.setattr(views, "pause", lambda: tee.append(capture.is_active()))
    get("/page/", hidden="yes")

    assert request_ids() == []
    get("/page/")
    assert tee == [False, True]
    assert not capture.is_active()


def test_app_is_missing(settings):
    """Without its app the panel says what to add instead of failing the page."""
    settings.INSTALLED_APPS = [
        app for app in project.INSTALLED_APPS if app != "metlog_toolbar"
    ]
    response = get("/page/")

    assert response.status_code == 200
    assert "Add &quot;metlog_toolbar&quot; to INSTALLED_APPS" in response.text
