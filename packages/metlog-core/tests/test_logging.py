# SPDX-License-Identifier: MPL-2.0
"""From logging to metlog, from metlog to logging, and not in circles."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any

import pytest

from metlog import SEVERITY, MetlogClient
from metlog.diagnostics import Diagnostics
from metlog.exceptions import ConfigError
from metlog.logging import MetlogHandler, hook_logger
from metlog.message import Message
from metlog.senders import Sender, StdLibLoggingSender
from metlog.testing import SenderContract, Sent, add_up


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    logger = logging.getLogger(f"test.{request.node.name}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger
    logger.handlers.clear()


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def kept(logger: logging.Logger) -> Kept:
    kept = Kept()
    logger.addHandler(kept)
    return kept


# -- logging → metlog ------------------------------------------------------------------


def test_a_log_call_becomes_a_message(
    logger: logging.Logger, metlog_sent: Sent
) -> None:
    """Type ``oldstyle``, the text with its arguments, the level as a severity."""
    hook_logger(logger.name, MetlogClient(None, "app"))
    logger.info("%d of %s", 3, "them")
    (msg,) = metlog_sent
    assert (msg["type"], msg["payload"], msg["severity"]) == (
        "oldstyle",
        "3 of them",
        6,
    )
    assert (msg["logger"], msg["fields"]) == ("app", {})


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (5, SEVERITY.DEBUG),
        (logging.DEBUG, SEVERITY.DEBUG),
        (logging.INFO, SEVERITY.INFORMATIONAL),
        (25, SEVERITY.INFORMATIONAL),
        (logging.WARNING, SEVERITY.WARNING),
        (logging.ERROR, SEVERITY.ERROR),
        (logging.CRITICAL, SEVERITY.CRITICAL),
        (99, SEVERITY.CRITICAL),
    ],
)
def test_levels_are_severities(
    logger: logging.Logger, metlog_sent: Sent, level: int, severity: SEVERITY
) -> None:
    """A level in between counts as the one below it."""
    logger.setLevel(1)
    logger.addHandler(MetlogHandler(MetlogClient(None, "app")))
    logger.log(level, "x")
    assert metlog_sent[0]["severity"] == severity


def test_an_exception_is_in_the_payload(
    logger: logging.Logger, metlog_sent: Sent
) -> None:
    """The traceback follows the message."""
    hook_logger(logger.name, MetlogClient(None, "app"))
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("ouch")
    payload = metlog_sent[0]["payload"]
    assert payload.startswith("ouch\nTraceback (most recent call last):\n")
    assert payload.endswith("ZeroDivisionError: division by zero")


def test_hooking_twice_is_hooking_once(
    logger: logging.Logger, metlog_sent: Sent
) -> None:
    """Each client gets a record once; two clients get one each."""
    client = MetlogClient(None, "one")
    for _ in range(2):
        hook_logger(logger.name, client)
        hook_logger(logger.name, MetlogClient(None, "two") if _ else client)
    logger.error("x")
    assert [msg["logger"] for msg in metlog_sent] == ["one", "two"]


def test_arguments_that_do_not_fit_raise_nothing(
    logger: logging.Logger, metlog_sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`logging` reports them as it always does."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    hook_logger(logger.name, MetlogClient(None, "app"))
    logger.info("%d", "three")
    assert metlog_sent == []


# -- metlog → logging ------------------------------------------------------------------


class TestStdLibLogging(SenderContract):
    sees_children = False

    @pytest.fixture(autouse=True)
    def _logger(self, logger: logging.Logger, kept: Kept) -> None:
        self.logger, self.kept = logger, kept

    def make_sender(self) -> Sender:
        return StdLibLoggingSender(self.logger.name)

    def counts(self) -> dict[str, float]:
        return add_up(json.loads(record.getMessage()) for record in self.kept.records)


def test_oldstyle_is_logged_as_text_and_the_rest_as_json(
    logger: logging.Logger, kept: Kept
) -> None:
    """The record also carries the message itself, as ``record.metlog``."""
    client = MetlogClient(StdLibLoggingSender(logger.name), "app")
    client.warning("100 %s")
    client.incr("a", 2)
    text, counter = kept.records
    assert (text.getMessage(), text.levelno) == ("100 %s", logging.WARNING)
    assert json.loads(counter.getMessage())["fields"] == {"name": "a", "rate": 1.0}
    assert counter.metlog["payload"] == "2"  # type: ignore[attr-defined]


def test_types_say_what_is_logged_and_how(logger: logging.Logger, kept: Kept) -> None:
    """A single type may be a text; what is in neither list is not logged."""
    sender = StdLibLoggingSender(logger.name, ["note", "oldstyle"], "timer")
    client = MetlogClient(sender, "app")
    client.metlog("note", payload="n")
    client.timer_send("t", 1)
    client.incr("not logged")
    client.metlog("other", payload="not logged")
    assert len(kept.records) == 2
    assert kept.records[0].getMessage() == "n"
    assert sender.ignores == {"counter", "gauge", "histogram", "updown"}


@pytest.mark.parametrize(
    ("severity", "level"),
    [(0, 50), (1, 50), (2, 50), (3, 40), (4, 30), (5, 20), (6, 20), (7, 10), (8, 30)],
)
def test_severities_are_levels(
    logger: logging.Logger, kept: Kept, severity: int, level: int
) -> None:
    """Everything worse than ERROR is CRITICAL; what is no severity is a WARNING."""
    MetlogClient(StdLibLoggingSender(logger.name), "app").metlog("x", severity=severity)
    assert kept.records[0].levelno == level


@pytest.mark.parametrize(
    "options",
    [
        {"logger_name": 5},
        {"logger_name": "\ud800"},  # a handler could not write it
        {"logger_name": "a.\udcff"},
        {"logger_name": "a\x00"},
        {"json_types": 5},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    """The error names the option."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        StdLibLoggingSender(**options)


def test_nothing_runs_in_circles(logger: logging.Logger, kept: Kept) -> None:
    """A logger may be hooked to the client that logs to it."""
    client = MetlogClient(StdLibLoggingSender(logger.name), "app")
    hook_logger(logger.name, client)
    logger.info("from logging")
    client.info("from metlog")
    said = [record.getMessage() for record in kept.records]
    assert said == ["from logging", "from logging", "from metlog"]


WAYS_TO_LOG = {
    "the same logger": lambda logger: logger.warning("sending"),
    "a child of it": lambda logger: logger.getChild("urllib3").debug("sending"),
    "an exception": lambda logger: logger.error("failed", exc_info=ValueError("x")),
    "twice": lambda logger: [logger.info("before"), logger.info("after")],
    "another client's handler": lambda logger: logger.getChild("other").info("x"),
}


@pytest.mark.parametrize("way", WAYS_TO_LOG)
@pytest.mark.parametrize("fails", [False, True])
def test_what_a_sender_logs_while_it_sends_a_record_is_no_record(
    way: str, fails: bool
) -> None:
    """One line of the application is one message, whatever the sender; and the next
    line is one again, also when the sender has raised."""
    logger = logging.getLogger(f"metlog.test.emitting.{way}.{fails}")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    sent: list[str] = []

    class Talkative:
        def send_message(self, msg: Message) -> None:
            assert len(sent) < 10
            sent.append(msg["payload"])
            WAYS_TO_LOG[way](logger)
            if fails:
                raise OSError

    client = MetlogClient(Talkative(), "app")
    hook_logger(logger.name, client)
    hook_logger(f"{logger.name}.other", MetlogClient(Talkative(), "other"))
    logger.warning("one")
    logger.warning("two")
    assert sent == ["one", "two"]


def test_another_threads_records_are_not_dropped_meanwhile() -> None:
    """The guard is for the thread that is in the handler."""
    logger = logging.getLogger("metlog.test.emitting.threads")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    sent: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    class Slow:
        def send_message(self, msg: Message) -> None:
            sent.append(msg["payload"])
            if msg["payload"] == "slow":
                inside.set()
                go_on.wait(60)

    client = MetlogClient(Slow(), "app")
    # Two handlers, as `logging` lets one thread at a time into each.
    hook_logger(logger.name, client)
    hook_logger(f"{logger.name}.other", client)
    other = logger.getChild("other")
    other.propagate = False
    thread = threading.Thread(target=logger.info, args=("slow",))
    thread.start()
    assert inside.wait(60)
    other.info("quick")
    go_on.set()
    thread.join(60)
    assert sent == ["slow", "quick"]


def test_another_greenlets_records_are_not_dropped_meanwhile() -> None:
    """Nor if gevent came after us: they share a thread then, but not a context."""
    logger = logging.getLogger("metlog.test.emitting.greenlets")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    sent: list[str] = []

    class Posts:
        def send_message(self, msg: Message) -> None:
            sent.append(msg["payload"])
            if msg["payload"] == "slow":
                Context().run(logger.info, "another greenlet's")
                logger.info("our own")

    hook_logger(logger.name, MetlogClient(Posts(), "app"))
    logger.info("slow")
    assert sent == ["slow", "another greenlet's"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.services
def test_a_childs_threads_are_not_taken_for_those_of_its_parent() -> None:
    """A new thread often has the identity of one that the fork left behind: here of one
    that was amid a log record, and amid a line of trouble."""
    logger = logging.getLogger("metlog.test.emitting.fork")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    sent: list[str] = []
    amid, go_on = threading.Barrier(3), threading.Event()

    class Slow:
        def send_message(self, msg: Message) -> None:
            sent.append(msg["payload"])
            if msg["payload"] == "slow":
                amid.wait(60)
                go_on.wait(60)

    class Stderr(io.StringIO):
        def write(self, text: str, /) -> int:
            if "slow" in text:
                amid.wait(60)
                go_on.wait(60)
            return super().write(text)

    hook_logger(logger.name, MetlogClient(Slow(), "app"))
    stderr = Stderr()

    def report(what: str) -> None:
        Diagnostics("test").report(what)

    def run(*calls: tuple[Callable[[str], object], str]) -> list[threading.Thread]:
        threads = [threading.Thread(target=call, args=(arg,)) for call, arg in calls]
        for thread in threads:
            thread.start()
        return threads

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stderr)
        threads = run((logger.info, "slow"), (report, "slow"))
        amid.wait(60)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            for n in range(5):
                for thread in run((logger.info, f"{n}"), (report, f"{n}")):
                    thread.join()
            lines = stderr.getvalue().count("\n")
            os._exit(0 if (lines, len(sent)) == (5, 6) else 1)
        status = os.waitpid(child, 0)[1]
        go_on.set()
        for thread in threads:
            thread.join()
    assert status == 0
