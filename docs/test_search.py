# SPDX-License-Identifier: MPL-2.0
"""What people ask is answered by a page that the site's own search finds."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).parent
FIRST = 3
"""How many results somebody opens before giving up."""


class Asked(NamedTuple):
    question: str
    words: tuple[str, ...]
    """Each is a query by itself, as somebody might type it."""
    answer: str
    """Stands on a page among the first results of every query."""


QUESTIONS = [
    Asked(
        "Can it send to a unix socket?",
        ("unix socket", "unix domain socket", "socket path"),
        'transport="unix"',
    ),
    Asked(
        "How do I put a prefix before every name?",
        ("prefix", "metric prefix", "namespace"),
        "stands in front of every name",
    ),
    Asked(
        "Who calls flush?",
        ("who calls flush", "flush", "when to call flush"),
        "senders flush by themselves",
    ),
    Asked(
        "How do I leave messages out by severity?",
        ("filter", "filters", "severity filter", "drop messages"),
        "severity_max_provider",
    ),
    Asked(
        "How do I leave health checks out?",
        ("exclude path", "health check", "ignore urls"),
        "METLOG_EXCLUDE",
    ),
    Asked(
        "What happens when the backend is down?",
        ("backend down", "outage", "server unavailable", "backpressure"),
        "never blocks or raises",
    ),
    Asked(
        "Is it safe with threads, forks and asyncio?",
        ("thread-safe", "fork-safe", "asyncio", "preload"),
        "fork-safe",
    ),
    Asked(
        "What does it cost?",
        ("overhead", "performance", "how slow", "cost per request"),
        "a microsecond a call",
    ),
    Asked(
        "How do I test my own metrics?",
        ("pytest fixture", "unit test", "mock", "assert metric"),
        "metlog_sent",
    ),
    Asked(
        "How do labels or tags work?",
        ("labels", "tags", "fields", "dimensions"),
        "Datadog calls them tags",
    ),
    Asked(
        "How do I measure Celery?",
        ("celery", "celery worker", "background jobs"),
        "django_metlog.patches.celery",
    ),
    Asked(
        "What does uWSGI, gunicorn or uvicorn need?",
        ("uwsgi", "gunicorn", "uvicorn", "graceful shutdown"),
        "gunicorn with --preload",
    ),
    Asked(
        "Does stick work under a Content-Security-Policy?",
        ("csp", "nonce", "content security policy"),
        "CSP nonce",
    ),
    Asked(
        "How do I come from another library?",
        ("django-statsd", "django-prometheus", "migrate", "moving from statsd"),
        "metlog_upgrade_check",
    ),
    Asked(
        "How do I sample?",
        ("sampling", "sample rate", "sampling rate"),
        "rate=0.1",
    ),
    Asked(
        "How do I choose the buckets of a histogram?",
        ("histogram buckets", "buckets", "percentiles"),
        "buckets",
    ),
    Asked(
        "Two backends at once?",
        ("two backends", "several backends", "fan out", "multiple senders"),
        "FanOutSender",
    ),
    Asked(
        "How does Prometheus scrape several workers?",
        ("prometheus workers", "prometheus multiprocess", "scrape"),
        "PrometheusSender",
    ),
    Asked(
        "Does it store anything personal?",
        ("privacy", "personal data", "gdpr", "cookies"),
        "no cookie",
    ),
    Asked(
        "Which environment variables may a configuration use?",
        ("environment variables", "docker", "host from environment"),
        "${STATSD_HOST}",
    ),
    Asked(
        "How do I switch it off in development or in tests?",
        ("disable", "switch off", "turn off", "development settings"),
        "NoSendSender",
    ),
    Asked(
        "How do I write a sender of my own?",
        ("custom sender", "write a sender", "own sender"),
        "SenderContract",
    ),
    Asked(
        "Where is the dashboard?",
        ("dashboard", "grafana", "grafana dashboard"),
        "python -m metlog dashboard",
    ),
    Asked(
        "Which versions are supported?",
        ("supported versions", "python version", "django versions", "deprecation"),
        "3.11 to 3.14",
    ),
    Asked(
        "Nothing arrives. Why?",
        ("nothing arrives", "i see nothing", "not working", "no metrics"),
        "statsd_ping",
    ),
    Asked(
        "How do I report the web vitals of real browsers?",
        ("web vitals", "LCP", "real user monitoring"),
        "{% stick vitals=True %}",
    ),
    Asked(
        "How do I log exceptions?",
        ("exceptions", "count errors", "stack trace"),
        "StatsdHandler",
    ),
    Asked(
        "How do I measure a management command or a cron job?",
        ("management command", "cron"),
        "django_metlog.patches.commands",
    ),
    Asked(
        "Is a template's rendering in the time of a view?",
        ("what is timed", "TemplateResponse rendering"),
        "the rendering of a TemplateResponse",
    ),
    Asked(
        "Does it run beside the site in a pod?",
        ("kubernetes sidecar", "kubernetes", "status.hostIP"),
        "A sidecar shares the network of its pod",
    ),
    Asked("Does it work with IPv6?", ("ipv6", "IPv6 address"), "without brackets"),
    Asked("How do I get rid of it?", ("uninstall", "remove"), "pip uninstall"),
    Asked("Does it run on Windows?", ("windows", "macos"), "no POSIX locks"),
    Asked(
        "Which of my databases and caches is it?",
        ("multiple databases", "database alias", "cache alias", "replica"),
        "db.psql.replica.execute",
    ),
    Asked(
        "Is the commit in the view's time?",
        ("ATOMIC_REQUESTS", "transaction", "commit"),
        "after its commit or rollback",
    ),
    Asked(
        "Are async views and websockets measured?",
        ("async views", "streaming", "websocket", "channels"),
        "A WebSocket never reaches",
    ),
    Asked(
        "What are the views of REST frameworks called?",
        ("DRF", "django rest framework", "ninja", "viewset"),
        "OrderViewSet_list",
    ),
    Asked(
        "Does it see htmx?",
        ("htmx", "turbo", "single page application"),
        "visits=True",
    ),
    Asked(
        "Several processes set one gauge. Which wins?",
        ("gauge", "gauge several processes"),
        "the last one wins",
    ),
    Asked(
        "How do I find N+1 queries?",
        ("slow queries", "N+1 queries", "number of queries"),
        "request.query_time",
    ),
    Asked("Does it trace?", ("traces", "spans", "tracing"), "trace_id"),
    Asked(
        "Are 404s and static files counted?",
        ("404", "static files", "admin"),
        "response.404",
    ),
    Asked(
        "How do I see deployments?",
        ("deploy", "deployment", "release"),
        "send --statsd --incr deploys",
    ),
    Asked(
        "How do I send log records?",
        ("log handler", "log records"),
        "MetlogHandler",
    ),
    Asked(
        "How does a failed command show?",
        ("exit code", "command fails"),
        "command.<name>.failed",
    ),
    Asked(
        "What will a vendor bill?",
        ("billing", "cost", "custom metrics"),
        "bills by series",
    ),
    Asked("And with an ad blocker?", ("ad blocker",), "no script can tell"),
    Asked("Is it typed?", ("type hints", "mypy", "py.typed"), "py.typed"),
    Asked(
        "How do I add my own?",
        ("own metrics", "custom metric", "add a metric"),
        'client.incr("signup")',
    ),
    Asked(
        "Why is something missing?",
        ("missing data", "numbers too low"),
        "middlewares in front of ours",
    ),
    Asked("How much memory?", ("memory usage", "memory"), "each series and process"),
    Asked(
        "Does the record view need a CSRF token?",
        ("CSRF", "csrf token", "csrf_exempt"),
        "exempt from CSRF",
    ),
    Asked(
        "What is the hit ratio of my cache?",
        ("cache hit ratio", "hit rate", "hit ratio"),
        "hits divided by hits and misses",
    ),
    Asked(
        "How long do other services take that my site calls?",
        ("third-party API", "external API", "httpx", "requests library"),
        "METLOG_HTTP_HOSTS",
    ),
    Asked(
        "How many log-ins fail, and how many mails leave?",
        ("login failures", "failed logins", "email", "authentication"),
        "django_metlog.patches.mail",
    ),
    Asked(
        "Does it work in a serverless function?",
        ("serverless", "AWS Lambda", "cloud functions"),
        "freezes the process",
    ),
    Asked(
        "How do I log in to a backend?",
        ("bearer token", "API key", "TLS", "https"),
        '"Authorization": "Bearer ${OTLP_TOKEN}"',
    ),
    Asked(
        "Can I have a metric for each tenant?",
        ("tenant", "multi-tenant", "per customer"),
        "METLOG_VIEW_NAMES_MAX",
    ),
    Asked(
        "How do I watch an SLO?",
        ("SLO", "Apdex", "error budget", "latency objective"),
        "django_request_seconds_bucket",
    ),
    Asked(
        "How do I time a function, an async one too?",
        ("time a function", "async function", "timer decorator"),
        '@client.timer("report")',
    ),
    Asked(
        "How do I find what belongs to one request?",
        ("request id", "correlation id", "X-Request-ID"),
        "METLOG_REQUEST_ID",
    ),
    Asked(
        "How much is lost on the way by UDP?",
        ("packet loss", "lost packets", "UDP loss"),
        "receive buffer",
    ),
    Asked(
        "What if workers are recycled?",
        ("max_requests", "worker recycling", "max-requests"),
        "leaves when the worker ends",
    ),
]


INDEX = re.compile(r"^<!-- index: (.+) -->$", re.MULTILINE)
ENTRIES = [
    (entry, page.relative_to(DOCS).with_suffix("").as_posix())
    for page in sorted(DOCS.rglob("*.md"))
    if "_build" not in page.parts
    for line in INDEX.findall(page.read_text(encoding="utf-8"))
    for entry in line.split(", ")
]
"""What pages are indexed by, and the page of each."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    sphinx = (sys.executable, "-m", "sphinx", "-q", "-d", folder / "trees")
    subprocess.run([*sphinx, DOCS, folder / "html"], check=True)
    return folder / "html"


@pytest.fixture(scope="module")
def found(site: Path) -> dict[str, list[str]]:
    """Query → the pages that are found, the best first."""
    node = shutil.which("node")
    assert node, "there is no node here"
    queries = [words for asked in QUESTIONS for words in asked.words]
    queries += [entry for entry, _ in ENTRIES]
    done = subprocess.run(
        [node, DOCS / "_ext" / "search.js", site],
        input=json.dumps(queries),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(zip(queries, json.loads(done.stdout), strict=True))


def text_of(page: Path) -> str:
    tags_gone = re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8"))
    return " ".join(html.unescape(tags_gone).split())


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        pytest.param(words, asked.answer, id=f"{asked.question} {words}")
        for asked in QUESTIONS
        for words in asked.words
    ],
)
def test_search_finds_the_answer(
    words: str, answer: str, found: dict[str, list[str]], site: Path
) -> None:
    """Whoever searches with these words has the answer on one of the first pages."""
    pages = list(dict.fromkeys(found[words]))[:FIRST]
    assert any(answer in text_of(site / f"{page}.html") for page in pages), pages


@pytest.mark.parametrize(("entry", "page"), ENTRIES)
def test_an_index_entry_leads_to_its_page(
    entry: str, page: str, found: dict[str, list[str]]
) -> None:
    """Whoever searches with one of these words is at the answer with one click."""
    assert found[entry][0] == page


def test_each_index_entry_has_one_page() -> None:
    """Two answers to one word would be a choice again."""
    entries = [entry.casefold() for entry, _ in ENTRIES]
    assert sorted(entries) == sorted(set(entries))
