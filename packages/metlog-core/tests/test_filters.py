# SPDX-License-Identifier: MPL-2.0
"""Filters, each made by its provider."""

from __future__ import annotations

from typing import Any

import pytest

from metlog import SEVERITY, MetlogClient
from metlog.capture import collecting
from metlog.exceptions import ConfigError
from metlog.filters import (
    Filter,
    severity_max_provider,
    type_blacklist_provider,
    type_severity_max_provider,
    type_whitelist_provider,
)
from metlog.message import Message
from metlog.senders import DebugCaptureSender, StatsdSender
from metlog.testing import UdpReceiver, capture


def passing(*filters: Filter) -> list[tuple[str, int]]:
    """What of three types and all severities passes, as (type, severity)."""
    client = MetlogClient(None, "app", filters=filters)
    with capture() as sent:
        for kind in ("foo", "bar", "baz"):
            for severity in SEVERITY:
                client.metlog(kind, severity=severity)
    return [(msg["type"], msg["severity"]) for msg in sent]


def test_severity_max() -> None:
    """Lets that severity pass, and the worse ones, which have lower numbers."""
    passed = passing(severity_max_provider(SEVERITY.ERROR))
    assert passed == [(kind, s) for kind in ("foo", "bar", "baz") for s in range(4)]


@pytest.mark.parametrize(
    "types", ["foo", ["foo"], ("foo",), {"foo", "fo"}, "foo fo", "fo,\tfoo,"]
)
def test_type_lists(types: Any) -> None:
    """One type may be a text; it is a name, not letters to look for."""
    assert {kind for kind, _ in passing(type_whitelist_provider(types))} == {"foo"}
    passed = passing(type_blacklist_provider(types))
    assert {kind for kind, _ in passed} == {"bar", "baz"}


def test_severity_max_by_type() -> None:
    """Types that are not named pass."""
    limits = {"foo": {"severity": 1}, "bar": {"severity": 0}}
    passed = passing(type_severity_max_provider(limits))
    assert [pair for pair in passed if pair[0] != "baz"] == [
        *(("foo", 0), ("foo", 1), ("bar", 0))
    ]
    assert len(passed) == 3 + 8


def test_the_configuration_of_a_filter_is_not_changed() -> None:
    """metlog-py put functions into the dict it was given."""
    limits = {"foo": {"severity": 1}}
    type_severity_max_provider(limits)
    assert limits == {"foo": {"severity": 1}}


def test_all_filters_must_agree() -> None:
    """In their order; the first to say no is the last to be asked."""
    asked: list[str] = []

    def note(msg: Message) -> bool:
        asked.append(msg["type"])
        return True

    passed = passing(type_whitelist_provider("foo"), note, severity_max_provider(0))
    assert passed == [("foo", 0)]
    assert set(asked) == {"foo"}


def test_a_filter_that_fails_drops_the_message() -> None:
    """It may be there to keep secrets in. The client counts, and goes on."""

    def broken(msg: Message) -> bool:
        raise RuntimeError("broken")

    sender = DebugCaptureSender()
    client = MetlogClient(sender, "app", filters=[broken])
    client.incr("hits")
    assert not sender.msgs
    assert client.stats.errors == 1


@pytest.mark.parametrize(
    ("change", "line"),  # the changes return nothing, or something false
    [
        (lambda msg: msg["fields"].update(user="***"), "n:2|c|#user:***"),
        (lambda msg: msg["fields"].__setitem__("user", "x"), "n:2|c|#user:x"),
        (lambda msg: msg["fields"].pop("user") == "", "n:2|c"),
        (lambda msg: msg["fields"].__delitem__("user"), "n:2|c"),
        (lambda msg: msg.update(fields={"name": "n"}), "n:2|c"),
        (lambda msg: msg["fields"].update(name="m", user=""), "m:2|c"),
        (lambda msg: msg["fields"].update(user=None), "n:2|c"),
        (
            lambda msg: msg["fields"].update(user="joe", rate=0.5),
            "n:2|c|@0.5|#user:joe",
        ),
        (lambda msg: msg.update(payload="3"), "n:3|c|#user:joe"),
        (lambda msg: msg.update(type="gauge"), "n:2|g|#user:joe"),
        (lambda msg: msg["fields"].setdefault("a", "b") == "", "n:2|c|#a:b,user:joe"),
    ],
)
@pytest.mark.parametrize("by", ["call", "handle"])
def test_what_a_filter_changes_is_sent_as_changed(
    change: Any, line: str, by: str
) -> None:
    """In place or not: it may be there to take secrets out. Collectors see it so, too,
    and the caller's fields stay as they were."""
    fields, seen = {"user": "joe"}, []
    with UdpReceiver() as receiver, collecting(seen.append):
        sender = StatsdSender("127.0.0.1", receiver.port, dialect="dogstatsd")
        client = MetlogClient(sender, "app", filters=[lambda msg: not change(msg)])
        if by == "call":
            client.incr("n", 2, fields=fields)
        else:
            client.series("counter", "n", fields).add(2)
        client.close()
        assert receiver.catch_up()
    assert receiver.lines == [line]
    assert ("joe" in seen[0].fields.values()) == ("joe" in line)
    assert fields == {"user": "joe"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: severity_max_provider("loud"),
            "expected 0 .* 7 .*, got 'loud'",
        ),  # type: ignore[arg-type]
        (lambda: severity_max_provider(True), "severity"),
        (lambda: severity_max_provider(8), "severity"),
        (lambda: type_whitelist_provider(5), "types: expected names"),  # type: ignore[arg-type]
        (lambda: type_blacklist_provider(b"x"), "types: expected names"),  # type: ignore[arg-type]
        (lambda: type_severity_max_provider(["a"]), "types: "),  # type: ignore[arg-type]
        (lambda: type_severity_max_provider({"a": 5}), "types: .*'a': 5"),  # type: ignore[dict-item]
        (lambda: type_severity_max_provider({"a": {"severity": 9}}), "severity"),
    ],
)
def test_wrong_options_are_refused(make: Any, said: str) -> None:
    """When the filter is made, not when the first message comes."""
    with pytest.raises(ConfigError, match=said):
        make()
