# SPDX-License-Identifier: MPL-2.0
"""Records as structlog makes them, whose message is a dict or has been rendered."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from django_metlog.loggers.errors import StatsdHandler


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("testsite.structlog")
    handler = StatsdHandler()
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def _in_words(error: BaseException) -> Any:
    return type(error), error, error.__traceback__


@pytest.mark.parametrize(
    ("exc_info", "counts"),
    [
        (lambda error: True, True),
        (lambda error: 1, True),
        (lambda error: error, True),
        (_in_words, True),
        (lambda error: sys.exc_info(), True),
        (lambda error: None, False),
        (lambda error: False, False),
        (lambda error: 0, False),
        (lambda error: (None, None, None), False),
        (lambda error: "ValueError", False),
        (lambda error: type(error), False),
        (lambda error: [error], False),
    ],
)
def test_an_exception_in_a_dict_is_counted(
    logger: logging.Logger, sent: Any, exc_info: Callable[..., Any], counts: bool
) -> None:
    """structlog's ``wrap_for_formatter`` logs a dict and leaves the exception in it."""
    for _ in range(2):
        try:
            raise ValueError("text")
        except ValueError as error:
            logger.error({"event": "failed", "exc_info": exc_info(error)})
            logger.error({"event": "again", "exc_info": exc_info(error)})
    assert sent.counters() == ({"error.valueerror": 2} if counts else {})


def test_a_dict_of_somebody_s_own(
    logger: logging.Logger, sent: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have anything in it, and may be any kind of dict."""

    class Rude(dict[str, Any]):
        def get(self, *args: object) -> Any:
            raise RuntimeError("rude")

        __getitem__ = __contains__ = get

    logger.error({"event": "failed", "exc_info": True})  # no exception is handled
    logger.error(Rude(exc_info=ValueError()))
    logger.error({"event": "failed", "exc_info": Mock()})
    logger.error({"event": "failed"})
    logger.error({})
    assert sent.counters() == {"error.valueerror": 1}
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "render",
    [
        lambda text: {"event": "failed", "exception": text},
        lambda text: json.dumps({"event": "failed", "exception": text}),
        lambda text: json.dumps({"exception": text, "level": "error"}, indent=1),
        lambda text: f"event='failed' exception={text!r}",
        lambda text: {"event": "failed", "exception": [{"exc_type": "ValueError"}]},
    ],
)
def test_a_traceback_that_a_processor_has_rendered(
    logger: logging.Logger,
    sent: Any,
    capsys: pytest.CaptureFixture[str],
    render: Callable[[str], Any],
) -> None:
    """structlog's ``format_exc_info`` and renderers leave text; the line says so."""
    for _ in range(2):
        try:
            raise ValueError("text")
        except ValueError:
            logger.error(render(traceback.format_exc()))
    assert sent == []
    assert capsys.readouterr().err == (
        "metlog: django-metlog: StatsdHandler cannot count a traceback without its "
        "exception: a processor has made text of it: leave that to the handlers' "
        "formatter, as with structlog's ProcessorFormatter\n"
    )
