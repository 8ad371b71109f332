# SPDX-License-Identifier: MPL-2.0
"""What a newcomer writes into ``METLOG`` instead, and the line that each is told."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from django.conf import settings

from django_metlog import checks
from metlog import MetlogClient
from metlog.config import client_from_dict_config
from metlog.senders import NoSendSender, StdOutSender

NAME = "metlog.senders.NoSendSender"
NO_SEND = {"class": NAME}
LINE = "METLOG = {'sender': {'class': 'metlog.senders.NoSendSender'}}"
PART = "write 'sender': {'class': 'metlog.senders.NoSendSender'"


class Other:
    """A sender of a site's own."""

    def send_message(self, msg: object) -> None:
        raise NotImplementedError


def told(monkeypatch: pytest.MonkeyPatch, value: object) -> list[tuple[str, str]]:
    monkeypatch.setattr(settings, "METLOG", value, raising=False)
    return [(str(one.id), f"{one.msg} {one.hint}") for one in checks.check()]


REFUSED: list[tuple[object, str]] = [
    # No dict at all.
    (NAME, LINE),
    ("NoSendSender", LINE),
    ("nosend", LINE),
    (NoSendSender, LINE),
    (NoSendSender(), "write METLOG = MetlogClient(NoSendSender(…), 'mysite')"),
    (Other, "{'class': 'test_metlog_dict.Other'}"),
    (({"sender": NO_SEND},), "write only what is in it, without the comma after it"),
    ([{"sender": NO_SEND}], "write only what is in it."),
    ("udp://localhost:8125", "such as {'sender': {'class':"),
    (None, "such as {'sender': {'class':"),
    (True, "such as {'sender': {'class':"),
    (MetlogClient, "such as {'sender': {'class':"),
    # No sender where it belongs.
    ({}, "METLOG = {'sender': {'class': 'metlog.senders.StatsdSender'}}"),
    (NO_SEND, LINE),
    ({"BACKEND": NAME}, LINE),
    ({"default": {"BACKEND": NAME}}, LINE),
    ({"SENDER": {"CLASS": NAME}}, LINE),
    ({"senders": NO_SEND}, LINE),
    (
        {"class": NAME, "host": "a"},
        "{'class': 'metlog.senders.NoSendSender', 'host': …}",
    ),
    ({"sender": None}, "METLOG = {'sender': {'class':"),
    ({1: 2}, "METLOG = {'sender': {'class':"),
    # A sender that is no dict, or one of something else.
    ({"sender": NAME}, PART + "}"),
    ({"sender": "nosend"}, PART + "}"),
    ({"sender": "NO_SEND"}, "write 'sender': {'class': "),
    ({"sender": NoSendSender}, PART + "}"),
    ({"sender": NoSendSender()}, PART + ", …}"),
    ({"sender": [NO_SEND]}, "'metlog.senders.FanOutSender', 'routes': [{'sender'"),
    ({"sender": {"BACKEND": NAME}}, PART + "}"),
    ({"sender": {"CLASS": NAME, "port": 1}}, PART + ", 'port': …}"),
    ({"sender": {"host": "a"}}, "{'class': 'metlog.senders.StatsdSender', 'host': …}"),
    # What its class is not, or does not take.
    ({"sender": {"class": None}}, "dotted name of a sender class, got None "),
    ({"sender": {"class": "NoSendSender"}}, f"did you mean {NAME!r}?"),
    ({"sender": {"class": "metlog.senders.NoSendsender"}}, f"did you mean {NAME!r}?"),
    (
        {"sender": {"class": "metlog.senders.StatsdSender", "HOST": "a"}},
        "did you mean 'host'?",
    ),
    (
        {"sender": {"class": "metlog.senders.StatsdSender", "OPTIONS": {"host": "a"}}},
        "put what is in there beside 'class'",
    ),
    (
        {"sender": {"class": "metlog.senders.StatsdSender", "prefx": "web"}},
        "did you mean 'prefix'?",
    ),
    (
        {"sender": {"class": "metlog.senders.StatsdSender", "host": "stats:8125"}},
        "without port",
    ),
    # Two that differ.
    (
        {"sender": NO_SEND, "sender_class": "metlog.senders.StatsdSender"},
        "expected the option here or as 'class' in 'sender', got both, which differ",
    ),
    ({"LOGGER": "mysite"}, "got 'LOGGER'; did you mean 'logger'?"),
]


@pytest.mark.parametrize(("value", "line"), REFUSED, ids=ascii)
def test_what_cannot_work_gets_the_line_to_write(
    monkeypatch: pytest.MonkeyPatch, value: object, line: str
) -> None:
    """An error, with what was expected, what came, and what to write."""
    line = line.replace("test_metlog_dict", __name__)
    ((check, text),) = told(monkeypatch, value)
    assert check == "django_metlog.E001"
    # A class says more of itself than a text may be long here.
    assert line in f"{text} ."


IGNORED: list[tuple[str, object, str]] = [
    ("host", "stats", "{'class': 'metlog.senders.StatsdSender', 'host': …}"),
    ("HOST", "stats", "{'class': 'metlog.senders.StatsdSender', 'host': …}"),
    ("prefix", "web", "{'class': 'metlog.senders.StatsdSender', 'prefix': …}"),
    ("patches", ["django_metlog.patches.db"], "METLOG_PATCHES = …"),
    ("exclude", ["^/health$"], "METLOG_EXCLUDE = …"),
    ("tags", {"env": "prod"}, "METLOG = {'fields': …}"),
    ("rules", [], "METLOG = {'metrics': …}"),
    ("version", 1, "METLOG takes sender, logger, severity,"),
    ("enabled", True, "METLOG takes sender, logger, severity,"),
]


@pytest.mark.parametrize(("key", "value", "line"), IGNORED)
@pytest.mark.parametrize("made", [dict, client_from_dict_config])
def test_what_is_ignored_is_told(
    monkeypatch: pytest.MonkeyPatch, made: Any, key: str, value: object, line: str
) -> None:
    """With ``host`` in the wrong place everything would go to this machine."""
    sender = {"class": "metlog.senders.StatsdSender"}
    ((check, text),) = told(monkeypatch, made({"sender": sender, key: value}))
    assert check == "django_metlog.W019"
    assert f"has {key!r}, which no client takes: it is ignored." in text
    assert line in text
    settings.METLOG.close()


@pytest.mark.parametrize(
    "value",
    [
        {"sender": NO_SEND},
        {"sender": {"class": NoSendSender}},
        {"sender_class": NAME, "global_a": 1, "global": {"b": 2}},
        {"sender": NO_SEND, "logger": None, "fields": {"env": "prod"}, "metrics": []},
        MetlogClient(StdOutSender(), "mysite"),
        MetlogClient(None, ""),
    ],
    ids=ascii,
)
def test_what_works_is_not_told(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    """All that `client_from_dict_config` takes, and clients made by hand."""
    assert told(monkeypatch, value) == []


def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line to write has names of options, and not what they are."""
    sender = {"BACKEND": NAME, "headers": {"authorization": "s3cret"}}
    ((_, text),) = told(monkeypatch, {"sender": sender})
    assert "'headers': …" in text
    assert "s3cret" not in text


OTLP = {"class": "metlog.senders.OtlpSender", "headers": {"x-team": "s3cret"}}
FAN_OUT = "metlog.senders.FanOutSender"


@pytest.mark.parametrize(
    "value",
    [
        [{"sender": OTLP}],
        ({"sender": OTLP},),
        [[{"sender": OTLP}]],
        {"sender": [OTLP]},
        {"sender": (OTLP, OTLP)},
        {"sender": {"class": FAN_OUT, "routes": OTLP}},
        {"sender": {"class": FAN_OUT, "routes": [OTLP]}},
        {"sender": {"class": FAN_OUT, "routes": [{"sender": [OTLP]}]}},
        {"sender": NO_SEND, "plugins": [{"token": "s3cret"}]},
        {"sender": NO_SEND, "plugins": {"a": {"token": "s3cret"}}},
        {"sender": NO_SEND, "filters": [{"token": "s3cret"}]},
        "otlp://user:s3cret@collector:4318",
        ["https://user:s3cret@collector:4318"],
    ],
    ids=count(),
)
def test_no_secret_is_told_of_what_is_misplaced(
    monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    """Of a dict where none belongs, or where another belongs, there are the keys."""
    ((check, text),) = told(monkeypatch, value)
    assert check == "django_metlog.E001"
    assert "s3cret" not in text
