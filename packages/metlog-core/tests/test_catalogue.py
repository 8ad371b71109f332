# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest

from metlog import catalogue
from metlog.catalogue import Metric


@pytest.fixture(autouse=True)
def empty_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(catalogue, "_metrics", {})
    catalogue.find.cache_clear()
    yield
    catalogue.find.cache_clear()


def counter(name: str) -> Metric:
    return Metric(name, "counter", "things", f"meaning of {name}")


def test_a_name_is_found_through_its_family() -> None:
    """A placeholder stands for exactly one dotted segment, one with dots for more."""
    declared = [counter("response.<status>"), counter("view.<module...>.<METHOD>")]
    catalogue.declare(*declared)

    assert catalogue.find("counter", "response.200") == declared[0]
    assert catalogue.find("counter", "view.shop.views.index.GET") == declared[1]
    assert catalogue.find("counter", "response.auth.200") is None
    assert catalogue.find("counter", "view.GET") is None
    assert catalogue.find("timer", "response.200") is None


def test_dots_are_dots() -> None:
    """Literal parts are compared as they are, not as patterns."""
    catalogue.declare(counter("a.b"))
    assert catalogue.find("counter", "axb") is None


def test_the_most_literal_declaration_wins() -> None:
    """`response.cancelled` is itself, though `response.<status>` would fit."""
    catalogue.declare(counter("response.<status>"), counter("response.cancelled"))
    found = catalogue.find("counter", "response.cancelled")
    assert found is not None
    assert found.name == "response.cancelled"


def test_declaring_after_a_miss_is_seen() -> None:
    """Packages declare when they are loaded, whatever was asked before."""
    assert catalogue.find("counter", "late") is None
    catalogue.declare(counter("late"))
    assert catalogue.find("counter", "late") is not None


def test_metrics_come_sorted_and_once() -> None:
    """Declaring twice, as a reload does, keeps one entry."""
    catalogue.declare(counter("b"), counter("a"))
    catalogue.declare(counter("b"))
    assert [metric.name for metric in catalogue.metrics()] == ["a", "b"]
