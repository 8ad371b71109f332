# SPDX-License-Identifier: MPL-2.0
"""Two series never become one by accident: what would is told, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from metlog import MetlogClient, catalogue
from metlog.catalogue import Metric
from metlog.exceptions import ConfigError
from metlog.senders import OtlpSender, PrometheusSender, StatsdSender
from metlog.senders.prometheus import exposition
from metlog.testing import UdpReceiver

pytestmark = pytest.mark.usefixtures("patient", "nothing_declared")

VIEW = Metric("view.<view...>.<method>", "timer", "s", "A view.")
SOLD = Metric("shop.<what>.sold", "counter", "{item}", "Sold.")


def record_twice(client: MetlogClient, kind: Any, names: Iterable[str]) -> None:
    """Each name in two intervals; then close the client."""
    for _ in range(2):
        for name in names:
            handle: Any = client.series(kind, name)
            act = {"gauge": "set", "counter": "add"}.get(kind, "record")
            getattr(handle, act)(1)
        client.flush()
    client.close()


def scraped(do: Callable[[MetlogClient], object], **options: Any) -> list[str]:
    """The samples that Prometheus gets of it."""
    client = MetlogClient(PrometheusSender(**options), "x")
    do(client)
    text = exposition(client)[0].decode()
    client.close()
    return [
        line
        for line in text.splitlines()
        if not line.startswith("#") and "_created" not in line
    ]


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("page.name", 'a_total{page_name="home"} 3.0'),
        ("page-name", 'a_total{page_name="home"} 3.0'),
        ("Page_Name", 'a_total{page_name="home"} 3.0'),
        ("_page_name_", 'a_total{page_name="home"} 3.0'),
        ("pageName", 'a_total{page_name="home"} 3.0'),
        ("_le", 'a_total{page_name="home"} 3.0'),
        ("Quantile", 'a_total{page_name="home"} 3.0'),
        ("job.", 'a_total{page_name="home"} 3.0'),
        ("instance-", 'a_total{page_name="home"} 3.0'),
    ],
)
def test_labels_that_prometheus_cannot_tell_apart(
    label: str, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cleaned they are one, or its own: the one that is spelled so already stays, the
    value counts, and the other is told once."""

    def do(client: MetlogClient) -> None:
        for _ in range(3):
            client.incr("a", fields={label: "x", "page_name": "home"})

    assert scraped(do) == [kept]
    said = capsys.readouterr().err
    assert said.count("a label was left out") == 1
    assert repr(label) in said


def test_a_part_wins_over_a_field_that_is_cleaned_to_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where only Prometheus takes the two for one."""

    def do(client: MetlogClient) -> None:
        client.fields = {"What": "x", "env": "prod"}
        SOLD.series(client, what="bread").add(2)

    assert scraped(do) == ['shop_sold_total{env="prod",what="bread"} 2.0']
    assert "a label was left out" in capsys.readouterr().err


def test_labels_that_only_one_backend_cannot_have_are_kept_by_others(
    receiver: UdpReceiver,
) -> None:
    """Datadog has tags with dots."""
    client = MetlogClient(StatsdSender(port=receiver.port, dialect="dogstatsd"), "x")
    client.incr("a", fields={"page.name": "x", "page_name": "home"})
    client.close()
    assert receiver.wait_until(lambda r: bool(r.lines))
    assert receiver.lines == ["a:1|c|#page.name:x,page_name:home"]


@pytest.mark.parametrize(
    ("fields", "tags", "lost"),
    [
        ({"a b": 1, "a_b": 2}, "a_b:2", "a b"),
        ({"a_b": 2, "a b": 1}, "a_b:2", "a b"),
        ({"a|b": 1, "a:b": 2}, "a_b:2", "a|b"),
        ({"a\n": 1, "a\t": 2}, "a_:2", "a\n"),
        ({"a@b": 1, "a_b": 1}, "a_b:1", "a@b"),
        ({"a,b": "x", "a_b": "x"}, "a_b:x", "a,b"),
        ({"\ud800": 1, "?": 2}, "?:2", "\ud800"),
        ({1: "x", "1": "y"}, "1:y", None),
        ({"env ": "x", "env_": "y", "c": 1}, "c:1,env_:y", "env "),
        ({"a b": "", "a_b": 2}, "a_b:2", None),
        ({"a b": None, "a|b": 2}, "a_b:2", None),
        ({"a.b": 1, "a_b": 2, "A_b": 3}, "A_b:3,a.b:1,a_b:2", None),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["counter", "gauge", "timer"])
def test_labels_that_dogstatsd_cannot_tell_apart(
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
    kind: Any,
    fields: dict[Any, Any],
    tags: str,
    lost: str | None,
) -> None:
    """It would have two tags of one name, of which most readers take any: the one that
    is spelled so stays, and the other is told once."""
    with MetlogClient(StatsdSender(port=receiver.port, dialect="dogstatsd"), "x") as c:
        for _ in range(2):
            DO[kind](c, fields)
            c.flush()
    assert receiver.wait_until(lambda r: bool(r.lines))
    assert {line.partition("|#")[2] for line in receiver.lines} == {tags}
    said = capsys.readouterr().err
    assert said.count("a label was left out") == (lost is not None)
    assert lost is None or repr(lost) in said


DO: dict[str, Callable[..., object]] = {
    "counter": lambda client, fields=None: client.incr("shop.wait", fields=fields),
    "timer": lambda client, fields=None: client.timer_send(
        "shop.wait", 5, fields=fields
    ),
    "histogram": lambda client, fields=None: client.histogram(
        "shop.wait", 5, fields=fields
    ),
    "gauge": lambda client, fields=None: client.gauge("shop.wait", 5, fields=fields),
}


@pytest.mark.parametrize(
    ("dialect", "kinds", "told"),
    [
        ("dogstatsd", ("counter", "gauge"), True),
        ("dogstatsd", ("timer", "histogram"), True),
        ("dogstatsd", ("gauge", "timer"), True),
        ("dogstatsd", ("timer", "timer"), False),
        ("plain", ("timer", "histogram"), True),  # both are |ms
        ("plain", ("counter", "gauge"), False),
        ("plain", ("counter", "timer"), False),
    ],
)
def test_one_name_of_two_kinds_for_statsd(
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
    dialect: Any,
    kinds: tuple[str, str],
    told: bool,
) -> None:
    """Datadog has one type for a name; plain StatsD has several, but what is no time
    looks like one there. Told once."""
    client = MetlogClient(StatsdSender(port=receiver.port, dialect=dialect), "x")
    for _ in range(2):
        for kind in kinds:
            DO[kind](client)
    client.close()
    said = capsys.readouterr().err
    assert said.count("two metrics that backends cannot tell apart") == told
    assert ("'shop.wait'" in said) is told


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
@pytest.mark.parametrize("kind", ["gauge", "counter", "timer", "histogram"])
@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a.b", "a..b"), True),
        (("a..b", "a.b"), True),
        ((".a.b", "a.b", "a.b.", "a...b"), True),
        (("a b", "a_b"), True),
        (("a:b", "a|b"), True),
        (("a#b", "a@b", "a\nb"), True),
        (("\ud800", "?"), True),
        (("a..b", "a..b"), False),
        (("a.b", "a_b", "ab", "A.b"), False),
        (("a..b", "a..c"), False),
    ],
)
def test_two_names_that_statsd_has_as_one(
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
    dialect: Any,
    kind: Any,
    names: tuple[str, ...],
    told: bool,
) -> None:
    """A line has no empty segment, and none of the characters that part it: levels
    would overwrite each other, and counts add up. Told once, however many they are."""
    client = MetlogClient(StatsdSender(port=receiver.port, dialect=dialect), "x")
    record_twice(client, kind, names)
    said = capsys.readouterr().err
    assert said.count("two metrics that backends cannot tell apart") == told
    if told:
        assert repr(names[0]) in said
        assert repr(names[1]) in said


@pytest.mark.parametrize("dialect", ["plain", "dogstatsd"])
@pytest.mark.parametrize(
    "conflicts",
    [
        [("counter", "a b", "a_b"), ("timer", "c d", "c_d")],
        [("timer", "a b", "a_b"), ("counter", "a b", "a_b")],
        [("gauge", "a b", "a_b"), ("histogram", "c..d", "c.d")],
        [("counter", "a b", "a_b"), ("gauge", "c d", "c_d"), ("timer", "e f", "e_f")],
        [("timer", "a b", "a_b"), ("histogram", "c d", "c_d")],
        [("counter", "a b", "a_b"), ("counter", "c d", "c_d"), ("gauge", "e f", "e_f")],
    ],
)
def test_each_is_told_whatever_their_types(
    receiver: UdpReceiver,
    capsys: pytest.CaptureFixture[str],
    dialect: Any,
    conflicts: list[tuple[Any, str, str]],
) -> None:
    """Plain StatsD keeps types apart; what is told of one hides nothing of another."""
    client = MetlogClient(StatsdSender(port=receiver.port, dialect=dialect), "x")
    for _ in range(2):
        for kind, *names in conflicts:
            for name in names:
                handle: Any = client.series(kind, name)
                act = {"gauge": "set", "counter": "add"}.get(kind, "record")
                getattr(handle, act)(1)
        client.flush()
    client.close()
    said = capsys.readouterr().err
    expected = conflicts if dialect == "plain" else {name for _, name, _ in conflicts}
    assert said.count("two metrics that backends cannot tell apart") == len(expected)


def test_one_name_with_two_units_for_otlp(
    collector: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain name that is also the base of a declaration."""
    client = MetlogClient(OtlpSender(collector.url, interval=60), "x")
    for _ in range(2):
        SOLD.series(client, what="bread").add(1)
        client.incr("shop.sold")
    client.flush()
    client.close()
    said = capsys.readouterr().err
    assert said.count("two metrics that backends cannot tell apart") == 1
    assert "'shop.sold'" in said


@pytest.mark.parametrize("kind", ["gauge", "counter", "timer"])
@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a b", "a_b"), True),
        (("a:b", "a|b", "a\nb"), True),
        (("é", "ü"), True),
        (("m1a", "1a"), True),
        (("m_", "é"), True),
        (("\ud800.x", "?.x"), True),
        (("page.Höhe", "page.H_he"), True),
        (("x" * 255 + "a", "x" * 255 + "b"), True),
        (("a b", "A_B"), True),
        (("a b", "a b"), False),
        (("a.b", "a..b", "a_b", "a-b", "a/b"), False),
        (("é", "éé", "m"), False),
    ],
)
def test_two_names_that_otlp_has_as_one(
    collector: Any,
    capsys: pytest.CaptureFixture[str],
    kind: Any,
    names: tuple[str, ...],
    told: bool,
) -> None:
    """Its names are of few characters: levels would overwrite each other, and counts
    add up. Told once, with the names as they are."""
    client = MetlogClient(OtlpSender(collector.url, interval=60), "x")
    record_twice(client, kind, names)
    said = capsys.readouterr().err
    assert said.count("two metrics that backends cannot tell apart") == told
    if told:
        assert repr(names[0][:100]) in said
        assert repr(names[1][:100]) in said


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"x": 1}, {"x": "1"}, True),
        ({"x": 2.5}, {"x": "2.5"}, True),
        ({"x": True}, {"x": "True"}, True),
        ({"x": "\ud800"}, {"x": "?"}, True),
        ({"x": 1}, {"X": 1}, True),
        ({"x-y": 1}, {"x.y": 1}, True),
        ({"userAgent": 1}, {"user_agent": 1}, True),
        ({"é": 1}, {"本": 1}, True),
        ({"x": 1, "_le": 2}, {"x": 1}, True),
        ({"x": 1, "x.": 2}, {"x": 1, "x.": 3}, True),
        ({"x": "a b"}, {"x": "a_b"}, False),
        ({"x": 1}, {"x": 2}, False),
        ({"x": 1}, {"x": True}, False),
        ({"x": 1}, {"y": 1}, False),
        ({"x": ""}, {"y": None}, False),
        ({}, {"x": 1}, False),
    ],
    ids=str,
)
def test_gauges_that_prometheus_has_as_one_are_told_once(
    capsys: pytest.CaptureFixture[str],
    one: dict[str, Any],
    other: dict[str, Any],
    told: bool,
) -> None:
    """Their labels are written alike, so they overwrite each other. Counters add up."""

    def do(client: MetlogClient) -> None:
        for fields in one, other, one, other:
            client.gauge("level", 1, fields=fields)
            client.incr("hits", fields=fields)
            client.updown("open", 1, fields=fields)
            client.flush()
        client.gauge("level", 1, fields={"x": "another"})

    scraped(do)
    said = capsys.readouterr().err
    assert said.count("gauges whose labels are written alike are one") == told
    assert said.count("level{") == told
    assert "hits" not in said
    assert "open" not in said


def test_two_bases_that_become_one_name_for_prometheus(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The second is dropped and counted, and told once; kinds do not mix either."""
    sender = PrometheusSender()
    client = MetlogClient(sender, "x")
    for _ in range(3):
        client.incr("shop.cart")
        client.incr("shop-cart", 10)
        client.gauge("shop.cart.total", 5)
    text = exposition(client)[0].decode()
    assert "shop_cart_total 3.0" in text
    assert "10.0" not in text
    assert "5.0" not in text
    assert (sender.stats.sent, sender.stats.dropped) == (3, 6)
    client.close()
    said = capsys.readouterr().err
    assert said.count("two metrics have the same name") == 2
    assert said.count("'shop-cart'") == said.count("'shop.cart.total'") == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            Metric("a.<x>.b", "counter", "{item}", "A.", base="a"),
            Metric("a.<y>.b", "counter", "{item}", "A.", base="a"),
        ),
        (
            Metric("a.<x>.b", "counter", "{item}", "A.", base="a"),
            Metric("a.<x>.c", "gauge", "{item}", "A.", base="a"),
        ),
        (
            Metric("a.<x>.b", "counter", "{item}", "A.", base="a"),
            Metric("a.<x>.c", "counter", "By", "A.", base="a"),
        ),
    ],
)
def test_declarations_of_one_base_that_differ(first: Metric, second: Metric) -> None:
    """Label sets, kinds and units: said where it is declared, before anything is."""
    with pytest.raises(ConfigError, match="expected one kind, unit and set of labels"):
        catalogue.declare(first, second)
    assert list(catalogue.metrics()) == []


@pytest.mark.parametrize("backend", ["dogstatsd", "otlp", "prometheus"])
def test_each_conflict_is_told(
    receiver: UdpReceiver,
    collector: Any,
    capsys: pytest.CaptureFixture[str],
    backend: str,
) -> None:
    """Also those that come within a minute of another, up to what anybody reads."""
    sender: Any = {
        "dogstatsd": lambda: StatsdSender(port=receiver.port, dialect="dogstatsd"),
        "otlp": lambda: OtlpSender(collector.url, interval=60),
        "prometheus": PrometheusSender,
    }[backend]()
    client = MetlogClient(sender, "x")
    for number in range(100):
        client.gauge(f"shop.{number}x", 1)
        client.updown(f"shop.{number}x", 1)
        client.timer_send(f"shop.{number}x.seconds", 1)
        client.histogram(f"shop.{number}x.seconds", 1)
    client.flush()
    if backend == "prometheus":
        exposition(client)
    client.close()
    said = capsys.readouterr().err
    told = [line for line in said.splitlines() if "two metrics" in line]
    assert "shop.0x" in said
    assert "shop.5x" in said
    assert 10 < len(told) < 30
