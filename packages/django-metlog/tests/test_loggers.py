# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import logging
import logging.config
from collections.abc import Callable, Iterator
from typing import Any

import pytest

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


def test_exceptions_that_take_no_mark_are_counted(
    logger: logging.Logger, sent: Any
) -> None:
    """Some refuse attributes."""

    class Frozen(Exception):  # noqa: N818
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    logger.error("one", exc_info=Frozen())
    assert sent.counters() == {"error.frozen": 1}


def test_generated_class_names_make_safe_metrics(
    logger: logging.Logger, sent: Any
) -> None:
    """A dot would make another metric of it, a colon none."""
    odd = type("Shop.Error: <1>", (Exception,), {})
    logger.error("odd", exc_info=odd())
    assert sent.counters() == {"error.shop_error_1": 1}


def test_a_site_without_a_client_can_log(
    logger: logging.Logger, no_client: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The handler never raises into the code that logs; logging says what failed."""
    logger.error("failed", exc_info=ValueError())
    assert "settings.METLOG is missing" in capsys.readouterr().err
