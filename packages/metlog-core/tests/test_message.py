# SPDX-License-Identifier: MPL-2.0
"""Messages and their JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog import MetlogClient
from metlog.message import Context, Message, add_context, remove_context, rfc3339
from metlog.metrics import KINDS, Measured, from_message, why_invalid
from metlog.senders import DebugCaptureSender
from metlog.wire.text import as_text, encodable, log_text, to_json


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000000Z"),
        (1_700_000_000.5, "2023-11-14T22:13:20.500000Z"),
        (0.000001, "1970-01-01T00:00:00.000001Z"),
    ],
)
def test_timestamps(seconds: float, text: str) -> None:
    """RFC 3339 in UTC, always with six digits and a ``Z``."""
    assert rfc3339(seconds) == text


@given(st.lists(st.floats(0, 4e9) | st.sampled_from([5.9999996, 6.0, 0.9999995, 1e9])))
def test_timestamps_are_those_of_datetime(moments: list[float]) -> None:
    """Whichever came before: the text of a second is kept for the next call."""
    for seconds in moments:
        for moment in (seconds, seconds + 1e-6, seconds + 0.3):
            stamp = datetime.fromtimestamp(moment, UTC)
            assert rfc3339(moment) == stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Untellable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unloadable:
    """Like Django's ``request.user`` while its database is away: even ``isinstance``
    raises."""

    @property
    def __class__(self) -> type:
        raise OSError("the database is away")

    def __str__(self) -> str:
        raise OSError("the database is away")


class UnloadableDict(dict[str, Any]):
    def items(self) -> Any:
        raise OSError("the database is away")


class UnloadableList(list[Any]):
    def __iter__(self) -> Any:
        raise OSError("the database is away")


class Incomparable(float):
    def __lt__(self, other: object) -> bool:
        raise OSError("no order")

    __gt__ = __lt__


class Unnamed(type):
    @property
    def __name__(cls) -> str:
        raise OSError("no name")


class Nameless(metaclass=Unnamed):
    def __str__(self) -> str:
        raise OSError("no text")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers()
    | st.builds(object)
    | st.builds(Untellable)
    | st.builds(Unloadable)
    | st.builds(lambda: Nameless())  # Hypothesis would ask for its name
    | st.builds(UnloadableDict, st.just({"a": 1}))
    | st.builds(UnloadableList, st.just([1]))
    | st.builds(Incomparable, st.floats())
    | st.builds(lambda: 10**5000)
    | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(
            st.text() | st.integers() | st.binary() | st.none() | st.tuples(st.text()),
            inner,
        )
        | st.frozensets(st.text() | st.integers())
    ),
    max_leaves=20,
)


@given(anything)
def test_everything_becomes_json(value: object) -> None:
    """One line of ASCII that any JSON parser reads, never an exception."""
    text = to_json(value)
    read = json.loads(text, parse_constant=pytest.fail)
    json.dumps(read, ensure_ascii=False).encode()  # no lone surrogate
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("no r\udce9sum\udce9.txt", "no r?sum?.txt"),  # as os.fsdecode has it
        ("\ud800", "?"),
        ("a\udfff", "a?"),
        ("\ud83d\ud83d", "??"),
        ("\ude00\ud83d b", "?? b"),
        ("\ud800\U0001f600\udc00", "?\U0001f600?"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\U0010ffff \ud7ff \ue000 \uffff", "\U0010ffff \ud7ff \ue000 \uffff"),
        ("\\ud800", "\\ud800"),
        ("\\\ud800", "\\?"),
        ("\\\\ud83d\\ude00", "\\\\ud83d\\ude00"),
        ('"\ud800"\n\x00', '"?"\n\x00'),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_has_no_lone_surrogate(text: str, read: str, indent: int | None) -> None:
    """As elsewhere on the wire it is ``?``, in keys, too: jq, Vector and DuckDB would
    refuse the line, and DuckDB with it the whole file."""
    value = {"text": [text], text: 1, "odd": {(text,): text}}
    found = to_json(value, indent)
    assert json.loads(found)["text"] == [read]
    assert read in json.loads(found)
    assert found.isascii()
    json.dumps(json.loads(found), ensure_ascii=False).encode()
    assert json.loads(to_json({"text": text}, indent)) == {"text": read}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_what_json_has_a_form_for_keeps_it(value: object) -> None:
    """Nothing is changed that need not be."""
    assert json.loads(to_json(value)) == value


def test_what_json_has_no_form_for_becomes_text() -> None:
    """Bytes are decoded, odd keys are texts, and a cycle ends somewhere."""
    cycle: dict[str, Any] = {"a": 1}
    cycle["self"] = cycle
    odd = {
        "bytes": b"h\xc3\xa4h \xff",
        "nan": float("nan"),
        "set": {1},
        ("a", 1): None,
        b"k": [10**400],
    }
    assert json.loads(to_json(odd)) == {
        "bytes": "häh \ufffd",
        "nan": "nan",
        "set": [1],
        "('a', 1)": None,
        "k": [str(10**400)],
    }
    assert json.loads(to_json(cycle))["self"]["self"]["a"] == 1
    assert to_json(Untellable()) == '"<Untellable without text>"'


@given(anything, st.lists(anything).map(tuple), anything)
def test_everything_can_be_logged(msg: object, args: Any, exc_info: object) -> None:
    """The text of a log call is made of whatever it is given, never an exception."""
    assert isinstance(log_text(msg, args, exc_info), str)


def test_what_cannot_be_loaded_is_told_by_its_class() -> None:
    """The rest of a message, and of a log line, is not lost with it."""
    assert json.loads(to_json({"user": Unloadable(), "nan": float("nan")})) == {
        "user": "<Unloadable without text>",
        "nan": "nan",
    }
    assert log_text("no %s", (Unloadable(),), None).startswith("no %s ")
    assert log_text("no", (), Unloadable()) == "no\n<Unloadable without text>"
    assert as_text(Nameless()) == "<Nameless without text>"


class Phrase(str, Enum):  # noqa: UP042  # as many sites have it
    GREETING = "hello %s"


def test_a_text_of_an_enum_is_logged_as_its_text() -> None:
    """As it is a label: not as ``Phrase.GREETING``."""
    assert log_text(Phrase.GREETING, ("you",), None) == "hello you"
    assert log_text(Phrase.GREETING, (), None) == "hello %s"


@given(st.text(st.characters()))
def test_any_text_can_be_made_encodable(text: str) -> None:
    """Lone surrogates become ``?``; all else stays."""
    found = encodable(text)
    assert found.encode().decode() == found
    assert len(found) == len(text)
    if not re.search("[\ud800-\udfff]", text):
        assert found == text


@given(st.text() | st.binary() | st.integers(-(10**50), 10**50))
def test_as_text(value: object) -> None:
    """Text stays as it is."""
    assert isinstance(as_text(value), str)
    if isinstance(value, str):
        assert as_text(value) == value


# -- what may be measured --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "rate", "why"),
    [
        ("a", 1, 1.0, None),
        ("a", -1.5, 0, None),
        ("a", 0, 5, None),
        ("", 1, 1.0, "name is not text"),
        (b"a", 1, 1.0, "name is not text"),
        (None, 1, 1.0, "name is not text"),
        ("a", "1", 1.0, "value is not a number"),
        ("a", None, 1.0, "value is not a number"),
        ("a", True, 1.0, "value is not a number"),
        ("a", float("nan"), 1.0, "value is not finite"),
        ("a", float("-inf"), 1.0, "value is not finite"),
        ("a", 10**400, 1.0, "value is not finite"),
        ("a", 1, "1", "rate is not a number"),
        ("a", 1, None, "rate is not a number"),
        ("a", 1, True, "rate is not a number"),
        ("a", 1, -0.1, "rate is negative or NaN"),
        ("a", 1, float("nan"), "rate is negative or NaN"),
    ],
)
def test_what_is_no_measurement(name: Any, value: Any, rate: Any, why: str) -> None:
    """One check for counters, timers, gauges and levels."""
    assert why_invalid("gauge", name, value, rate) == why


def message(**changes: Any) -> Message:
    return {
        "type": "counter",
        "timestamp": rfc3339(0),
        "logger": "app",
        "severity": 6,
        "payload": "1",
        "fields": {"name": "a", "rate": 0.5, "page": "home"},
        "env_version": "0.8",
        "metlog_pid": 1,
        "metlog_hostname": "h",
        **changes,
    }  # type: ignore[typeddict-item]  # that is what is tested


def test_a_message_tells_what_was_measured() -> None:
    """Whole numbers stay whole; the message is not changed."""
    msg = message(payload="5")
    measured = Measured("counter", "a", 5, 0.5, {"page": "home"})
    assert from_message(msg) == measured
    assert msg == message(payload="5")
    assert from_message(message(type="gauge", payload="-2.5")).value == -2.5
    assert from_message(message(fields={"name": "a"})).rate == 1.0


@given(
    st.sampled_from([*KINDS, "note"]),
    st.text() | st.integers() | st.none() | st.sampled_from(["1", "nan", "1e999"]),
    st.dictionaries(
        st.sampled_from(["name", "rate", "x"]), st.none() | st.text() | st.floats()
    ),
)
def test_any_message_is_a_measurement_or_a_value_error(
    kind: str, payload: Any, fields: Any
) -> None:
    """Filters change messages, and anybody may make them."""
    try:
        measured = from_message(message(type=kind, payload=payload, fields=fields))
    except ValueError as error:
        assert len(str(error)) < 200  # noqa: PT017  # either is fine
    else:
        assert why_invalid(*measured[:4]) is None


@pytest.fixture
def in_context() -> Iterator[Callable[[Context], None]]:
    """Adds to every message's context, until the test ends."""
    added = []

    def add(tell: Context) -> None:
        add_context(tell)
        added.append(tell)

    yield add
    for tell in added:
        remove_context(tell)


def fields_of(send: Callable[[MetlogClient], object]) -> dict[str, Any]:
    sender = DebugCaptureSender()
    send(MetlogClient(sender, "context"))
    fields: dict[str, Any] = json.loads(sender.msgs[-1])["fields"]
    return fields


def test_messages_have_fields_of_the_code_that_sends(in_context: Any) -> None:
    """What they were given themselves wins, and metrics are not asked about."""
    in_context(lambda: {"request_id": "a", "kind": "none"})
    in_context(lambda: {"trace_id": "b"})
    both = {"request_id": "a", "trace_id": "b"}
    assert fields_of(lambda client: client.metlog("sold", fields={"kind": "book"})) == {
        **both,
        "kind": "book",
    }
    assert fields_of(lambda client: client.info("old")) == {**both, "kind": "none"}
    assert fields_of(lambda client: client.incr("n")) == {"name": "n", "rate": 1.0}


def test_a_context_that_fails_tells_nothing(in_context: Any) -> None:
    """The message goes out with what there is."""
    in_context(lambda: 1 / 0)
    in_context(lambda: None)
    in_context(lambda: {"request_id": "a"})
    assert fields_of(lambda client: client.metlog("sold")) == {"request_id": "a"}


def test_a_context_is_asked_once_and_no_longer_than_wanted() -> None:
    """Adding it twice is as good as once; removing it twice, too."""
    asked = []

    def tell() -> dict[str, Any]:
        asked.append(1)
        return {}

    add_context(tell)
    add_context(tell)
    fields_of(lambda client: client.metlog("sold"))
    remove_context(tell)
    remove_context(tell)
    fields_of(lambda client: client.metlog("sold"))
    assert len(asked) == 1
