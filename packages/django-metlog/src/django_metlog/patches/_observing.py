# SPDX-License-Identifier: MPL-2.0
"""Functions that a worker calls now and then, for METLOG's current client."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django_metlog import conf
from django_metlog.patches._sending import survives
from metlog import MetlogClient
from metlog.catalogue import Metric

__all__ = ["Observations", "Question"]

Question = tuple[Metric, Callable[[], float], dict[str, str]]
"""A metric, what returns its value, and its parts."""


class Observations:
    """The questions of one patch. They move to the new client if METLOG is replaced."""

    def __init__(self) -> None:
        self._questions: list[Question] = []
        self._how: dict[str, Any] = {}
        self._client: MetlogClient | None = None
        self._observed: list[Any] = []
        conf.on_change(survives(self._follow))

    def __bool__(self) -> bool:
        return bool(self._questions)

    def start(self, questions: Iterable[Question], **how: Any) -> None:
        """Have them asked, as `MetlogClient.observe` does, unless they already are."""
        if not self:
            self._questions, self._how = list(questions), how
            self._follow()

    def stop(self) -> None:
        """Have nothing asked any more. Idempotent."""
        self._questions = []
        self._follow()

    def _follow(self) -> None:
        client = conf.client_or_inert() if self else None
        if client is self._client:
            return
        self._client = client
        while self._observed:
            self._observed.pop().stop()
        if client is not None:
            self._observed = [
                client.observe(*question, **self._how) for question in self._questions
            ]
