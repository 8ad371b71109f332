# SPDX-License-Identifier: MPL-2.0
"""The tests' Django is the one of ``testsite``: one pytest process for each package."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import hypothesis
import pytest

from metlog import MetlogClient, capture, catalogue
from metlog.diagnostics import Diagnostics
from metlog.senders import DebugCaptureSender

sys.path.insert(0, str(Path(__file__).parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "testsite.settings"
django.setup()

from sending import Fetch, Sent, fetch_asgi, fetch_wsgi  # noqa: E402

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("metlog", deadline=None)
hypothesis.settings.load_profile("metlog")


@pytest.fixture
def no_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A site without ``settings.METLOG``."""
    from django.conf import settings

    from django_metlog import conf

    monkeypatch.delattr(settings, "METLOG")
    conf.clear_cache()
    yield
    conf.clear_cache()


@pytest.fixture(params=["wsgi", "asgi"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """``fetch(path, method="GET", **environ)``: once under WSGI, once under ASGI.

    Exceptions become responses, as on a server.
    """
    return fetch_wsgi if request.param == "wsgi" else fetch_asgi


@pytest.fixture(autouse=True)
def sent() -> Iterator[Sent]:
    """What this test sends; it fails when a metric is not in the catalogue."""
    collected = Sent()
    with capture.collecting(collected.collect, everywhere=True):
        yield collected
    unknown = {
        f"{one.kind} {one.name}"
        for one in collected.captured
        if one.kind != "message" and catalogue.find(one.kind, one.name) is None
    }
    assert not unknown, f"not declared in django_metlog.catalogue: {sorted(unknown)}"


@pytest.fixture(autouse=True)
def nothing_reported() -> None:
    """As in a process that has just begun: each trouble is told once a minute, and a
    test before this one may have had the same."""
    for name, module in list(sys.modules.items()):
        if name.startswith("django_metlog"):
            for value in vars(module).values():
                if isinstance(value, Diagnostics):
                    value._last.clear()


@pytest.fixture
def asked(settings: Any) -> Any:
    """``asked(patch)``: what the patch's questions are answered with, asked now."""
    observed: list[tuple[str, str, Any, float]] = []

    class Client(MetlogClient):
        def observe(
            self, name: Any, function: Any, fields: Any = None, **how: Any
        ) -> Any:
            shown = {label: fields[label] for label in name.fields}
            observed.append((name.kind, name.dotted(fields), shown, function()))
            return self

        def stop(self) -> None:
            observed.append(("stop", "", None, 0))

    settings.METLOG = Client(DebugCaptureSender(), "asked")

    def ask(patch: ModuleType) -> list[tuple[str, str, Any, float]]:
        observed.clear()
        patch.patch()
        patch.patch()
        found = list(observed)
        patch.unpatch()
        assert len(observed) == 2 * len(found)
        return found

    return ask
