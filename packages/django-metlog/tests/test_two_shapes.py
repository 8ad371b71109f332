# SPDX-License-Identifier: MPL-2.0
"""One site, one process, two backends: dotted names to one, labels to the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import override_settings

from django_metlog.catalogue import (
    CACHE_CALL_OF,
    CELERY_SENT,
    COMMAND_RUN,
    DB_EXECUTE,
    ERROR,
    MODEL_CREATE,
    RESPONSE,
    TASK_RUN,
    TEMPLATE,
    VIEW,
)
from django_metlog.patches import cache as cache_patch
from django_metlog.patches import db as db_patch
from django_metlog.patches.sending import count, series, time
from metlog import MetlogClient
from metlog.catalogue import Metric
from metlog.senders import FanOutSender, StatsdSender
from metlog.testing import UdpReceiver


class Backends:
    """What two backends were sent."""

    def __init__(self) -> None:
        self.graphite, self.datadog = UdpReceiver(), UdpReceiver()
        self.client = MetlogClient(
            FanOutSender(
                [
                    {"sender": StatsdSender(port=self.graphite.port)},
                    {
                        "sender": StatsdSender(
                            port=self.datadog.port, dialect="dogstatsd", packed=False
                        )
                    },
                ]
            ),
            "site",
        )

    def end(self) -> None:
        self.client.close()
        for receiver in (self.graphite, self.datadog):
            last = StatsdSender(port=receiver.port, flush_interval=0)
            last.send_metric("counter", "the.end", 1, 1.0, None)
            last.close()
            assert receiver.wait_until(lambda r: b"the.end:1|c" in r.datagrams)

    def dotted(self) -> Counter[str]:
        """Name → sum of a counter, number of a timer's values."""
        found: Counter[str] = Counter()
        for seen in self.graphite.seen:
            number = float(seen.value) if seen.kind == "counter" else 1  # type: ignore[union-attr]
            found[seen.name] += number  # type: ignore[union-attr]
        return found

    def labelled(self) -> Counter[tuple[str, tuple[tuple[str, str], ...]]]:
        """The same by name and labels."""
        found: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        for seen in self.datadog.seen:
            number = float(seen.value) if seen.kind == "counter" else 1  # type: ignore[union-attr]
            labels = tuple(sorted((seen.fields or {}).items()))  # type: ignore[union-attr]
            found[seen.name, labels] += number  # type: ignore[union-attr]
        return found

    def sum_of(self, base: str, **labels: str) -> float:
        """Over all series of a base that have these labels."""
        return sum(
            number
            for (name, found), number in self.labelled().items()
            if name == base and labels.items() <= dict(found).items()
        )


@pytest.fixture
def backends() -> Iterator[Backends]:
    backends = Backends()
    with override_settings(METLOG=backends.client):
        yield backends
    backends.client.close()
    backends.graphite.close()
    backends.datadog.close()


@pytest.fixture
def patched() -> Iterator[None]:
    db_patch.patch()
    cache_patch.patch()
    yield
    cache_patch.unpatch()
    db_patch.unpatch()


@pytest.mark.django_db
@pytest.mark.usefixtures("patched")
def test_the_sums_agree(fetch: Any, backends: Backends) -> None:
    """Per view, status, alias and operation; and what is a sum is not there twice."""
    visits = [("/", 3), ("/async", 2), ("/broken", 2), ("/moved", 1), ("/nowhere", 4)]
    for path, times in visits:
        for method in ("GET", "POST"):
            for _ in range(times):
                fetch(path, method)
    with connection.cursor() as cursor:
        for number in range(5):
            cursor.execute(f"SELECT {number}")
    for _ in range(7):
        caches["default"].get("no-such-key")
    backends.end()

    dotted, views = backends.dotted(), "testsite.views"
    for name in ("index", "aindex", "broken", "moved"):
        for method in ("GET", "POST"):
            assert (
                dotted[f"view.{views}.{name}.{method}"]
                == backends.sum_of("view", view=f"{views}.{name}", method=method)
                == backends.sum_of("request", view=f"{views}.{name}", method=method)
                > 0
            )
    assert dotted["view.GET"] == backends.sum_of("view", method="GET") == 8
    for status in ("200", "302", "404", "500"):
        assert (
            dotted[f"response.{status}"]
            == backends.sum_of("response", status=status)
            == backends.sum_of("request", status=status)
            > 0
        )
    assert (
        dotted["db.sqlite3.default.execute"]
        == backends.sum_of("db.execute", alias="default")
        >= 5
    )
    assert backends.sum_of("db.execute", operation="select") >= 5
    assert (
        dotted["cache.locmem.get"] == backends.sum_of("cache.call", method="get") == 7
    )
    assert dotted["cache.locmem.miss"] == backends.sum_of("cache.miss") == 7
    assert backends.sum_of("cache.miss", backend="locmem", alias="default") == 7
    assert dotted["request"] == backends.sum_of("request") == 24

    names = {name for name, _ in backends.labelled()}
    assert not [name for name in names if name.startswith("view.")]
    assert len([name for name in dotted if name.startswith(("view.", "resp"))]) > 12
    of_requests = {name for name in names if not name.startswith(("db.", "cache."))}
    assert of_requests - {"the.end"} <= {
        *("request", "request.queries", "request.query_time", "response", "view"),
        "request.error",
    }


HOSTILE = [
    *("GET", "hit", "miss", "execute", "error", "timing", "stream", "run", "sent"),
    *("a.b.c", "köln", "本.屋", "<lambda>", "x y", "shop/index.html", "other"),
]

METRICS: list[tuple[Metric, dict[str, str], str]] = [
    (VIEW, {"method": "GET"}, "view"),
    (DB_EXECUTE, {"client": "psql", "operation": "select"}, "alias"),
    (CACHE_CALL_OF, {"backend": "redis", "method": "get"}, "alias"),
    (TASK_RUN, {"queue": "default", "backend": "default"}, "task"),
    (CELERY_SENT, {}, "task"),
    (TEMPLATE, {}, "name"),
    (COMMAND_RUN, {}, "name"),
    (MODEL_CREATE, {"app": "shop"}, "model"),
    (ERROR, {}, "class"),
    (RESPONSE, {}, "status"),
]


@pytest.mark.parametrize(("metric", "others", "label"), METRICS)
def test_hostile_names_come_out_under_their_own_labels(
    backends: Backends, metric: Metric, others: dict[str, str], label: str
) -> None:
    """Whatever views, aliases, tasks and templates are called."""
    for name in HOSTILE:
        if metric.kind == "counter":
            count(metric, **others, **{label: name})
        else:
            time(metric, 0.0, **others, **{label: name})
    backends.end()
    found = {
        dict(labels)[label]: number
        for (base, labels), number in backends.labelled().items()
        if base == metric.base
    }
    assert found == dict.fromkeys((name.replace(" ", "_") for name in HOSTILE), 1)
    dotted = [name for name in backends.dotted() if "the.end" not in name]
    assert len(dotted) == len(HOSTILE)
    assert not [name for name in dotted if ".." in name or name.endswith(".")]


def test_a_label_has_a_limited_number_of_values(
    backends: Backends, caplog: pytest.LogCaptureFixture
) -> None:
    """METLOG_VIEW_NAMES_MAX of each, then they are called other; that is said once."""
    with override_settings(METLOG_VIEW_NAMES_MAX=3):
        for number in range(10):
            count(ERROR, class_=f"error{number}")
            count(CELERY_SENT, task=f"task{number}")
        count(ERROR, class_="error1")
    backends.end()
    assert backends.sum_of("error") == 11
    assert backends.sum_of("error", **{"class": "other"}) == 7
    assert backends.sum_of("error", **{"class": "error1"}) == 2
    assert backends.sum_of("celery.sent", task="other") == 7
    said = [each.getMessage() for each in caplog.records]
    assert len([text for text in said if "'class'" in text]) == 1
    assert len([text for text in said if "'task'" in text]) == 1


def test_a_value_that_is_no_text_is_one(backends: Backends) -> None:
    """What comes from other people's code may be anything."""

    class Odd:
        def __str__(self) -> str:
            raise ValueError("no")

    for value in (None, 5, b"x", Odd()):
        series(TEMPLATE, name=value).record(1)
    backends.end()
    assert backends.sum_of("template") == 4
