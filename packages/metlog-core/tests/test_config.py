# SPDX-License-Identifier: MPL-2.0
"""Clients from dicts, INI text and INI streams."""

from __future__ import annotations

import errno
import inspect
import io
import json
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metlog import MetlogClient, senders
from metlog._registry import CLIENT_HOLDER
from metlog.config import (
    client_from_dict_config,
    client_from_stream_config,
    client_from_text_config,
    dict_from_stream_config,
    nest_prefixes,
)
from metlog.exceptions import (
    ConfigError,
    EnvironmentNotFoundError,
    MethodNotFoundError,
)
from metlog.message import Message
from metlog.senders import DebugCaptureSender
from metlog.wire.text import outline

CAPTURE = "metlog.senders.DebugCaptureSender"


@pytest.fixture(autouse=True)
def _global_config() -> Iterator[None]:
    before = CLIENT_HOLDER.global_config
    CLIENT_HOLDER.global_config = dict(before)
    yield
    CLIENT_HOLDER.global_config = before


@pytest.fixture(autouse=True)
def _module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Providers of our own, in a module that can be imported."""
    (tmp_path / "providers_of_a_test.py").write_text(PROVIDERS)
    monkeypatch.syspath_prepend(tmp_path)


PROVIDERS = """
class Sender:
    def __init__(self, *args, **options):
        self.args, self.options = args, options
    def send_message(self, msg): ...

def greet(config):
    greeting = config["greeting"]
    def method(self, whom):
        return f"{self.logger}: {greeting} {whom}"
    method.metlog_name = "greet"
    return method

def incr(config):
    def method(self, *args): return "mine"
    method.metlog_name = "incr"
    return method

def no_method(config):
    return None

def no_sender():
    return 5

def fails(**options):
    raise KeyError("oh no")
"""


def options(ini: str) -> dict[str, Any]:
    """What a sender would get that is configured so."""
    text = f"[metlog]\nsender_class = providers_of_a_test.Sender\n{ini}"
    sender: Any = client_from_text_config(text, "metlog").sender
    found: dict[str, Any] = sender.options
    return found


# -- what INI text means ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123", 123),
        ("-1", -1),
        ("0", 0),
        ("True", True),
        ("t", True),
        ("Yes", True),
        ("on", True),
        ("false", False),
        ("F", False),
        ("no", False),
        ("OFF", False),
        ("text", "text"),
        ("0.5", "0.5"),
        ("007", "007"),
        ("1_000", "1_000"),
        ("127.0.0.1", "127.0.0.1"),
        ("99999999999999999999999999", "99999999999999999999999999"),
        ("", ""),
        ('""', ""),
        ("a ; comment", "a"),
        ("a;b", "a;b"),
        ("a # b", "a # b"),
        ("foo\n  bar", ["foo", "bar"]),
        ("\n  foo\n\n  bar\n", ["foo", "bar"]),
        ("true\n  7\n  x", [True, 7, "x"]),
    ],
)
def test_values_of_options(text: str, value: object) -> None:
    """Whole numbers and words for yes and no are converted; lines make a list."""
    assert options(f"sender_option = {text}\n") == {"option": value}
    assert type(options(f"sender_option = {text}\n")["option"]) is type(value)


@pytest.mark.parametrize("name", ["host", "hosts", "db_host", "prefix", "filepath"])
@pytest.mark.parametrize("text", ["12", "on", "0"])
def test_what_is_a_text_by_nature_stays_one(name: str, text: str) -> None:
    """A host that looks like a number is a host; metlog-py made an int of it."""
    assert options(f"sender_{name} = {text}") == {name: text}
    assert options(f"sender_{name} = {text}\n {text}") == {name: [text, text]}


def test_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """``${NAME}``, anywhere in a value; the value is converted then."""
    monkeypatch.setenv("A_PORT", "8125")
    monkeypatch.setenv("A_HOST", "stats")
    monkeypatch.setenv("A_PERCENT", "%(x)s ${A_HOST}")
    ini = """
sender_port = ${A_PORT}
sender_url = udp://${A_HOST}:${A_PORT}/
sender_list = ${A_HOST}
              b
sender_raw = ${A_PERCENT}
sender_dollar = $A_HOST {A_HOST}
"""
    assert options(ini) == {
        "port": 8125,
        "url": "udp://stats:8125/",
        "list": ["stats", "b"],
        "raw": "%(x)s ${A_HOST}",
        "dollar": "$A_HOST {A_HOST}",
    }


def test_environment_variables_in_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    """At any depth. What was written, not what it became, is in ``_config``."""
    monkeypatch.setenv("A_NAME", "secret")
    config = {
        "logger": "${A_NAME}",
        "sender": {"class": CAPTURE, "list": ["x${A_NAME}", ("${A_NAME}", 5)]},
    }
    client = client_from_dict_config(config)
    assert client.logger == "secret"
    assert client.sender.list == ["xsecret", ("secret", 5)]  # type: ignore[attr-defined]
    assert "secret" not in str(client._config)


def test_options_may_refer_to_options() -> None:
    """``%(name)s``, as ever in INI files; ``%%`` is a ``%``."""
    text = "base = /var\nsender_filepath = %(base)s/log\nsender_x = 100%%"
    assert options(text) == {"filepath": "/var/log", "x": "100%"}


def test_a_stream_is_read_like_a_text(tmp_path: Path) -> None:
    """An open file, or anything that gives lines."""
    path = tmp_path / "metlog.ini"
    path.write_text(f"[app]\nlogger = x\nsender_class = {CAPTURE}\n")
    with path.open() as stream:
        assert client_from_stream_config(stream, "app").logger == "x"
    lines = io.StringIO(path.read_text())
    assert dict_from_stream_config(lines, "app") == {
        "logger": "x",
        "sender_class": CAPTURE,
        "sender": {"class": CAPTURE},
        "filters": [],
        "plugins": {},
    }


def test_all_of_an_ini_file() -> None:
    """Everything a file can say, in one."""
    client = client_from_text_config(
        f"""
        [metlog]
        logger = app
        severity = 4
        disabled_timers = foo
                          7
        sender_class = {CAPTURE}
        sender_colour = red
        global_disabled_decorators = incr_count
        enabled = true
        [metlog_filter_sev]
        provider = metlog.filters.severity_max_provider
        severity = 5
        [metlog_filter_types]
        provider = metlog.filters:type_whitelist_provider
        types = timer
                oldstyle
        [metlog_plugin_greeting]
        provider = providers_of_a_test:greet
        greeting = hello
        [other]
        logger = other
        """,
        "metlog",
    )
    assert (client.logger, client.severity) == ("app", 4)
    for name in ("foo", "7", "bar"):
        with client.timer(name):
            pass
    client.incr("no such type")
    client.debug("too much")
    assert isinstance(client.sender, DebugCaptureSender)
    sent = [json.loads(text) for text in client.sender.msgs]
    assert [msg["fields"]["name"] for msg in sent] == ["bar"]
    assert client.sender.colour == "red"  # type: ignore[attr-defined]
    assert client.greet("you") == "app: hello you"  # type: ignore[attr-defined]
    assert CLIENT_HOLDER.global_config["disabled_decorators"] == "incr_count"


# -- what a dict means -----------------------------------------------------------------


def test_a_dict_configuration() -> None:
    """Nested, or flat with prefixes; objects may stand where INI has names."""
    stream = io.StringIO()
    passed: list[Message] = []
    config: dict[str, Any] = {
        "logger": "app",
        "sender": {"class": "metlog.senders.StreamSender", "args": [stream]},
        "sender_formatter": repr,
        "filters": [(lambda: lambda msg: not passed.append(msg), {})],
        "global": {"a": 1},
        "global_b": 2,
        "unknown": "ignored",
    }
    before = {**config, "sender": dict(config["sender"])}
    for _ in range(2):  # the same configuration may be used again
        client_from_dict_config(config).incr("hits")
    assert config == before
    assert stream.getvalue().count("\n") == len(passed) == 2
    assert CLIENT_HOLDER.global_config.items() >= {"a": 1, "b": 2}.items()


def test_a_sender_may_be_anything_that_can_be_called() -> None:
    """Also what does not tell its parameters, and what takes any."""
    client = client_from_dict_config(
        {"sender": {"class": "providers_of_a_test.Sender", "args": "x", "any": [1]}}
    )
    assert client.sender.args == ("x",)  # type: ignore[attr-defined]
    assert client.sender.options == {"any": [1]}  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"send_message, got \{\}"):
        client_from_dict_config({"sender": {"class": "builtins.dict"}})


def test_a_client_knows_its_configuration() -> None:
    """``_config`` is its JSON text, for debugging."""
    config = {"logger": "x", "sender": {"class": CAPTURE, "colour": "red"}}
    assert client_from_dict_config(config)._config == json.dumps(config)


def test_a_client_can_be_configured_anew() -> None:
    """Same object; what is not given goes back to its default, plugins may return."""
    plugins = {"x": ("providers_of_a_test.greet", {"greeting": "hi"})}
    config = {"sender_class": CAPTURE, "severity": 2, "plugins": plugins}
    client = MetlogClient(None, "before")
    for _ in range(2):
        assert client_from_dict_config({**config, "logger": "app"}, client) is client
    assert (client.logger, client.severity) == ("app", 2)
    client_from_dict_config({"sender_class": CAPTURE}, client)
    assert (client.logger, client.severity) == ("", 6)


def test_global_configuration_adds_up_or_begins_anew() -> None:
    """``clear_global`` forgets what was there; metlog-py forgot that for INI."""
    text = f"[metlog]\nsender_class = {CAPTURE}\nglobal_new = 1\n"
    CLIENT_HOLDER.global_config = {"old": 0}
    client_from_text_config(text, "metlog")
    assert CLIENT_HOLDER.global_config == {"old": 0, "new": 1}
    client_from_text_config(text, "metlog", clear_global=True)
    assert CLIENT_HOLDER.global_config == {"new": 1}


def test_plugins_may_replace_methods_if_they_say_so() -> None:
    """``override`` true keeps the name, a text is another one."""

    def client(**override: object) -> Any:
        plugins = {"x": ("providers_of_a_test.incr", override)}
        return client_from_dict_config({"sender_class": CAPTURE, "plugins": plugins})

    assert client(override=True).incr("a") == "mine"
    assert client(override="timer_send").timer_send("a", 1) == "mine"
    with pytest.raises(ConfigError, match="has a method 'incr' already"):
        client()


def test_a_configuration_that_fails_changes_nothing() -> None:
    """Neither the client nor what all clients share."""
    sender = DebugCaptureSender()
    client = MetlogClient(sender, "app", severity=2)
    before = dict(CLIENT_HOLDER.global_config)
    config = {
        "sender_class": CAPTURE,
        "global_x": 1,
        "plugins": {"x": ("providers_of_a_test.incr", {})},
    }
    with pytest.raises(ConfigError):
        client_from_dict_config(config, client, clear_global=True)
    assert (client.sender, client.severity) == (sender, 2)
    assert CLIENT_HOLDER.global_config == before


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        (
            None,
            {
                "sender": {"class": "x", "host": "h"},
                "global": {"a": 1},
                "sender_host": "h",
                "global_a": 1,
                "other_b": 2,
            },
        ),
        (
            ["other"],
            {
                "sender": {"class": "x"},
                "sender_host": "h",
                "global_a": 1,
                "other_b": 2,
                "other": {"b": 2},
            },
        ),
    ],
)
def test_nest_prefixes(prefixes: list[str] | None, expected: Mapping[str, Any]) -> None:
    """Copies prefixed keys into a dict of their own, and keeps them."""
    config: dict[str, Any] = {
        "sender": {"class": "x"},
        "sender_host": "h",
        "global_a": 1,
        "other_b": 2,
    }
    assert nest_prefixes(config, prefixes) is config
    assert config == expected
    assert nest_prefixes({"a.b": 1}, ["a"], ".") == {"a.b": 1, "a": {"b": 1}}


# -- what is wrong, and where ----------------------------------------------------------

CLASS = "[metlog]\nsender_class = "
OK = f"{CLASS}{CAPTURE}\n"
UDP = f"{CLASS}metlog.senders.UdpSender\n"
NO_FILE = f"[Errno {errno.ENOENT}] No such file"
FILE = f"{CLASS}metlog.senders.FileSender\n"
OWN = "providers_of_a_test"
FILTER = f"{OK}[metlog_filter_x]\n"
PLUGIN = f"{OK}[metlog_plugin_x]\n"
MAX = f"{FILTER}provider = metlog.filters.severity_max_provider\n"
NAME = ": expected the dotted name of a"


@pytest.mark.parametrize(
    ("ini", "section", "option", "said"),
    [
        (
            "[metlog]",
            "metlog",
            "sender_class",
            f"{NAME} sender, such as metlog.senders.UdpSender, got nothing",
        ),
        (
            f"{CLASS}no.where",
            "metlog",
            "sender_class",
            f"{NAME} sender class, got",
        ),
        (f"{CLASS}metlog.senders", "metlog", "sender_class", f"{NAME} sender class"),
        (
            f"{CLASS}{OWN}.no_sender",
            "metlog",
            "sender_class",
            ": expected a sender, with a method",
        ),
        (
            f"{UDP}sender_prot = 1",
            "metlog",
            "sender_prot",
            ": expected an option of UdpSender (host, port",
        ),
        (
            f"{UDP}sender_port = high",
            "metlog",
            "sender_port",
            ": expected a whole number f",
        ),
        (
            FILE,
            "metlog",
            "sender_filepath",
            ": expected a value, as FileSender needs one, got nothing",
        ),
        (
            f"{FILE}sender_filepath = /a/b",
            "metlog",
            "sender_filepath",
            f": expected a file that can be written, got '/a/b': {NO_FILE}",
        ),
        (
            f"{OK}severity = loud",
            "metlog",
            "severity",
            ": expected 0 (EMERGENCY) to 7 (DEBUG), g",
        ),
        (
            f"{OK}severity = 8",
            "metlog",
            "severity",
            ": expected 0 (EMERGENCY) to 7 (DEBUG)",
        ),
        (
            f"{OK}sevrity = 3",
            *("metlog", "sevrity"),
            ": expected an option of the client, got 'sevrity'",
        ),
        (
            f"{OK}x = %(y)s",
            "metlog",
            "x",
            ": Bad value substitution: option 'x' in sect",
        ),
        (FILTER, "metlog_filter_x", "provider", f"{NAME} function, got nothing"),
        (
            f"{FILTER}provider = metlog.filters.nothing",
            *("metlog_filter_x", "provider"),
            f"{NAME} provider, got 'metlog.filters.nothing': no 'nothing' in '",
        ),
        (
            MAX,
            "metlog_filter_x",
            "severity",
            ": expected a value, as severity_max_provider needs one, got nothing",
        ),
        (
            f"{MAX}severity = loud",
            "metlog_filter_x",
            "severity",
            ": expected 0 (EMERGENCY) to 7 ",
        ),
        (
            f"{MAX}severty = 5",
            "metlog_filter_x",
            "severty",
            ": expected an option of severity_max_provider",
        ),
        (
            f"{FILTER}provider = {OWN}.fails",
            *("metlog_filter_x", ""),
            ": cannot make fails from this: KeyError: 'oh no'",
        ),
        (PLUGIN, "metlog_plugin_x", "provider", f"{NAME} function, got nothing"),
        (
            f"{PLUGIN}provider = a.b",
            "metlog_plugin_x",
            "provider",
            f"{NAME} provider, g",
        ),
        (
            f"{PLUGIN}provider = {OWN}.greet",
            *("metlog_plugin_x", ""),
            ": cannot make greet from this: KeyError: 'greeting'",
        ),
        (
            f"{PLUGIN}provider = {OWN}.no_method",
            *("metlog_plugin_x", "provider"),
            ": expected the provider to return a function with an attribute metlog",
        ),
        (
            f"{PLUGIN}provider = {OWN}.incr",
            *("metlog_plugin_x", "override"),
            ": the client has a method 'incr' already; override = true replaces it",
        ),
    ],
)
def test_errors_in_ini_files_say_where_what_was_wanted_and_what_came(
    ini: str, section: str, option: str, said: str
) -> None:
    """Section and option, for whoever has to mend the file."""
    where = f"section [{section}]" + (f", option {option!r}" if option else "")
    with pytest.raises(ConfigError, match=f"^{re.escape(where + said)}"):
        client_from_text_config(ini, "metlog")


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ("", "expected section [metlog], got no section at all"),
        ("[a]\n[b]\n", "expected section [metlog], got [a], [b]"),
        ("nonsense", "expected an INI file, got one with a mistake: File contains no"),
        (
            OK + OK,
            "expected an INI file, got one with a mistake: While reading from",
        ),
        (
            f"{OK}x = ${{NO_SUCH}}",
            "section [metlog], option 'x': expected environment variable 'NO_SUCH'",
        ),
        (
            f"{OK}sender = x",
            "section [metlog], option 'sender': expected options with that prefix, su",
        ),
        (
            f"{OK}global = x",
            "section [metlog], option 'global': expected options with that prefix, got",
        ),
        (
            f"{OK}[metlog_sender]\nclass = x",
            "section [metlog_sender]: no such section; write sender_… = … in section [",
        ),
        (
            f"{OK}[metlog_global]\nname = x",
            "section [metlog_global]: no such section; write global_… = … in section [",
        ),
        *(
            (
                f"{OK}[{name}]\nprovider = x",
                f"section [{name}]: no such section; did you mean [{meant}]?",
            )
            for name, meant in {
                "metlog-filter-a": "metlog_filter_a",
                "metlog:filter:a": "metlog_filter_a",
                "metlog.plugin.a b": "metlog_plugin_a_b",
                "metlog_route-a": "metlog_route_a",
                "metlog rule a": "metlog_rule_a",
                "metlog.fields": "metlog_fields",
            }.items()
        ),
    ],
)
def test_errors_about_the_whole_of_an_ini_file(ini: str, said: str) -> None:
    """What kind of file was wanted, and which line came."""
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        client_from_text_config(ini, "metlog")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (5, "config: expected a dict, got 5"),
        (
            {},
            "config['sender']['class']: expected the dotted name of a sender, such as",
        ),
        ({"sender": "x"}, "config['sender']: expected a dict, got 'x'"),
        (
            {"sender": {"class": 5}},
            "config['sender']['class']: expected the dotted name of a sen",
        ),
        (
            {"sender_class": "metlog.senders.UdpSender", "sender_port": -1},
            "config['sender']['port']: expected a whole number from 1 to 65535, got -1",
        ),
        (
            {"sender": {"class": "metlog.senders.UdpSender", "args": list("abcdefgh")}},
            "config['sender']['args']: UdpSender: too many positional arguments",
        ),
        ({"logger": 5}, "config['logger']: expected text, got 5"),
        ({"severity": True}, "config['severity']: expected 0 (EMERGENCY) to 7 (DEBUG)"),
        ({"disabled_timers": 5}, "config['disabled_timers']: expected names of timers"),
        ({"disabled_timers": [5]}, "config['disabled_timers']: expected names of time"),
        ({"disabled_timers": ["a", None]}, "config['disabled_timers']: expected names"),
        ({"disabled_timers": [["a"]]}, "config['disabled_timers']: expected names of"),
        ({"LOGGER": "a"}, "config['LOGGER']: expected an option of the client, got"),
        ({"Severity": 3}, "config['Severity']: expected an option of the client, got"),
        ({"FILTER": []}, "config['FILTER']: expected an option of the client, got"),
        ({"filters": "x"}, "config['filters']: expected a list, got 'x'"),
        (
            {"filters": ["x"]},
            "config['filters'][0]: expected (dotted name of a",
        ),
        (
            {"filters": [("x.y", 5)]},
            "config['filters'][0][1]: expected a dict of options",
        ),
        (
            {"filters": [("x.y", {})]},
            "config['filters'][0][0]: expected the dotted name of a pro",
        ),
        ({"plugins": []}, "config['plugins']: expected a dict, got []"),
        (
            {"plugins": {"a": 1}},
            "config['plugins']['a']: expected (dotted name",
        ),
        ({"global": 5}, "config['global']: expected a dict, got 5"),
        (
            {"loger": "x"},
            "config['loger']: expected an option of the client, got 'loger'",
        ),
        (
            {"logger": "${NO_SUCH_VARIABLE}"},
            "config['logger']: expected environment variable 'NO_SUCH_VARIABLE' to",
        ),
    ],
)
def test_errors_in_dicts_say_where_what_was_wanted_and_what_came(
    config: Any, said: str
) -> None:
    """The path to the mistake, as one would write it in Python."""
    if isinstance(config, dict) and said.partition("]")[0] != "config['sender'":
        config.setdefault("sender_class", CAPTURE)
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        client_from_dict_config(config)


TWICE = "as 'class' in 'sender', got both, which differ; remove one of them"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"sender": {"class": CAPTURE}, "sender_class": "metlog.senders.UdpSender"},
            f"config['sender_class']: expected the option here or {TWICE}",
        ),
        (
            {"sender": {"class": "metlog.senders.UdpSender", "port": 1}}
            | {"sender_port": 2},
            "config['sender_port']: expected the option here or as 'port' in 'sender'",
        ),
        (
            {"sender_class": CAPTURE, "sender": {"class": None}},
            "config['sender_class']: ",
        ),
        ({"sender_args": [1], "sender": {"args": []}}, "config['sender_args']: "),
        ({"sender_host": "", "sender": {"host": "a"}}, "config['sender_host']: "),
        ({"sender_port": True, "sender": {"port": 2}}, "config['sender_port']: "),
        (
            {"sender_class": CAPTURE, "global": {"a": 1}, "global_a": 2},
            "config['global_a']: expected the option here or as 'a' in 'global'",
        ),
        (
            {"sender_class": CAPTURE, "global": {"a": {"b": 1}}, "global_a": {}},
            "config['global_a']: ",
        ),
        (
            {"sender": {"routes": [], "class": CAPTURE}, "sender_routes": [1]},
            "config['sender_routes']: ",
        ),
    ],
)
def test_an_option_that_is_given_twice(config: dict[str, Any], said: str) -> None:
    """With a prefix and without: two values that differ are not one configuration."""
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}") as caught:
        client_from_dict_config(config)
    assert "UdpSender" not in str(caught.value)  # values may be secrets


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"class": "a", "headers": {"team": "s3cret"}}, "{'class': …, 'headers': …}"),
        ([{"a": "s3cret"}, ({"b": "s3cret"},), 5], "[{'a': …}, [{'b': …}], 5]"),
        ({}, "{}"),
        ([], "[]"),
        ("udp://user:s3cret@host", "'udp://***@host'"),
        ("token=s3cret", "'token=***'"),
        ("localhost", "'localhost'"),
        (None, "None"),
        (5, "5"),
    ],
)
def test_what_is_misplaced_is_told_in_outline(value: object, told: str) -> None:
    """Values of dicts may be secrets, and so may what a URL begins with."""
    assert outline(value) == told


@pytest.mark.parametrize(
    "config",
    [
        {"sender": {"class": CAPTURE}, "sender_class": CAPTURE},
        {"sender": {"class": "metlog.senders.UdpSender"}, "sender_port": 5000},
        {"sender": {"port": 5000}, "sender_class": "metlog.senders.UdpSender"},
        {"sender_class": CAPTURE, "sender": {}, "global_a": 1, "global": {"b": 2}},
        {"sender_class": CAPTURE, "sender": None, "global": None, "global_a": 1},
    ],
)
def test_both_ways_to_write_options_add_up(config: dict[str, Any]) -> None:
    """As in metlog-py, and what is said twice in the same words is said."""
    client = client_from_dict_config(config)
    assert client.is_active
    again = client_from_dict_config(json.loads(client._config))
    assert type(again.sender) is type(client.sender)
    client.close()
    again.close()


@pytest.mark.parametrize(
    ("ini", "option", "said"),
    [
        (f"{OK}filters = x", "filters", "sections [metlog_filter_…]"),
        (f"{OK}filters =", "filters", "sections [metlog_filter_…]"),
        (f"{OK}plugins = x", "plugins", "sections [metlog_plugin_…]"),
        (
            f"{OK}metrics = x\n[metlog_rule_a]\nmatch = a\ndrop = true",
            *("metrics", "sections [metlog_rule_…]"),
        ),
        (
            f"{OK}fields = x\n[metlog_fields]\nenv = prod",
            *("fields", "section [metlog_fields]"),
        ),
        (
            f"{OK}sender = x\n[metlog_route_a]\nsender_class = {CAPTURE}",
            *("sender", "sections [metlog_route_…]"),
        ),
        (
            f"{OK}sender_routes = x\n[metlog_route_a]\nsender_class = {CAPTURE}",
            *("sender_routes", "sections [metlog_route_…]"),
        ),
        (f"{OK}metrics = cache.*", "metrics", "sections [metlog_rule_…]"),
        (f"{OK}metrics =", "metrics", "sections [metlog_rule_…]"),
        (f"{OK}metrics =\n  cache.*\n  db.*", "metrics", "sections [metlog_rule_…]"),
        (f"{OK}metrics =\n  1", "metrics", "sections [metlog_rule_…]"),
        (f"{OK}fields = env=prod", "fields", "section [metlog_fields]"),
        (f"{OK}fields =\n  env=prod", "fields", "section [metlog_fields]"),
    ],
)
def test_an_option_of_what_stands_in_sections(ini: str, option: str, said: str) -> None:
    """It was read, and the sections took its place."""
    where = f"section [metlog], option {option!r}: expected it in {said}, got an option"
    with pytest.raises(ConfigError, match=f"^{re.escape(where)}"):
        client_from_text_config(ini, "metlog")


ADDRESS = "tcp://127.0.0.1:5565"
SENDERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "DebugCaptureSender": ({}, {}),
    "FanOutSender": ({}, {"routes": "x"}),
    "FileSender": (
        {"filepath": os.devnull},
        {"filepath": "/no/such/folder/x", "formatter": "no.where"},
    ),
    "NoSendSender": ({}, {}),
    "OtlpSender": (
        {},
        {
            "endpoint": "localhost",
            "resource": "shop",
            "headers": "shop",
            "interval": "often",
            "timeout": "0",
            "queue": "0",
            "queue_bytes": "0",
            "max_series": "0",
            "histogram": "linear",
            "signals": "traces",
            "names": "tags",
            "semconv": "all",
            "protocol": "grpc",
            "self_metrics": "maybe",
        },
    ),
    "PrometheusSender": (
        {},
        {
            "directory": 5,
            "port": "many",
            "addr": 5,
            "prefix": 5,
            "names": "tags",
            "semconv": "all",
            "interval": "often",
            "max_series": "0",
            "self_metrics": "maybe",
        },
    ),
    "StatsdSender": (
        {},
        {
            "host": "127.0.0.1:8125",
            "port": "0",
            "prefix": 5,
            "dialect": "loud",
            "transport": "tcp",
            "max_packet": "9",
            "flush_interval": "often",
            "max_names": "0",
            "max_timings": "many",
            "packed": "maybe",
            "distributions": "maybe",
            "names": "dots",
            "semconv": "beta",
            "self_metrics": "maybe",
        },
    ),
    "StdLibLoggingSender": (
        {},
        {"logger_name": 5, "payload_types": 5, "json_types": [5]},
    ),
    "StdOutSender": ({}, {"formatter": "no.where"}),
    "StreamSender": ({"stream": sys.stdout}, {"stream": "x", "formatter": 5}),
    "UdpSender": (
        {},
        {
            "host": "http://localhost",
            "port": "high",
            "queue": "long",
            "packed": "maybe",
            "max_packet": "9",
            "flush_interval": "often",
            "queue_bytes": "much",
        },
    ),
    "ZmqHandshakePubSender": (
        {
            "handshake_bind": ADDRESS,
            "connect_bind": ADDRESS,
            "handshake_timeout": "200",
        },
        {
            "handshake_bind": "localhost",
            "connect_bind": "localhost",
            "handshake_timeout": "0",
            "pool_size": "0",
            "hwm": "0",
            "livecheck": "often",
            "debug_stderr": "maybe",
            "queue_bytes": "0",
        },
    ),
    "ZmqPubSender": (
        {"bindstrs": ADDRESS},
        {
            "bindstrs": "localhost",
            "pool_size": "0",
            "queue_length": "0",
            "livecheck": "often",
            "debug_stderr": "maybe",
            "queue_bytes": "0",
        },
    ),
}
"""What each sender needs, and a bad value for each of its options."""

BAD_OPTIONS = [
    (name, option, bad)
    for name, (_, options) in SENDERS.items()
    for option, bad in options.items()
]


def test_each_option_of_each_sender_has_a_bad_value() -> None:
    """None is forgotten in the table above."""
    protocols = {"Sender", "MetricSender", "SenderStats"}
    assert SENDERS.keys() == set(senders.__all__) - protocols
    for name, (_, options) in SENDERS.items():
        if name not in {"DebugCaptureSender", "NoSendSender"}:  # take anything, nothing
            assert set(inspect.signature(getattr(senders, name)).parameters) == {
                *options
            }


@pytest.mark.parametrize(("name", "option", "bad"), BAD_OPTIONS)
def test_each_option_of_each_sender_is_checked(
    name: str, option: str, bad: object
) -> None:
    """In a dict, also deep in a fan-out, and in a file: the error says where the option
    is, what was wanted, and what came."""
    spec = {"class": f"metlog.senders.{name}", **SENDERS[name][0], option: bad}
    came = f"{option!r}\\]: .*(?:wanted|expected).*got {re.escape(repr(bad))}"
    with pytest.raises(ConfigError, match=rf"^config\['sender'\]\[{came}"):
        client_from_dict_config({"sender": spec})
    routes = [{"sender": {"class": CAPTURE}}, {"sender": spec}]
    fan_out = {"class": "metlog.senders.FanOutSender", "routes": routes}
    where = r"config\['sender'\]\['routes'\]\[1\]\['sender'\]"
    with pytest.raises(ConfigError, match=rf"^{where}\[{came}"):
        client_from_dict_config({"sender": fan_out})


@pytest.mark.parametrize(
    ("name", "option", "bad"),
    [
        (name, option, bad)
        for name, option, bad in BAD_OPTIONS
        if isinstance(bad, str) and name != "StreamSender"  # it needs an object
    ],
)
def test_each_option_of_each_sender_is_checked_in_ini_files(
    name: str, option: str, bad: str
) -> None:
    """Section and option, of the client and of a route."""
    spec = {"class": f"metlog.senders.{name}", **SENDERS[name][0], option: bad}
    lines = "".join(f"sender_{key} = {value}\n" for key, value in spec.items())
    said = (
        rf"option 'sender_{option}': "
        rf".*(?:wanted|expected).*got '?{re.escape(bad)}\b"
    )
    if option == "routes":
        said = "expected a list of dicts, got 'x'"
    else:
        with pytest.raises(ConfigError, match=rf"^section \[a_route_x\], {said}"):
            client_from_text_config(f"{FAN_OUT}[a_route_x]\n{lines}", "a")
    with pytest.raises(ConfigError, match=rf"^section \[a.*\](, |: ){said}"):
        client_from_text_config(f"[a]\n{lines}", "a")


FAN_OUT = "[a]\nsender_class = metlog.senders.FanOutSender\n"
ROUTE = f"{FAN_OUT}[a_route_x]\n"
SECOND_ROUTE = "[a_route_y]\nsender_class = metlog.senders.UdpSender\n"


def test_routes_of_a_fan_out_are_sections(tmp_path: Path) -> None:
    """Each with its sender, its types and its severity; messages go where they say."""
    client = client_from_text_config(
        f"""
        {FAN_OUT}
        logger = shop
        [a_route_metrics]
        sender_class = {CAPTURE}
        sender_colour = red
        types = counter
                timer
        [a_route_logs]
        sender_class = metlog.senders.FileSender
        sender_filepath = {tmp_path / "log.jsonl"}
        types = oldstyle
        severity = 4
        """.replace("\n        ", "\n"),
        "a",
    )
    client.incr("hits")
    client.warning("careful")
    client.info("never mind")
    metrics, _ = (route.sender for route in client.sender.routes)  # type: ignore[attr-defined]
    assert metrics.colour == "red"
    assert [json.loads(msg)["fields"]["name"] for msg in metrics.msgs] == ["hits"]
    (logged,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(logged)["payload"] == "careful"
    client.close()


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        (
            FAN_OUT,
            "section [a_route_…]: expected a value, as FanOutSender needs one, got n",
        ),
        (
            ROUTE,
            "section [a_route_x], option 'sender_class': expected the dotted name",
        ),
        (
            f"{ROUTE}sender_class = {CAPTURE}\nseverity = loud",
            "section [a_route_x], option 'severity': expected 0 (EMERGENCY) to 7",
        ),
        (
            f"{ROUTE}sender_class = {CAPTURE}\ntipes = counter",
            "section [a_route_x], option 'tipes': expected sender, types, severity",
        ),
        (
            f"{ROUTE}sender_class = {CAPTURE}\n{SECOND_ROUTE}sender_prot = 1",
            "section [a_route_y], option 'sender_prot': expected an option of UdpS",
        ),
        (
            f"[a]\nsender_class = metlog.senders.UdpSender\n{SECOND_ROUTE}",
            "section [a_route_y]: expected an option of UdpSender (host, port",
        ),
        (
            f"{FAN_OUT}[a_ruote_x]\nsender_class = {CAPTURE}",
            "section [a_ruote_x]: no such section; did you mean [a_route_x]?",
        ),
        (
            f"{FAN_OUT}[a_routes_x]\nsender_class = {CAPTURE}",
            "section [a_routes_x]: no such section; did you mean [a_route_x]?",
        ),
        (
            f"[a]\nsender_class = {CAPTURE}\n[a_filtr_x]\nprovider = x",
            "section [a_filtr_x]: no such section; did you mean [a_filter_x]?",
        ),
    ],
)
def test_errors_in_routes_name_their_section(ini: str, said: str) -> None:
    """As everywhere else."""
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        client_from_text_config(ini, "a")


def test_errors_about_arguments_by_position_say_which() -> None:
    """``args`` is a list, so its place is a number."""
    spec = {"class": "metlog.senders.UdpSender", "args": ["localhost", "x"]}
    with pytest.raises(
        ConfigError, match=r"^config\['sender'\]\['args'\]\[1\]: expected a wh"
    ):
        client_from_dict_config({"sender": spec})


def test_an_option_outside_of_a_configuration_is_named_too() -> None:
    """For those who make a sender by themselves."""
    with pytest.raises(
        ConfigError, match=r"^port: expected a whole number from 1 to 65535"
    ):
        senders.UdpSender("localhost", 0)


@pytest.mark.parametrize(
    "ini", [f"{UDP}sender_port = 0", f"{UDP}sender_host = ${{NO_SUCH}}", "nonsense"]
)
def test_errors_can_be_pickled(ini: str) -> None:
    """For whoever configures in a process of a pool."""
    with pytest.raises(ConfigError) as caught:
        client_from_text_config(ini, "metlog")
    copy = pickle.loads(pickle.dumps(caught.value))  # it is ours
    assert (type(copy), str(copy)) == (type(caught.value), str(caught.value))


def test_errors_have_the_classes_of_metlog_py() -> None:
    """All of them are ConfigErrors, and so ValueErrors."""
    with pytest.raises(EnvironmentNotFoundError) as caught:
        client_from_text_config("[a]\nx = ${NO_SUCH_VARIABLE}", "a")
    assert caught.value.varname == "NO_SUCH_VARIABLE"
    with pytest.raises(MethodNotFoundError):
        client_from_text_config(f"{PLUGIN}provider = no.where", "metlog")
    assert issubclass(EnvironmentNotFoundError, ConfigError)
    assert issubclass(MethodNotFoundError, ConfigError)
    assert issubclass(ConfigError, ValueError)


ini_lines = st.one_of(
    st.text(),
    st.sampled_from(["[metlog]", f"sender_class = {CAPTURE}", "[metlog_filter_a]"]),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            [
                *("logger", "severity", "sender_class", "sender_x", "provider"),
                *("  ", "global_x", "disabled_timers", "[metlog_plugin_x", "sender"),
            ]
        ),
        st.sampled_from([" = ", ":", "]", "_", ""]),
        st.text() | st.sampled_from([CAPTURE, "${HOME}", "%(x)s", "5", "on"]),
    ),
)


@given(st.lists(ini_lines, max_size=12).map("\n".join))
def test_any_text_makes_a_client_or_a_config_error(text: str) -> None:
    """Whatever stands in the file, the error is one that helps."""
    _client_or_config_error(lambda: client_from_text_config(text, "metlog"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["logger", "severity", "filters", "plugins", "global", "x"]),
        json_values,
    )
)
def test_any_dict_makes_a_client_or_a_config_error(config: dict[str, Any]) -> None:
    """Also when its values are not what they should be."""
    config["sender"] = {"class": CAPTURE}
    _client_or_config_error(lambda: client_from_dict_config(config))


def _client_or_config_error(make: Callable[[], MetlogClient]) -> None:
    before = CLIENT_HOLDER.global_config
    CLIENT_HOLDER.global_config = {}
    try:
        client = make()
    except ConfigError as error:
        assert str(error)  # noqa: PT017  # either is fine
    else:
        assert client.is_active
    finally:
        CLIENT_HOLDER.global_config = before


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("metlog.senders.StatsDSender", "metlog.senders.StatsdSender"),
        ("metlog.senders.StatsdSendr", "metlog.senders.StatsdSender"),
        ("metlog.sender.StatsdSender", "metlog.senders.StatsdSender"),
        ("metlog.senders:Statsd", "metlog.senders.StatsdSender"),
        ("StatsdSender", "metlog.senders.StatsdSender"),
        ("metlog.senders.OTLPSender", "metlog.senders.OtlpSender"),
        ("metlog.senders.udp.UDPSender", "metlog.senders.UdpSender"),
        ("metlog.senders.StdoutSender", "metlog.senders.StdOutSender"),
        ("metlog.FanoutSender", "metlog.senders.FanOutSender"),
    ],
)
def test_a_mistyped_sender_gets_the_right_one(written: str, meant: str) -> None:
    """Whichever part of its name is wrong."""
    with pytest.raises(ConfigError) as raised:
        client_from_dict_config({"sender": {"class": written}})
    assert repr(written) in str(raised.value)
    assert f"did you mean {meant!r}?" in str(raised.value)


@pytest.mark.parametrize("written", ["shop.metrics.Ours", "json.NoSuchThing"])
def test_what_is_like_none_of_ours_gets_none(written: str) -> None:
    """A name of the site's own is no mistyped one of ours."""
    with pytest.raises(ConfigError) as raised:
        client_from_dict_config({"sender": {"class": written}})
    assert "did you mean" not in str(raised.value)


def test_a_mistyped_filter_gets_the_right_one() -> None:
    """Providers of filters, too."""
    with pytest.raises(ConfigError, match=r"did you mean 'metlog.filters.severity_max"):
        client_from_dict_config(
            {
                "sender": {"class": "metlog.senders.NoSendSender"},
                "filters": [("metlog.filters.max_severity_provider", {})],
            }
        )


# -- common fields and rules -----------------------------------------------------------

RULES_INI = """
    [metlog]
    sender_class = {capture}
    [metlog_fields]
    env = ${{A_ENV}}
    release = 007
    beta = on
    empty = ""
    [metlog_rule_zebra]
    match = cache.*.get
    drop = yes
    [metlog_rule_admin]
    match = view.admin.*
    rename = view.admin
    label_view = admin
    label_tier = 1
    [metlog_rule_db]
    match = db.*
    rate = 0.1
"""


def test_fields_and_rules_of_an_ini_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields and labels are texts as written; rules are in the file's order."""
    monkeypatch.setenv("A_ENV", "prod")
    text = inspect.cleandoc(RULES_INI.format(capture=CAPTURE))
    config = dict_from_stream_config(text.splitlines(), "metlog")
    assert config["fields"] == {
        "env": "prod",
        "release": "007",
        "beta": "on",
        "empty": "",
    }
    assert config["metrics"] == [
        {"match": "cache.*.get", "drop": True},
        {
            "match": "view.admin.*",
            "rename": "view.admin",
            "labels": {"view": "admin", "tier": "1"},
        },
        {"match": "db.*", "rate": "0.1"},
    ]
    client = client_from_text_config(text, "metlog")
    assert client.fields == config["fields"]
    assert client.rules.for_("cache.redis.get").drop
    assert client.rules.for_("db.psql.default.execute").rate == 0.1


@pytest.mark.parametrize(
    "name", ["Env", "ENV", "deployTo", "Ümlaut", "ÄÖ", "K8s.Pod", "_X", "a-B", "İ", "ẞ"]
)
def test_fields_and_labels_of_an_ini_file_keep_their_capitals(name: str) -> None:
    """All other options may be written in any."""
    text = f"""
        [DEFAULT]
        Who = me
        [a]
        Sender_Class = {CAPTURE}
        [a_fields]
        {name} = Prod %(WHO)s
        [a_rule_One]
        Match = b
        RENAME = c
        Label_{name} = x
    """
    config = dict_from_stream_config(iter(inspect.cleandoc(text).splitlines()), "a")
    assert config["fields"] == {name: "Prod me", "Who": "me"}
    (rule,) = config["metrics"]
    assert rule.pop("who") == "me"
    assert rule == {"match": "b", "rename": "c", "labels": {name: "x"}}


def test_errors_in_fields_name_them_as_they_are_written() -> None:
    """So that they can be found in the file."""
    text = f"[a]\nsender_class = {CAPTURE}\n[a_fields]\nmyEnv = ${{A_MISSING_ONE}}"
    with pytest.raises(ConfigError, match=r"\[a_fields\], option 'myEnv': "):
        client_from_text_config(text, "a")
    text = f"[a]\nsender_class = {CAPTURE}\n[a_fields]\nmyEnv = 1\nmyenv = 2"
    with pytest.raises(ConfigError, match="'myenv' in section 'a_fields' already"):
        client_from_text_config(text, "a")


def test_fields_and_rules_of_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers stay what they are; environment variables are put in."""
    monkeypatch.setenv("A_ENV", "prod")
    config = {
        "sender": {"class": CAPTURE},
        "fields": {"env": "${A_ENV}", "shard": 7},
        "metrics": [{"match": "a.*", "labels": {"env": "${A_ENV}"}}],
    }
    client = client_from_dict_config(config)
    assert client.fields == {"env": "prod", "shard": 7}
    assert client.rules.for_("a.b").labels == {"env": "prod"}
    client_from_dict_config({"sender": {"class": CAPTURE}}, client)
    assert (client.fields, bool(client.rules)) == ({}, False)


def test_rules_of_a_route_are_those_that_it_names() -> None:
    """In its order. The others are the client's; one may be named by two routes."""
    text = f"""
        [a]
        [a_route_x]
        sender_class = {CAPTURE}
        rules = two one
        [a_route_y]
        sender_class = {CAPTURE}
        rules = two
        [a_route_z]
        sender_class = {CAPTURE}
        [a_rule_one]
        match = one
        drop = true
        [a_rule_two]
        match = two
        drop = true
        [a_rule_three]
        match = three
        drop = true
    """
    config = dict_from_stream_config(inspect.cleandoc(text).splitlines(), "a")
    routes = config["sender"]["routes"]
    matches = [[r["match"] for r in route.get("metrics", ())] for route in routes]
    assert matches == [["two", "one"], ["two"], []]
    assert [rule["match"] for rule in config["metrics"]] == ["three"]


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        (
            "[a_rule_x]\ndrop = yes",
            "section [a_rule_x], option 'match': expected a pat",
        ),
        ("[a_rule_x]\nmatch = a", "section [a_rule_x]: expected drop, rename, labels"),
        (
            "[a_rule_x]\nmatch = a\nlable_x = b",
            "section [a_rule_x], option 'lable_x': expected one of match",
        ),
        (
            "[a_rule_x]\nmatch = a\nlabel_host = b",
            "section [a_rule_x], option 'label_host': expected a label whose name",
        ),
        (
            "[a_rule_x]\nmatch = a\nrate = 2",
            "section [a_rule_x], option 'rate': expected a share above 0",
        ),
        (
            "[a_rule_x]\nmatch = a\ndrop = maybe",
            "section [a_rule_x], option 'drop': expected true or false, got 'maybe'",
        ),
        (
            "[a_rule_x]\nmatch = ${A_MISSING}\ndrop = yes",
            "section [a_rule_x], option 'match': ",
        ),
        (
            f"[a_route_y]\nsender_class = {CAPTURE}\nrules = one\n[a_rule_two]",
            "section [a_route_y], option 'rules': expected rules that have a section",
        ),
        (
            "[a_rul_x]\nmatch = a",
            "section [a_rul_x]: no such section; did you mean [a_rule_x]",
        ),
        (
            "[a_field]\nx = a",
            "section [a_field]: no such section; did you mean [a_fields]",
        ),
        (
            "[a_metrics_x]\nmatch = a",
            "section [a_metrics_x]: no such section; did you mean [a_r",
        ),
        (
            "[a_metric_x]\nmatch = a",
            "section [a_metric_x]: no such section; did you mean [a_ru",
        ),
        (
            "[a_rule]\nmatch = a",
            "section [a_rule]: no such section; did you mean [a_rule_…]",
        ),
        (
            "[a_rules]\nmatch = a",
            "section [a_rules]: no such section; did you mean [a_rule_…]",
        ),
        (
            "[a_rule_]\nmatch = a",
            "section [a_rule_]: no such section; did you mean [a_rule_…]",
        ),
        (
            "[a_route]\ntypes = a",
            "section [a_route]: no such section; did you mean [a_route_…]",
        ),
    ],
)
def test_errors_in_rules_name_their_section(ini: str, said: str) -> None:
    """And their option, as everywhere."""
    with pytest.raises(ConfigError) as raised:
        client_from_text_config(f"[a]\nsender_class = {CAPTURE}\n{ini}", "a")
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: client_from_text_config(b"[a]", "a"), "expected INI text, got bytes"),  # type: ignore[arg-type]
        (lambda: client_from_text_config(None, "a"), "expected INI text, got NoneType"),  # type: ignore[arg-type]
        (lambda: client_from_stream_config("/a.ini", "a"), "expected lines, such as"),
        (lambda: client_from_stream_config(b"[a]", "a"), "expected lines, such as"),  # type: ignore[arg-type]
        (lambda: client_from_stream_config(None, "a"), "expected lines, such as"),  # type: ignore[arg-type]
        (lambda: client_from_stream_config([b"[a]"], "a"), "expected lines of text"),  # type: ignore[list-item]
        (lambda: dict_from_stream_config("[a]\nx = 5", "a"), "expected lines, such as"),
        (
            lambda: client_from_dict_config({"sender_class": CAPTURE}, "a"),  # type: ignore[arg-type]
            "config: expected a client to configure again, or none, got 'a'",
        ),
        (
            lambda: MetlogClient(None, "a", disabled_timers=5),  # type: ignore[arg-type]
            "disabled_timers: expected names of timers, got 5",
        ),
        (
            lambda: MetlogClient(None, "a", disabled_timers=[5]),  # type: ignore[list-item]
            "disabled_timers: expected names of timers, got [5]",
        ),
    ],
)
def test_something_else_than_a_configuration(
    make: Callable[[], object], said: str
) -> None:
    """A path is no open file, a file may be open for bytes. None of it is shown: it may
    have secrets."""
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        make()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"Class": CAPTURE}, "Sender, got nothing; did you mean 'class' by 'Class'?"),
        ({"clas": CAPTURE}, "Sender, got nothing; did you mean 'class' by 'clas'?"),
        ({"klass": CAPTURE}, "Sender, got nothing; did you mean 'class' by 'klass'?"),
        ({"routes": []}, "such as metlog.senders.FanOutSender, got nothing"),
        ({"options": {}, "host": "a"}, "such as metlog.senders.UdpSender, got nothing"),
        ({5: 6}, "such as metlog.senders.UdpSender, got nothing"),
    ],
)
def test_a_sender_without_class(options: dict[Any, Any], said: str) -> None:
    """What looks like it is named."""
    with pytest.raises(ConfigError) as raised:
        client_from_dict_config({"sender": options})
    assert str(raised.value).startswith("config['sender']['class']: expected ")
    assert str(raised.value).endswith(said)


def test_a_section_of_another_client_may_have_any_name() -> None:
    """Each has its own sections, which begin with its name."""
    own = f"sender_class = {CAPTURE}"
    ini = f"[a]\n{own}\n[a_sender]\n{own}\n[a-b]\n{own}\n[a_global]\n{own}\n[a.x.y]"
    for name in ("a", "a_sender", "a-b", "a_global"):
        client_from_text_config(ini, name)
    rule = "[a_metrics_rule_x]\nmatch = x\ndrop = yes"
    ini = f"[a]\n{own}\n[a_metrics]\n{own}\n{rule}"
    assert not client_from_text_config(ini, "a").rules
    assert client_from_text_config(ini, "a_metrics").rules.for_("x").drop


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"fields": "env=prod"}, "config['fields']: expected a dict, got 'env=prod'"),
        ({"fields": []}, "config['fields']: expected a dict, got []"),
        ({"fields": {"x": None}}, "config['fields']['x']: expected text, a number"),
        ({"metrics": {}}, "config['metrics']: expected a list of dicts, got {}"),
        ({"metrics": [{"match": "a"}]}, "config['metrics'][0]: expected drop, rename"),
        (
            {"metric": []},
            "config['metric']: expected an option of the client, got 'metric'",
        ),
        (
            {"field": {}},
            "config['field']: expected an option of the client, got 'field'",
        ),
    ],
)
def test_errors_in_rules_of_a_dict(config: dict[str, Any], said: str) -> None:
    """With the path to what is wrong."""
    with pytest.raises(ConfigError) as raised:
        client_from_dict_config({"sender": {"class": CAPTURE}, **config})
    assert str(raised.value).startswith(said)
