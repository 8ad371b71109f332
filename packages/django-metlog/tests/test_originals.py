# SPDX-License-Identifier: MPL-2.0
"""What the originals sent, and what is sent here when the same happens.

``originals/`` has a small shop, and what each original sent of it, in its own time. All
that differs stands in this file; docs/upgrade.md tells it to people.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "originals"

Sent = dict[str, set[str]]
"""What each event sent: counters with their number, timers without it."""


def series(line: str) -> str:
    """The line, without a time that is measured; what a browser reports stays."""
    if "|" not in line:
        return line  # scraped
    name, value, kind = re.fullmatch(r"(.+):(.+)\|(.+)", line).groups()  # type: ignore[union-attr]
    if kind != "ms":
        return line
    if name.startswith("window.performance."):
        return f"{name}:{float(value):g}|ms"
    return f"{name}|ms"


def played(*switches: str) -> Sent:
    """What django-metlog sends; nothing but statements twice."""
    done = subprocess.run(
        [sys.executable, str(HERE / "play.py"), "django_metlog", *switches],
        capture_output=True,
        text=True,
        check=True,
    )
    printed = done.stdout[done.stdout.index("{") :]  # after what statsd_ping says
    sent: Sent = {}
    for event, lines in json.loads(printed)["sent"].items():
        found = [series(line) for line in lines]
        sent[event] = set(found)
        of_requests = [line for line in found if not line.startswith("db.")]
        assert len(set(of_requests)) == len(of_requests), event
    return sent


@pytest.fixture(scope="module")
def historic() -> Sent:
    return played("METLOG_HISTORIC_NAMES")


@pytest.fixture(scope="module")
def today() -> Sent:
    return played()


def original(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((HERE / f"{name}.json").read_text())[
        "sent"
    ]
    return found


NEW = re.compile(
    r"request(\.queries|\.query_time)?\|ms|request\.error\..*"
    r"|cache\.locmem\..*(hit|miss):.*|celery\..*\.succeeded:.*|db\..*\.commit\|ms"
)
"""What no original has."""

RENAMED = [
    (r"(view)\.django_statsd\.views\.", r"\1.django_metlog.views."),
    (r"cache\.(connection|cache)\.", "cache.locmem."),
    (r"celery\.None\.failure", "celery.shop.bill.failure"),
    # It used any first word; here there is a list of them, and comments are skipped.
    (r"execute\./\*\|", "execute.select|"),
    (r"deployed\|ms", "deployed:1|c"),
]

LOST = re.compile(
    # METLOG_RECORD_KEYS brings them back.
    r"window\.performance\.timing\.(loadEventEnd|responseStart).*"
    # A WARNING of Django's since 3.0; the handler's level brings it back.
    r"|error\.permissiondenied:.*"
)

OF_ONE_REQUEST = {
    # A view's exception was also counted as 500, whatever became of it.
    "a view that raises Http404": {"response.500:1|c"},
    "a view that raises PermissionDenied": {"response.500:1|c"},
    # They asked the database who it is.
    "a user whom nobody asks for": {
        "response.auth.200:1|c",
        "db.sqlite3.default.execute.select|ms",
        "db.sqlite3.default.execute|ms",
    },
}


def expected(event: str, lines: list[str]) -> set[str]:
    """What is sent here instead of that: the same, but for what is listed above."""
    found = set()
    for line in set(map(series, lines)) - OF_ONE_REQUEST.get(event, set()):
        if LOST.fullmatch(line):
            continue
        # Django's own: it begins a transaction where it needs one.
        if event.startswith("an object ") and line.endswith("execute.begin|ms"):
            continue
        for pattern, name in RENAMED:
            line = re.sub(pattern, name, line)
        if event in ("stick", "boomerang"):
            line = line.replace("response.200", "response.204")
        found.add(line)
    return found


def without_new(lines: set[str]) -> set[str]:
    return {line for line in lines if not NEW.fullmatch(line)}


OF_MOZILLA = [
    "django-statsd-mozilla-0.3.16-django-1.6",
    "django-statsd-mozilla-0.4.0-django-2.2",
    "django-statsd-mozilla-0.4.0-django-3.2",
]


@pytest.mark.parametrize("name", OF_MOZILLA)
def test_django_statsd_mozilla(name: str, historic: Sent) -> None:
    """With METLOG_HISTORIC_NAMES everything has the name that it had."""
    for event, lines in original(name).items():
        if event == "another cache's get":
            assert lines == []  # they saw the default cache alone
            continue
        assert without_new(historic[event]) == expected(event, lines), event


def test_a_class_had_no_name_on_django_4(historic: Sent) -> None:
    """There all class-based views were called ``view``."""
    for event, lines in original("django-statsd-mozilla-0.4.0-django-4.2").items():
        wanted = expected(event, lines)
        if event == "a class-based view":
            assert "view.shop.views.view.GET|ms" in wanted
            wanted = {line.replace(".view.GET", ".Cart.GET") for line in wanted}
        if event != "another cache's get":
            assert without_new(historic[event]) == wanted, event


def test_before_django_1_6_statements_had_no_operation(
    historic: Sent, today: Sent
) -> None:
    """So 0.3 called them as they are called here without METLOG_HISTORIC_NAMES."""
    for event, lines in original("django-statsd-mozilla-0.3.16-django-1.4").items():
        sent = {line for line in historic[event] if not line.startswith("db.")}
        sent |= {line for line in today[event] if line.startswith("db.")}
        assert without_new(sent) == expected(event, lines), event


def test_django_metlog_mozilla(today: Sent) -> None:
    """Without the switch everything has the name that it had. Its models were not
    counted, and no browser's time was sent: it forgot to, or failed."""
    for event, lines in original("django-metlog-mozilla-0.1-django-1.4").items():
        sent = without_new(today[event])
        if event.startswith("an object "):
            sent = {line for line in sent if not line.startswith("model.")}
        if event in ("stick", "boomerang"):
            times = "window.performance.timing", "window.performance.calculated"
            assert not [line for line in lines if line.startswith(times)]
            sent = {line for line in sent if not line.startswith(times)}
        wanted = expected(event, lines)
        if event == "boomerang":
            failed = {"response.500:1|c", "error.typeerror:1|c"}
            assert failed < wanted
            wanted = wanted - failed | {"response.204:1|c"}
        assert sent == wanted, event


def test_an_exception_counted_twice() -> None:
    """The view's time, too. Here both are counted once: see `played`."""
    for file in HERE.glob("*mozilla*.json"):
        lines = [series(line) for line in original(file.stem)["a view that fails"]]
        assert lines.count("response.500:1|c") == 2
        assert lines.count("view.shop.views.fails.GET|ms") == 2


BILL = r"celery\.shop\.bill\."

LIKES = [
    (
        r"view\.(get|post)\.shop\.views\.\w+\.(hit|total)",
        r"view\.shop\.views\.\w+\.\w+",
    ),
    (r"view\.http_codes\.(hit|[2-5]xx)", r"response\.\d+"),
    (r"view\.site\.hit", "request"),
    (r"view\.get\.shop\.views\.\w+\.sql\.default", r"db\.sqlite3\.default\.execute"),
    (r"view\.get\.shop\.views\.\w+\.json\.loads", None),
    (BILL + "(hit|total)", BILL + "run"),
    (r"celery\.site\.hit", BILL + "run"),
    (
        r"celery\.status\.(before_task_publish|after_task_publish|task_sent)",
        BILL + "sent",
    ),
    (r"celery\.status\.(task_prerun|task_postrun)", BILL + "run"),
    (r"celery\.status\.task_success", BILL + "succeeded"),
    (r"celery\.status\.task_failure", BILL + "failed"),
]
"""A name of django-statsd 3, and the like that is sent here."""


def test_django_statsd_3(today: Sent) -> None:
    """It has other names: of each the like is sent here, but for JSON."""
    told_alike(original("django-statsd-3.0.0-django-6.1"), today, LIKES)


def told_alike(
    theirs: dict[str, list[str]], ours: Sent, likes: list[tuple[str, str | None]]
) -> None:
    for event, lines in theirs.items():
        told = {re.split("[|:]", line)[0] for line in ours[event]}
        for name in {line.partition(":")[0] for line in lines}:
            (like,) = (like for known, like in likes if re.fullmatch(known, name))
            assert like is None or any(re.fullmatch(like, one) for one in told), name


IN_PROMETHEUS = [
    ("requests_before_middlewares_total", "response_total"),
    ("responses_before_middlewares_total", "response_total"),
    ("requests_latency_including_middlewares_seconds_count", "request_seconds_count"),
    # Of what came to no view there is no time of one here.
    ("requests_latency_seconds_by_view_method_count", "(view|request)_seconds_count"),
    ("requests_total_by_method_total", "request_seconds_count"),
    ("requests_total_by_view_transport_method_total", "request_seconds_count"),
    ("responses_total_by_status_total", "response_total"),
    ("responses_total_by_status_view_method_total", "request_seconds_count"),
    # Http404 and PermissionDenied are no errors here.
    ("exceptions_total_by_(type|view)_total", "(request_error|response)_total"),
    ("responses_total_by_templatename_total", "template_seconds_count"),
    ("responses_streaming_total", "view_stream_seconds_count"),
    ("ajax_requests_total", None),
    ("requests_body_total_bytes_count", None),
    ("responses_body_total_bytes_count", None),
    ("responses_total_by_charset_total", None),
    ("requests_total_by_transport_total", None),
]
"""What django-prometheus has in ``django_http_``, and the like in ``django_``."""

SCRAPED = [
    *((f"django_http_{a}", b and f"django_{b}") for a, b in IN_PROMETHEUS),
    ("django_db_execute_total", "django_db_execute(many)?_seconds_count"),
    ("django_db_execute_many_total", "django_db_executemany_seconds_count"),
    ("django_db_query_duration_seconds_count", "django_db_execute.*_seconds_count"),
    ("django_db_new_connections_total", "django_db_connect_seconds_count"),
    ("django_db_new_connection_errors_total", "django_db_error_total"),
    ("django_db_errors_total", "django_db_error_total"),
    ("django_cache_get_total", "django_cache_call_seconds_count"),
    ("django_cache_get_hits_total", "django_cache_hit_total"),
    ("django_cache_get_misses_total", "django_cache_miss_total"),
    ("django_model_inserts_total", "django_model_create_total"),
    ("django_model_updates_total", "django_model_update_total"),
    ("django_model_deletes_total", "django_model_delete_total"),
]


def test_django_prometheus() -> None:
    """The same, as Prometheus is told; each name that it has is told at least once."""
    theirs, ours = original(PROMETHEUS), played("SCRAPED")
    told_alike(theirs, ours, SCRAPED)
    names = {line.partition(":")[0] for lines in theirs.values() for line in lines}
    for known, _ in SCRAPED:
        assert any(re.fullmatch(known, name) for name in names), known


PROMETHEUS = "django-prometheus-2.5.0-django-6.0"


def test_what_the_upgrade_page_says_of_django_prometheus() -> None:
    """Where both count alike, and where they do not."""
    theirs, ours = original(PROMETHEUS), played("SCRAPED")
    # One that fails is a connection to both; here its error is among the statements.
    failed = "a connection that fails"
    assert set(theirs[failed]) == {
        "django_db_new_connections_total:1",
        "django_db_new_connection_errors_total:1",
    }
    assert ours[failed] == {
        "django_db_connect_seconds_count:1",
        "django_db_error_total:1",
    }
    # Of templates, theirs counts those of TemplateResponse.
    by_name = "django_http_responses_total_by_templatename_total:1"
    rendered = "a template rendered by a function"
    assert by_name in theirs["a template"]
    assert by_name not in theirs[rendered]
    assert "django_template_seconds_count:1" in ours["a template"] & ours[rendered]
