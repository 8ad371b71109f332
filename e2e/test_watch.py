# SPDX-License-Identifier: MPL-2.0
"""`python -m metlog watch` in a browser: what it shows, to whom, and how it looks.

The screenshots go to ``test-results``, or with KEEP_SCREENSHOTS to the docs.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from patience import PATIENCE_MS, PATIENCE_SECONDS
from playwright.sync_api import expect

from metlog._cli.watch.memory import Memory
from metlog._cli.watch.receive import remember
from metlog._cli.watch.serve import PageServer
from metlog.testing import HttpAnswer, HttpReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserType, Locator, Page

    OpenPage = Callable[..., Page]

ROOT = Path(__file__).resolve().parents[1]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = (
    ROOT / "docs" / "images" / "watch"
    if os.environ.get("KEEP_SCREENSHOTS")
    else ROOT / "test-results" / "watch"
)
SIZES = {"wide": (1280, 900), "narrow": (360, 780)}
SECTIONS = [
    *("Requests", "Errors", "Slowest views", "Queries", "Cache", "Browser"),
    *("Messages", "Every series"),
]

expect.set_options(timeout=PATIENCE_MS)


class Watched:
    """The page's server in this process, and the memory it shows."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.server = PageServer(self.memory, 0, "127.0.0.1:8125")
        self.url = self.server.url
        self._thread = threading.Thread(
            target=self.server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def say(self, *lines: str, ago: float = 0.0) -> None:
        remember("\n".join(lines).encode(), self.memory, monotonic() - ago)

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def fill(watched: Watched) -> None:
    """A quarter of an hour of a shop, in which a deploy made one view slow."""
    dice = random.Random(4)
    cache = "|#backend:redis,alias:default"
    index = "view:shop.views.index"
    views = {
        "shop.views.index": (0.42, 18),
        "shop.views.search": (0.2, 65),
        "shop.views.product": (0.3, 30),
        "shop.views.checkout": (0.05, 140),
        "shop.views.Orders": (0.03, 85),
    }
    for ago in range(899, -1, -3):
        lines = []
        for view, (share, usual) in views.items():
            for _ in range(round(dice.expovariate(1) * share * 12)):
                slow = 4 if view.endswith("search") and ago < 300 else 1
                took = dice.lognormvariate(0, 0.5) * usual * slow
                method = "POST" if view.endswith("checkout") else "GET"
                status = 200
                if dice.random() < 0.04:
                    status = dice.choice((302, 404, 404, 304))
                elif view.endswith("search") and ago < 300 and dice.random() < 0.08:
                    status = 503
                    lines.append(
                        "request.error:1|c|#view:shop.views.search,class:timeout"
                    )
                lines += [
                    f"response:1|c|#status:{status}",
                    f"view:{took:.1f}|ms|#view:{view},method:{method}",
                    *(
                        f"db.execute:{took * dice.uniform(0.05, 0.2):.2f}|ms"
                        f"|#client:psql,alias:default,operation:{operation}"
                        for operation in dice.choices(
                            ("select", "insert", "update"), (9, 1, 1), k=3
                        )
                    ),
                    f"cache.call:{dice.uniform(0.2, 0.9)}|ms{cache},method:get_many",
                    f"cache.hit:4|c{cache}",
                    f"cache.miss:{dice.choice((0, 0, 1, 3))}|c{cache}",
                ]
        if dice.random() < 0.35:
            start = dice.lognormvariate(0, 0.4) * 190
            for name, times in {
                "responseStart": 1,
                "domLoading": 1.2,
                "domInteractive": 3.1,
                "domComplete": 6.4,
                "loadEventEnd": 6.6,
            }.items():
                lines.append(
                    f"window.performance.timing:{start * times:.0f}|ms"
                    f"|#milestone:{name},{index}"
                )
            for name, value in {
                "LCP": start * 8.2,
                "INP": start * 0.6,
                "FCP": start * 4,
                "TTFB": start,
            }.items():
                lines.append(
                    f"window.performance.vitals:{value:.0f}|ms|#vital:{name},{index}"
                )
            lines += [
                f"window.performance.layout_shift:{dice.uniform(0, 0.2)}|h|#{index}",
                "window.performance.navigation.type:1|c|#type:navigate",
            ]
        lines += [f"orders:{dice.randint(0, 3)}|c|#country:nl", f"queue:{ago % 17}|g"]
        watched.say(*lines, ago=ago)
    note = {"type": "oldstyle", "logger": "shop.payments", "severity": 4}
    for ago, payload in ((240, "bank answered after 9 s"), (65, "bank answered twice")):
        fields = {"order": 4711 + ago}
        watched.say(json.dumps({**note, "payload": payload, "fields": fields}), ago=ago)


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A page to which nothing has come yet."""
    found = Watched()
    yield found
    found.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[Watched]:
    """A page that has seen a lot."""
    found = Watched()
    fill(found)
    yield found
    found.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a window of one's own; nothing may complain in its console."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_page(url: str, size: str = "wide", scheme: Any = "light") -> Page:
        width, height = SIZES[size]
        page = browser.new_page(
            color_scheme=scheme, viewport={"width": width, "height": height}
        )
        pages.append(page)
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def section(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def row(page: Page, title: str, name: str) -> Locator:
    return section(page, title).get_by_role("row").filter(has_text=name)


# -- what it shows ---------------------------------------------------------------------


@pytest.fixture
def watcher() -> Iterator[tuple[int, str]]:
    """`python -m metlog watch`: the port of its lines, and the page's address."""
    command = (sys.executable, "-m", "metlog", "watch", "--port=0", "--page-port=0")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    heard = re.search(r":(\d+) \(UDP\)", process.stderr.readline())
    page = re.search(r"http://\S+", process.stderr.readline())
    assert heard
    assert page
    yield int(heard[1]), page[0]
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0
    process.stderr.close()


@pytest.mark.parametrize("settings", ["settings", "labelled"])
def test_the_site_is_drawn_while_somebody_looks(
    settings: str,
    watcher: tuple[int, str],
    database: Path,
    tmp_path: Path,
    open_page: OpenPage,
    page: Page,
) -> None:
    """Requests, views, queries, cache, errors, browser: dotted or with tags."""
    from server import Site

    port, url = watcher
    shown = open_page(url)
    expect(section(shown, "Nothing has arrived yet")).to_contain_text(f"--port {port}")
    site = Site("wsgi", tmp_path, database, port, f"e2e_site.{settings}")
    try:
        for path in ("/", "/popular/", "/popular/", "/broken/"):
            page.goto(site.url + path)
        expect(row(shown, "Slowest views", "shelf.views.index")).to_be_visible()
        expect(row(shown, "Slowest views", "shelf.views.popular")).to_be_visible()
        expect(row(shown, "Slowest views", "shelf.viewsGET")).to_have_count(0)
        expect(row(shown, "Queries", "sqlite3 default")).to_be_visible()
        expect(row(shown, "Cache", "get_or_set")).to_be_visible()
        expect(row(shown, "Errors", "request.error")).to_contain_text("valueerror")
        expect(row(shown, "Browser", "domComplete")).to_be_visible()
        expect(section(shown, "Requests").get_by_text("5xx 1")).to_be_visible()
        expect(shown.get_by_role("heading", name="Nothing has")).to_have_count(0)
    finally:
        site.stop()


def test_sections_say_what_came(shop: Watched, open_page: OpenPage) -> None:
    """Everything of which something came has its section, in this order."""
    page = open_page(shop.url)
    expect(row(page, "Slowest views", "shop.views.search")).to_be_visible()
    titles = page.get_by_role("heading", level=2).all_inner_texts()
    assert titles == SECTIONS
    first = section(page, "Slowest views").get_by_role("row").nth(1)
    expect(first).to_contain_text("shop.views.search")
    expect(row(page, "Browser", "Largest Contentful Paint")).to_contain_text("good")
    expect(row(page, "Messages", "bank answered twice")).to_contain_text(
        "shop.payments"
    )
    expect(row(page, "Errors", "timeout")).to_contain_text("shop.views.search")


def test_search_finds_and_unfolds(shop: Watched, open_page: OpenPage) -> None:
    """By words of name and labels; a row unfolds into its charts."""
    page = open_page(shop.url)
    page.get_by_label("Search names, labels and kinds").fill("search view GET")
    rows = page.locator("#rows > tr:not(.detail)")
    expect(rows).to_have_count(1)
    expect(page.locator("#found")).to_have_text(re.compile(r"1 of \d+ series"))
    rows.get_by_role("button", name="view").click()
    detail = page.locator("#rows .detail")
    expect(
        detail.get_by_role("img", name=re.compile("How much since .*p95"))
    ).to_be_visible()
    shop.say("view:1|ms|#view:shop.views.search,method:GET")
    expect(detail.get_by_role("img").first).to_be_visible()  # it stays unfolded


def test_ten_thousand_names(watched: Watched, open_page: OpenPage) -> None:
    """They are found, and shown fifty at a time; those beyond are told of."""
    for start in range(0, 10_010, 10):
        watched.say(*(f"name.{i:05}:1|c" for i in range(start, start + 10)))
    page = open_page(watched.url)
    rows = page.locator("#rows > tr:not(.detail)")
    expect(rows).to_have_count(50)
    expect(page.locator("#kept")).to_contain_text("10 lines had a name beyond")
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(100)
    page.get_by_label("Search").fill("0777")
    expect(rows).to_have_count(11)


def test_foreign_text_is_text(watched: Watched, open_page: OpenPage) -> None:
    """A name that is markup is read, not run."""
    name = "<img src=x onerror=alert(1)>"
    watched.say(
        f"{name}:1|c|#<b>:<script>alert(2)</script>",
        f"view.{name.replace('.', '')}.GET:1|ms",
        f"error.{name}:1|c",
        json.dumps({"type": name, "payload": name, "fields": {}, "logger": name}),
        f"not a line {name}",
    )
    page = open_page(watched.url)
    expect(row(page, "Messages", name)).to_be_visible()
    expect(row(page, "Slowest views", name)).to_be_visible()
    expect(page.locator("#kept")).to_contain_text(name)
    expect(
        page.locator("#rows").get_by_text("<script>alert(2)</script>")
    ).to_be_visible()
    assert page.locator("main img, main script, main b:has(*)").count() == 0


def test_pause(watched: Watched, open_page: OpenPage) -> None:
    """The page stands still until it is told to go on, and has lost nothing then."""
    watched.say("a:1|c")
    page = open_page(watched.url)
    received = page.locator("#received")
    expect(received).to_contain_text("1 line at")
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    expect(page.get_by_text("Paused: ")).to_be_visible()
    expect(pause).to_have_attribute("aria-pressed", "true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    watched.say("b:1|c")
    # Another page's clock says that seconds have passed: no request of this one.
    other = open_page(watched.url)
    expect(other.locator("#received")).to_contain_text("2 lines at")
    watched.say("c:1|c")
    expect(other.locator("#received")).to_contain_text("3 lines at")
    assert asked == []
    expect(received).to_contain_text("1 line at")
    pause.click()
    expect(received).to_contain_text("3 lines at")


def test_it_says_when_nobody_answers(watched: Watched, browser: Browser) -> None:
    """And goes on when somebody does."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    watched.say("a:1|c")
    page.goto(watched.url)
    expect(page.locator("#received")).to_contain_text("1 line at")
    page.route("**/overview", lambda route: route.abort())
    expect(page.get_by_role("status").first).to_contain_text("Not connected to")
    page.unroute("**/overview")
    watched.say("a:1|c")
    expect(page.locator("#received")).to_contain_text("2 lines at")
    expect(page.get_by_text("Not connected to")).to_have_count(0)
    page.close()


# -- to whom ---------------------------------------------------------------------------


def test_another_name_for_this_machine_is_refused(
    watched: Watched,
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
) -> None:
    """DNS rebinding: a site whose name comes to point here gets nothing."""
    arguments = {
        **browser_type_launch_args,
        "args": [
            *browser_type_launch_args["args"],
            "--host-resolver-rules=MAP evil.example 127.0.0.1",
        ],
    }
    with contextlib.closing(browser_type.launch(**arguments)) as browser:
        page = browser.new_page()
        there = watched.url.replace("127.0.0.1", "evil.example")
        answer = page.goto(there)
        assert answer
        assert answer.status == 403
        said = page.evaluate("fetch('/overview').then(answer => answer.status)")
        assert said == 403
        ours = page.goto(watched.url)
        assert ours
        assert ours.status == 200


def test_pages_of_other_origins_get_nothing(watched: Watched, page: Page) -> None:
    """Neither by fetch, nor as a script, nor in a frame; a link works."""
    watched.say("secret.name:1|c")
    with other_site(watched.url) as other:
        page.goto(other)
        assert page.evaluate(
            """async url => {
                const tries = [{}, {mode: "no-cors"}, {credentials: "include"}];
                const said = [];
                for (const how of tries) {
                    said.push(await fetch(url + "overview", how)
                        .then(async answer => (await answer.text()).length)
                        .catch(() => "refused"));
                }
                return said;
            }""",
            watched.url,
        ) == ["refused", "refused", "refused"]
        assert (
            page.evaluate(
                """url => new Promise(done => {
                const script = document.createElement("script");
                script.onload = () => done("loaded");
                script.onerror = () => done("refused");
                script.src = url + "watch.js";
                document.body.append(script);
            })""",
                watched.url,
            )
            == "refused"
        )
        frame = page.frame(name="inside")
        assert frame
        assert "metlog watch" not in frame.content()
        page.get_by_role("link").click()
        expect(page.get_by_role("heading", name="metlog watch")).to_be_visible()
        expect(page.locator("#rows")).to_contain_text("secret.name")


@contextlib.contextmanager
def other_site(linked: str) -> Iterator[str]:
    """A page of another origin on this machine, as a developer has many."""
    html = f'<a href="{linked}">watch</a><iframe name="inside" src="{linked}"></iframe>'
    page = HttpAnswer(200, {"Content-Type": "text/html"}, html.encode())
    with HttpReceiver(page) as receiver:
        yield f"http://localhost:{receiver.port}/"


# -- how it looks, and how it is used without looking or pointing ----------------------


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shown(shop: Watched, open_page: OpenPage, scheme: str, size: str) -> Page:
    """The shop's page, with one series unfolded and one chart as a table."""
    page = open_page(shop.url, size, scheme)
    expect(row(page, "Slowest views", "shop.views.search")).to_be_visible()
    page.locator("#rows").get_by_role("button", name="orders").click()
    page.get_by_text("Responses every 5 seconds as a table").click()
    return page


def test_axe(shown: Page) -> None:
    """axe finds nothing at all: names, contrast, roles, what can be focused."""
    assert violations(shown) == []


def test_axe_of_a_page_to_which_nothing_came(
    watched: Watched, open_page: OpenPage, scheme: str
) -> None:
    """Nor in the page that greets."""
    page = open_page(watched.url, scheme=scheme)
    expect(section(page, "Nothing has arrived yet")).to_be_visible()
    assert violations(page) == []


def violations(page: Page) -> list[Any]:
    page.get_by_role("button", name="Pause").click()
    # Through the protocol: the page's own policy allows no foreign script.
    found: list[Any] = page.evaluate(
        f"""async () => {{
            {AXE.read_text()}
            const {{violations}} = await axe.run(document);
            return violations.map(({{id, help, nodes}}) => (
                {{id, help, nodes: nodes.map(n => n.html.slice(0, 200))}}));
        }}"""
    )
    return found


def test_nothing_sticks_out(shown: Page) -> None:
    """360 pixels are enough, and no text of a table is cut."""
    assert shown.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    assert (
        shown.evaluate(
            """[...document.querySelectorAll("section, figure, table, td, th")].filter(
            e => e.offsetParent && e.scrollWidth > e.clientWidth + 1
        ).map(e => e.textContent.slice(0, 80))"""
        )
        == []
    )


def test_no_name_is_broken_within_a_word(shop: Watched, open_page: OpenPage) -> None:
    """In a narrow window a name breaks behind its dots."""
    page = open_page(shop.url, "narrow")
    page.get_by_label("Search").fill("view")
    expect(page.locator("#found")).to_contain_text(" of ")
    assert broken(page.locator("#rows b, #rows button")) == []


def test_long_texts_leave_room_for_the_short_ones(
    watched: Watched, open_page: OpenPage, size: str
) -> None:
    """Kinds, times, loggers and names of errors: beside long words their columns had
    become as narrow as a letter."""
    word = "LongName" * 20
    watched.say(f"{word}:1|c", "short:1|d", f"error.{word}:1|c", "error.valueerror:1|c")
    said = {"type": "oldstyle", "logger": "shop", "severity": 3, "fields": {}}
    said |= {"timestamp": "", "env_version": "0.8", "metlog_pid": 1}
    said |= {"metlog_hostname": "web1", "payload": f"{word} {'no bread ' * 90}"}
    watched.say(json.dumps(said))
    page = open_page(watched.url, size)
    expect(section(page, "Messages").locator("td.short")).to_be_visible()
    short = page.locator("td.short, #messages th[scope=row], #errors tr:nth-child(2) *")

    assert broken(short) == []


def broken(texts: Locator) -> list[str]:
    """The words that take more than one line."""
    found: list[str] = texts.evaluate_all(
        """all => all.flatMap(e => {
            const texts = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
            const broken = [];
            while (texts.nextNode()) {
                const range = document.createRange();
                const node = texts.currentNode;
                for (const {0: word, index} of node.data.matchAll(/\\S+/g)) {
                    range.setStart(node, index);
                    range.setEnd(node, index + word.length);
                    if (range.getClientRects().length > 1) broken.push(word);
                }
            }
            return broken;
        })"""
    )
    return found


def test_pictures(shop: Watched, open_page: OpenPage, scheme: str, size: str) -> None:
    """Light and dark, wide and narrow."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page = open_page(shop.url, size, scheme)
    expect(row(page, "Slowest views", "shop.views.search")).to_be_visible()
    page.screenshot(path=PICTURES / f"page-{scheme}-{size}.png")
    page.get_by_label("Search").fill("view")
    expect(page.locator("#found")).to_contain_text(" of ")
    page.locator("#rows").get_by_role("button", name="view").nth(4).click()
    section(page, "Every series").evaluate("e => e.scrollIntoView({block: 'start'})")
    page.screenshot(path=PICTURES / f"series-{scheme}-{size}.png")

    assert (PICTURES / f"series-{scheme}-{size}.png").stat().st_size > 10_000


def test_keyboard(shop: Watched, open_page: OpenPage) -> None:
    """All of it: skip, pause, tables, search, rows. Focus stays while data comes."""
    page = open_page(shop.url)
    expect(page.locator("#rows > tr").first).to_be_attached()

    def focused() -> str:
        text: str = page.evaluate(
            "document.activeElement.id || document.activeElement.textContent"
        )
        return text

    page.keyboard.press("Tab")
    assert focused() == "Skip to every series"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert focused() == "series"
    page.keyboard.press("Tab")
    assert focused() == "search"
    page.keyboard.type("orders nl")
    expect(page.locator("#rows > tr:not(.detail)")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#rows .detail")).to_be_visible()
    before = page.locator("#received").inner_text()
    # a row that comes before it
    shop.say("orders:1|c|#country:nl", "aaa.orders:1|c|#country:nl")
    expect(page.locator("#received")).not_to_have_text(before)
    expect(page.locator("#rows > tr:not(.detail)")).to_have_count(2)
    assert focused() == "orders"
    page.keyboard.press("Enter")
    expect(page.locator("#rows .detail").last).to_be_hidden()


def test_screen_reader(shop: Watched, open_page: OpenPage) -> None:
    """Charts have words, tables have headers, and nothing is read out by itself."""
    page = open_page(shop.url)
    chart = page.get_by_role(
        "img", name=re.compile(r"^Responses every 5 .*: 2xx [\d,]+")
    )
    expect(chart).to_be_visible()
    view = page.get_by_role("rowheader", name="shop.views.search GET")
    expect(view).to_be_visible()
    page.get_by_text("How long they took as a table").click()
    table = page.get_by_role("region", name="How long they took as a table")
    expect(table.get_by_role("columnheader", name="p95")).to_be_visible()
    assert table.get_by_role("row").count() > 100
    live = "[...document.querySelectorAll('[role=status]')].map(e => e.textContent)"
    before = page.evaluate(live)
    shop.say("orders:1|c|#country:nl")
    received = page.locator("#received").inner_text()
    shop.say("orders:1|c|#country:nl")
    expect(page.locator("#received")).not_to_have_text(received)
    assert page.evaluate(live)[0] == before[0] == ""


def test_without_colours_and_motion(shop: Watched, browser: Browser) -> None:
    """Forced colours keep the charts; nothing moves that was asked not to."""
    page = browser.new_page(forced_colors="active", reduced_motion="reduce")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(shop.url)
    bars = page.locator("figure[data-chart=responses] path.bars").first
    expect(bars).to_be_attached()
    assert bars.evaluate("e => getComputedStyle(e).fill") not in {"", "none"}
    assert page.evaluate("document.getAnimations().length") == 0
    page.close()


def test_the_pointer_reads_a_chart(shop: Watched, open_page: OpenPage) -> None:
    """The moment below it, and the values of that moment."""
    page = open_page(shop.url)
    chart = page.get_by_role("img", name=re.compile("^Responses every 5 seconds since"))
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    reading = page.locator("figure[data-chart=responses] .reading")
    expect(reading).to_have_text(re.compile(r"\d+:\d\d:\d\d.* · 2xx \d+ · 3xx "))
    page.mouse.move(0, 0)
    expect(reading).to_have_text("")


def test_a_value_that_stands_alone_is_seen(
    watched: Watched, open_page: OpenPage
) -> None:
    """As a dot thicker than a line, beside those that are joined."""
    for ago in (40, 20, 15):
        watched.say("request:20|ms", "view.shop.views.index.GET:20|ms", ago=ago)
    page = open_page(watched.url)
    expect(row(page, "Slowest views", "shop.views.index")).to_be_visible()
    thick = """all => all.map(e => [
        e.getAttribute("d").split("M").length - 1,
        parseFloat(getComputedStyle(e).strokeWidth),
    ])"""
    figures = page.locator("figure svg .dots").evaluate_all(thick)
    assert [1, 6] in figures
    small = section(page, "Slowest views").locator(".dots")
    assert small.evaluate_all(thick) == [[1, 4]]


def test_it_hears_several_hosts(watcher: tuple[int, str], open_page: OpenPage) -> None:
    """A datagram from whatever local socket is drawn at once."""
    port, url = watcher
    page = open_page(url)
    for number in range(3):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(f"from.{number}:1|c".encode(), ("127.0.0.1", port))
        expect(page.locator("#rows")).to_contain_text(f"from.{number}")
