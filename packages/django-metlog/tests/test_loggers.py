# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import asyncio
import logging
import logging.config
import logging.handlers
import pickle
import queue
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import pytest
from asgiref.sync import sync_to_async

from django_metlog import checks
from django_metlog.loggers.errors import StatsdHandler

Fetch = Callable[..., Any]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger with the handler, configured as in a settings file."""
    logging.config.dictConfig(
        {
            "version": 1,
            "incremental": False,
            "disable_existing_loggers": False,
            "handlers": {
                "errors": {"class": "django_metlog.loggers.errors.StatsdHandler"}
            },
            "loggers": {"testsite": {"handlers": ["errors"]}},
        }
    )
    logger = logging.getLogger("testsite")
    yield logger
    logger.handlers.clear()


@pytest.fixture
def request_errors() -> Iterator[None]:
    """The handler on ``django.request``, as the original's page recommends."""
    handler = StatsdHandler()
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


def test_an_error_is_counted_by_its_class(logger: logging.Logger, sent: Any) -> None:
    """In lower case, as the original had it."""
    try:
        raise ValueError("x" * 100)
    except ValueError:
        logger.exception("failed")
    assert sent.counters() == {"error.valueerror": 1}


def test_what_a_view_raises_is_counted(
    fetch: Fetch, request_errors: None, sent: Any
) -> None:
    """Once, beside the 500 that the middleware counts."""
    fetch("/broken")
    assert sent.counters() == {"error.valueerror": 1, "response.500": 1}


@pytest.mark.parametrize("path", ["/missing", "/forbidden", "/bad"])
def test_answers_are_no_errors(
    fetch: Fetch, request_errors: None, sent: Any, path: str
) -> None:
    """Django logs them as warnings, some with their exception; the handler's level is
    ERROR unless the site says otherwise."""
    fetch(path)
    assert not [name for name in sent.counters() if name.startswith("error.")]


def test_the_level_can_be_set(sent: Any) -> None:
    """With ``'level'`` in the configuration."""
    handler = StatsdHandler(level="WARNING")
    logger = logging.getLogger("testsite.warnings")
    logger.addHandler(handler)
    try:
        raise KeyError
    except KeyError:
        logger.warning("odd", exc_info=True)
    assert sent.counters() == {"error.keyerror": 1}


@pytest.mark.parametrize("exc_info", [None, False, True, (None, None, None)])
def test_records_without_an_exception_are_not_counted(
    logger: logging.Logger, sent: Any, exc_info: Any
) -> None:
    """``exc_info=True`` where no exception is handled gives three Nones."""
    logger.error("no exception", exc_info=exc_info)
    assert sent == []


@pytest.mark.parametrize(
    "exc_info",
    [
        (),
        (ValueError,),
        (ValueError, "text", None),
        (ValueError, ValueError, None),
        (None, 5, None),
        ["a", "list"],
        "Traceback",
        5,
        object(),
        (Mock(), Mock(), Mock()),
    ],
)
def test_records_of_somebody_s_own(
    sent: Any, capsys: pytest.CaptureFixture[str], exc_info: Any
) -> None:
    """Made by hand, or of what came by a socket: nothing to count, nothing to say."""
    record = logging.makeLogRecord({"levelno": logging.ERROR, "exc_info": exc_info})
    StatsdHandler().handle(record)
    assert sent == []
    assert capsys.readouterr().err == ""


def test_one_exception_counts_once(logger: logging.Logger, sent: Any) -> None:
    """However often and by however many loggers it is logged."""
    child = logging.getLogger("testsite.child")
    child.addHandler(StatsdHandler())
    error = OSError()
    logger.error("first", exc_info=error)
    logger.error("second", exc_info=error)
    child.error("third, and passed on to the parent", exc_info=error)
    child.handlers.clear()
    assert sent.counters() == {"error.oserror": 1}


def test_exceptions_that_take_no_mark_are_counted(sent: Any) -> None:
    """Some refuse attributes, or say that they have none, or others."""

    class FrozenError(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    class BareError(Exception):
        @property
        def __dict__(self) -> Any:
            raise RuntimeError("not yours")

    class OtherError(Exception):
        __dict__: Any = {}

    class SilentError(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise AttributeError(name)

    kinds = (FrozenError, BareError, OtherError, SilentError)
    for error in [kind() for kind in kinds]:
        for _ in range(2):
            info = type(error), error, None
            StatsdHandler().handle(logging.makeLogRecord({"exc_info": info}))
    assert sent.counters() == {f"error.{kind.__name__.lower()}": 1 for kind in kinds}


def test_generated_class_names_make_safe_metrics(
    logger: logging.Logger, sent: Any
) -> None:
    """A dot would make another metric of it, a colon none."""
    odd = type("Shop.Error: <1>", (Exception,), {})
    logger.error("odd", exc_info=odd())
    assert sent.counters() == {"error.shop_error_1": 1}


def test_a_site_without_a_client_can_log(
    logger: logging.Logger,
    no_client: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The handler never raises into the code that logs; stderr says what is missing."""
    logger.error("failed", exc_info=ValueError())
    assert "settings.METLOG is missing" in capsys.readouterr().err


DOWN = ConnectionError("the pool is closed")


def give_up() -> None:
    """As a client library does that keeps its last error."""
    raise DOWN


def give_up_from_c() -> None:
    sorted([1], key=lambda _: give_up())  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("fail", [give_up, give_up_from_c])
def test_an_exception_that_is_raised_again_is_another_error(
    logger: logging.Logger, sent: Any, fail: Callable[[], None]
) -> None:
    """The object is the same, the failure is not: here, in a loop, and deeper."""
    for _ in range(3):
        try:
            fail()
        except ConnectionError:
            logger.exception("failed")
            logger.exception("told twice")
    assert sent.counters() == {"error.connectionerror": 3}


def test_one_object_raised_in_one_place(logger: logging.Logger, sent: Any) -> None:
    """In a loop, as a worker does."""
    for _ in range(4):
        try:
            raise DOWN
        except ConnectionError:
            logger.exception("failed")
    assert sent.counters() == {"error.connectionerror": 4}


def test_requests_that_fail_with_one_object(
    fetch: Fetch, request_errors: None, sent: Any, settings: Any
) -> None:
    """Five requests, five errors."""
    from django.urls import path

    def view(request: Any) -> None:
        give_up()

    settings.ROOT_URLCONF = (path("down", view),)
    for _ in range(5):
        fetch("/down")
    assert sent.counters() == {"error.connectionerror": 5, "response.500": 5}


def log_and_pass_on(logger: logging.Logger) -> None:
    try:
        give_up()
    except ConnectionError:
        logger.exception("on its way")
        raise


def log_and_raise_it(logger: logging.Logger) -> None:
    try:
        give_up()
    except ConnectionError as error:
        logger.exception("on its way")
        raise error  # what people write


def through_a_generator(logger: logging.Logger) -> None:
    @contextmanager
    def inside() -> Iterator[None]:
        try:
            yield
        except ConnectionError:
            logger.exception("on its way")
            raise

    with inside():
        give_up()


def through_a_thread(logger: logging.Logger) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(log_and_pass_on, logger).result()


def through_asyncio(logger: logging.Logger) -> None:
    async def main() -> None:
        await sync_to_async(log_and_pass_on)(logger)

    async def outer() -> None:
        await asyncio.gather(main())

    asyncio.run(outer())


@pytest.mark.parametrize(
    "way",
    [
        log_and_pass_on,
        log_and_raise_it,
        through_a_generator,
        through_a_thread,
        through_asyncio,
    ],
)
def test_an_exception_on_its_way_up_is_one_error(
    logger: logging.Logger, sent: Any, way: Callable[..., None]
) -> None:
    """Whoever logs it, and whichever threads and tasks it passes; each time."""
    for times in (1, 2):
        try:
            way(logger)
        except ConnectionError:
            logger.exception("at the top")
        assert sent.counters() == {"error.connectionerror": times}


@dataclass(frozen=True)
class FrozenError(Exception):
    code: int


class HostileError(Exception):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what logging looks for when it prints one
            raise AttributeError(name)
        raise RuntimeError(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError(name)


class SlottedError(Exception):
    __slots__ = ("code",)


@pytest.mark.parametrize("kind", [FrozenError, HostileError, SlottedError, KeyError])
def test_exceptions_stay_what_they_are(
    logger: logging.Logger, sent: Any, kind: type[Exception]
) -> None:
    """They are counted whatever they make of attributes; what is equal stays equal,
    and what can be pickled is."""
    for _ in range(2):
        error = kind(1)
        logger.error("failed", exc_info=error)
        logger.error("failed", exc_info=error)
        assert repr(error) == repr(kind(1))
        if kind not in (FrozenError, HostileError):
            other = pickle.loads(pickle.dumps(error))
            assert (type(other), other.args) == (kind, error.args)
    assert sent.counters() == {f"error.{kind.__name__.lower()}": 2}


def test_behind_a_queue_there_is_nothing_to_count(sent: Any) -> None:
    """A `QueueHandler` makes text of exceptions; the handler belongs beside it."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logger = logging.getLogger("testsite.queued")
    logger.addHandler(logging.handlers.QueueHandler(records))
    try:
        logger.error("failed", exc_info=ValueError())
    finally:
        logger.handlers.clear()
    StatsdHandler().handle(records.get())
    assert sent == []


def test_behind_a_queue_it_says_what_it_lacks(
    sent: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be counted there; that is told once a minute, not kept quiet."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logger = logging.getLogger("testsite.queued")
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, StatsdHandler())
    listener.start()
    try:
        for _ in range(3):
            try:
                raise ValueError("text")
            except ValueError:
                logger.exception("failed")
    finally:
        listener.stop()
        logger.handlers.clear()
        logger.propagate = True
    assert sent == []
    assert capsys.readouterr().err.splitlines() == [
        (
            "metlog: django-metlog: StatsdHandler cannot count a traceback without its "
            "exception: a QueueHandler removes it: put StatsdHandler beside that, on "
            "the logger itself"
        )
    ]


@pytest.mark.parametrize("before", ["", "no answer:\n"])
def test_a_traceback_that_is_logged_as_text(
    sent: Any, capsys: pytest.CaptureFixture[str], before: str
) -> None:
    """There is no queue to blame; the line says how to log the exception itself."""
    logger = logging.getLogger("testsite.plain")
    logger.propagate = False
    handler = StatsdHandler()
    logger.addHandler(handler)
    try:
        for _ in range(2):
            try:
                raise ValueError("text")
            except ValueError:
                text = before + traceback.format_exc()
                logger.error(text)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert sent == []
    assert capsys.readouterr().err == (
        "metlog: django-metlog: StatsdHandler cannot count a traceback without its "
        "exception: it was logged as text: log it with exc_info=True\n"
    )


@pytest.mark.parametrize(
    "message",
    [
        "failed",
        "Traceback",
        "expected 'Traceback (most recent call last):', got nothing",
        "100 %",
        None,
        5,
        ValueError("x"),
        ["Traceback"],
        b"%s",
        {"exception": "ValueError"},
        {"exception": None},
    ],
)
def test_what_is_no_traceback_is_no_reason(
    sent: Any, capsys: pytest.CaptureFixture[str], message: Any
) -> None:
    """Errors are logged without an exception all the time."""
    logger = logging.getLogger("testsite.plain")
    logger.propagate = False
    handler = StatsdHandler()
    logger.addHandler(handler)
    try:
        logger.error(message)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert sent == []
    assert capsys.readouterr().err == ""


def queued(handlers: list[str], behind: list[str]) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "errors": {"class": "django_metlog.loggers.errors.StatsdHandler"},
            "file": {"class": "logging.NullHandler"},
            "queue": {"class": "logging.handlers.QueueHandler", "handlers": behind},
        },
        "loggers": {"testsite.queued": {"handlers": handlers}},
    }


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (queued(["queue"], ["errors"]), ["django_metlog.W020"]),
        (queued(["queue"], ["file", "errors"]), ["django_metlog.W020"]),
        (queued(["queue", "errors"], ["file"]), []),
    ],
)
def test_a_check_tells_of_it(config: dict[str, Any], found: list[str]) -> None:
    """At start-up, where ``LOGGING`` says it; with the line to write."""
    if sys.version_info < (3, 12):  # puts no handlers behind one
        with pytest.raises(ValueError, match="queue"):
            logging.config.dictConfig(config)
        return
    logging.config.dictConfig(config)
    try:
        messages = checks.check()
        assert [one.id for one in messages] == found
        for one in messages:
            assert "'errors', a StatsdHandler, behind 'queue'" in one.msg
            assert "'handlers': ['queue', 'errors']" in str(one.hint)
    finally:
        logging.getLogger("testsite.queued").handlers.clear()
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})


def test_beside_a_queue_it_counts(
    sent: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each gets the record itself; what the queue's handler takes off is a copy's."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logger = logging.getLogger("testsite.beside")
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(records))
    logger.addHandler(StatsdHandler())
    try:
        logger.error("failed", exc_info=ValueError())
    finally:
        logger.handlers.clear()
        logger.propagate = True
    assert sent.counters() == {"error.valueerror": 1}
    assert capsys.readouterr().err == ""
