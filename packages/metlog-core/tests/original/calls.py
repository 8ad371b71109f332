# SPDX-License-Identifier: MPL-2.0
"""The same calls for metlog-py 0.10.0 and for us; prints the messages they make.

Runs under Python 2.7, where metlog-py does, and under Python 3. To record anew, with
metlog-py 0.10.0 importable for the interpreter:

    python2.7 tests/original/calls.py > tests/original/messages.json
"""

from __future__ import (  # noqa: UP010
    absolute_import,
    print_function,
    unicode_literals,
)

import json
import logging
import os
import re
import sys

from metlog.client import SEVERITY, MetlogClient
from metlog.config import client_from_dict_config, client_from_text_config
from metlog.decorators import incr_count, timeit
from metlog.holder import CLIENT_HOLDER
from metlog.logging import hook_logger
from metlog.senders import DebugCaptureSender

CALLS = []


def call(function):
    """Note a function that is given a client."""
    CALLS.append(function)
    return function


@call
def metlog_with_defaults(client):
    client.metlog("note")


@call
def metlog_with_everything(client):
    fields = {"userid": 25, "ok": True, "none": None, "nested": {"list": [1, "a"]}}
    client.metlog("note", logger="other", severity=2, payload="foo", fields=fields)


@call
def metlog_positional(client):
    client.metlog("note", "other", 0, "payload", {"a": 1})


@call
def metlog_with_unicode(client):
    client.metlog("n\xf6te", payload="h\xe4h \u20ac", fields={"\xfc": "\xdf"})


@call
def metlog_with_empty_overrides(client):
    client.metlog("note", logger="", severity=0, payload="", fields={})


@call
def incr(client):
    client.incr("hits")
    client.incr("hits", 5)
    client.incr("hits", -2)
    client.incr("hits", count=2.5)
    client.incr("hits", 0)
    client.incr("hits", 2**40)


@call
def incr_with_everything(client):
    fields = {"page": "home"}
    client.incr("hits", 3, "other", SEVERITY.ERROR, fields=fields, rate=1)
    client.incr("hits", rate=5)
    client.incr("never", rate=0)


@call
def timer_send(client):
    client.timer_send("load", 5309)
    client.timer_send("load", 12.25, "other", 1, {"page": "home"}, 0.25)
    client.timer_send("load", 0, rate=0)


@call
def timer_as_context(client):
    with client.timer("block", logger="other", severity=3, fields={"a": 1}, rate=1):
        pass
    with client.timer("never", rate=0):
        pass


@call
def timer_as_decorator(client):
    @client.timer("decorated")
    def function(x):
        return x

    function(1)
    function(x=2)


@call
def timer_that_raises(client):
    try:
        with client.timer("failing"):
            raise KeyError("x")
    except KeyError:
        pass


@call
def disabled_timers(client):
    client.setup(client.sender, "app", disabled_timers=["a"])
    for name in "ab":
        with client.timer(name):
            pass
    client.timer_send("a", 1)
    client.setup(client.sender, "app", disabled_timers="b")
    for name in "ab":
        with client.timer(name):
            pass
    client.setup(client.sender, "app", disabled_timers=["*"])
    for name in "ab":
        with client.timer(name):
            pass


@call
def oldstyle(client):
    client.debug("debug %s", 1)
    client.info("info %s %d", "a", 2)
    client.warn("warn %(a)s %(b)s", {"a": 1, "b": 2})
    client.error("error")
    client.critical("100 %")
    client.critical("%s", (1, 2))


@call
def exceptions(client):
    try:
        {}[404]
    except KeyError:
        client.exception("ouch")
        client.error("ouch\n", exc_info=True)
        client.info("tuple", exc_info=sys.exc_info())
        client.debug("no traceback", exc_info=False)


@call
def a_client_with_other_defaults(client):
    client.setup(client.sender, "elsewhere", severity=4)
    client.incr("a")
    client.metlog("note")
    client.info("explicit severity")
    client.setup(client.sender)
    client.metlog("note")


@call
def filters(client):
    provider = "metlog.filters.{0}_provider".format
    config = {
        "logger": "filtered",
        "sender": {"class": "metlog.senders.DebugCaptureSender"},
        "filters": [
            (provider("severity_max"), {"severity": 5}),
            (provider("type_blacklist"), {"types": ["secret"]}),
            (provider("type_severity_max"), {"types": {"loud": {"severity": 2}}}),
        ],
    }
    sender = client.sender
    client_from_dict_config(config, client)
    client.setup(sender, "filtered", filters=client.filters)
    for severity in range(8):
        for kind in ("plain", "secret", "loud"):
            client.metlog(kind, severity=severity)


@call
def filters_that_change_messages(client):
    def redact(msg):
        msg["payload"] = "redacted"
        msg["fields"]["by"] = "filter"
        return True

    client.setup(client.sender, "app", filters=[redact])
    client.metlog("note", payload="secret")
    client.incr("hits", fields={"a": 1})


@call
def configuration_from_ini(client):
    sender = client.sender
    client_from_text_config(
        """
        [metlog]
        logger = from-ini
        severity = 3
        disabled_timers = foo
                          bar
        sender_class = metlog.senders.DebugCaptureSender
        [metlog_filter_types]
        provider = metlog.filters.type_whitelist_provider
        types = timer
                note
        """,
        "metlog",
        client,
    )
    client.sender = sender
    client.metlog("note")
    client.metlog("dropped")
    for name in ("foo", "bar", "baz"):
        with client.timer(name):
            pass


@call
def a_method_of_ones_own(client):
    def greet(self, whom):
        self.metlog("greeting", payload="hello " + whom)

    greet.metlog_name = "greet"
    client.add_method(greet)
    client.greet("world")


@call
def a_method_in_place_of_another(client):
    def incr(self, name):
        self.metlog("counted", payload=name)

    incr.metlog_name = "incr"
    client.add_method(incr, override=True)
    client.incr("a")

    def count(self, name):
        self.metlog("counted again", payload=name)

    count.metlog_name = "count"
    client.add_method(count, override="incr")
    client.incr("b")


def greeter(config):
    """A provider for the plugins below."""

    def greet(self, whom):
        self.metlog("greeting", payload=config["word"] + " " + whom)

    greet.metlog_name = config.get("name", "greet")
    return greet


@call
def plugins_from_a_dict(client):
    sender = client.sender
    provider = __name__ + ".greeter"
    config = {
        "logger": "greeters",
        "sender": {"class": "metlog.senders.DebugCaptureSender"},
        "plugins": {
            "one": (provider, {"word": "hello"}),
            "two": (provider, {"word": "bye", "name": "warn", "override": True}),
        },
    }
    client_from_dict_config(config, client)
    client.sender = sender
    client.greet("world")
    client.warn("world")


@call
def plugins_and_variables_from_ini(client):
    sender = client.sender
    os.environ["METLOG_WORD"] = "ahoy"
    text = """
        [metlog]
        logger = ${{METLOG_WORD}}
        sender_class = metlog.senders.DebugCaptureSender
        [metlog_plugin_greet]
        provider = {0}.greeter
        word = ${{METLOG_WORD}}
        """
    client_from_text_config(text.format(__name__), "metlog", client)
    client.sender = sender
    client.greet("world")


@call
def nested_timers(client):
    with client.timer("outer"), client.timer("inner", fields={"deep": True}):
        client.incr("inside")


@call
def decorators(client):
    CLIENT_HOLDER.set_client("app", client)

    def function():
        pass

    function.__module__ = "some.module"
    timeit(function)()
    incr_count(function)()
    timeit("named", severity=2)(function)()
    incr_count(name="named", count=5, fields={"a": 1})(function)()
    timeit(incr_count(function))()
    CLIENT_HOLDER.delete_client("app")


@call
def stdlib_logging(client):
    logger = logging.getLogger("metlog-original")
    logger.setLevel(1)
    logger.propagate = False
    hook_logger("metlog-original", client)
    hook_logger("metlog-original", client)
    for level in (10, 20, 30, 40, 50):
        logger.log(level, "at level")
    del logger.handlers[:]


def messages(function):
    """What one of the calls sends, without time, process and machine."""
    sender = DebugCaptureSender()
    function(MetlogClient(sender, "app"))
    return [comparable(json.loads(msg)) for msg in sender.msgs]


def comparable(msg):
    """The message with what must differ replaced."""
    if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", msg["timestamp"]):
        msg["timestamp"] = "<RFC 3339>"
    for key in ("metlog_pid", "metlog_hostname"):
        msg[key] = type(msg[key]).__name__.replace("unicode", "str")
    # from the file on, a traceback is the business of each Python
    msg["payload"] = re.sub(r"(?s)\n  File .*\n(?=\S)", "\n<lines>\n", msg["payload"])
    return msg


def main():
    """All messages, by the name of the call."""
    found = {function.__name__: messages(function) for function in CALLS}
    print(json.dumps(found, indent=1, sort_keys=True, separators=(",", ": ")))


if __name__ == "__main__":
    main()
