# SPDX-License-Identifier: MPL-2.0
"""The tests' Django is the one of ``site``: one pytest process for each package."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import django
import hypothesis
import pytest

from metlog.testing import HttpAnswer, HttpReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parent / "site"))
os.environ["DJANGO_SETTINGS_MODULE"] = "testsite.settings"
django.setup()

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("metlog", deadline=None)
hypothesis.settings.load_profile("metlog")


@pytest.fixture(autouse=True)
def empty_store() -> Iterator[None]:
    from debug_toolbar.store import get_store

    yield
    get_store().clear()


class Web(HttpReceiver):
    """A Graphite or a Prometheus, as far as anybody asks for its data."""

    def __init__(self) -> None:
        super().__init__()
        self.url += "/render/"

    @property
    def asked(self) -> list[dict[str, list[str]]]:
        """The query of each request."""
        return [parse_qs(urlsplit(request.path).query) for request in self.requests]

    def sends(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Give this answer to every request."""
        self.answer = HttpAnswer(status, headers, body)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server
