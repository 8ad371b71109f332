# SPDX-License-Identifier: MPL-2.0
"""How the lines of a series look, for StatsD and for DogStatsD."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

from metlog._aggregate.series import Series
from metlog._lookalikes import Lookalikes
from metlog.shapes import Namesakes, Report, Shape, Shaped
from metlog.wire.statsd import rate_part, safe_name, tags_part
from metlog.wire.text import as_text

__all__ = ["Form", "Forms"]


class Form(NamedTuple):
    """How the lines of a series look; shared by all series that differ only in name."""

    head: str | None
    """What comes before a value; None for the prefix and the series' own name."""
    tail: str
    """What comes after it."""
    scale: float = 1
    """What values are multiplied by."""
    share: float = 1.0
    """The share of values that a rule wants to be sent."""


class Forms:
    """The forms of what one sender sends."""

    def __init__(
        self,
        shape: Shape,
        prefix: str,
        surroundings: tuple[Mapping[str, Any], str],
        *,
        dogstatsd: bool,
        distributions: bool,
        max_series: int,
        report: Report,
    ) -> None:
        """``surroundings`` has tags for every line, and what goes at its end;
        ``max_series`` is the most series there can be."""
        self._shape = shape
        self._prefix = prefix
        self._tags, self._suffix = surroundings
        self._is_dogstatsd = dogstatsd
        wide = "d" if distributions else ""
        self._letters: Mapping[str, str] = {
            "counter": "c",
            "gauge": "g",
            "timer": wide or "ms",
            "histogram": wide or ("h" if dogstatsd else "ms"),
        }
        numbers = count(1)
        self._namesakes = {
            letter: Namesakes(report, numbers)
            for letter in ("", *self._letters.values())
        }
        self._lookalikes = Lookalikes("gauges whose tags are written alike are one")
        self._max_series = max_series
        self._report = report
        self._forms: dict[Series, Form | None] = {}
        self._common: dict[Form, Form] = {}

    def of(self, series: Series) -> Form | None:
        """Return its form, or None if it is not sent because this shape leaves it out.
        Raises ValueError for a name that has no text but dots."""
        try:
            return self._forms[series]
        except KeyError:
            pass
        form = None
        shaped = self._shape.of(series)
        safe = "" if shaped is None else safe_name(shaped.name)
        if shaped is not None and not safe:
            raise ValueError(f"expected a name of more than dots, got {shaped.name!r}")
        if shaped is not None and not self._is_overwritten(series, shaped):
            kind = series.kind
            # Plain StatsD tells metrics apart by their letter, which some kinds share.
            letter = "" if self._is_dogstatsd else self._letters[kind]
            self._namesakes[letter].watch(safe, kind, shaped.name)
            form = self._new(series, shaped, safe)
        if len(self._forms) >= 2 * self._max_series:
            self.clear()
        self._forms[series] = form
        return form

    def head(self, series: Series, form: Form) -> str:
        """Return what comes before a value of that series."""
        return form.head or self._prefix + series.name

    def clear(self) -> None:
        """Forget all forms, which are only a cache."""
        self._forms.clear()
        self._common.clear()

    def _new(self, series: Series, shaped: Shaped, name: str) -> Form:
        tags = ""
        if self._is_dogstatsd:
            tags = tags_part({**self._tags, **shaped.attributes}, self._shape.tell_lost)
            if series.kind == "gauge":
                written = f"{name}{tags}"
                self._lookalikes.watch(written, shaped.attributes, self._report)
        kind = self._letters[series.kind]
        # For values the rate is only known once they are sampled.
        middle = rate_part(series.rate) if series.kind == "counter" else ""
        head = None if name == series.name else f"{self._prefix}{name}"
        tail = f"|{kind}{middle}{tags}{self._suffix}"
        form = Form(head, tail, shaped.scale, shaped.rate)
        if head is None and not tags:
            return self._common.setdefault(form, form)
        return form

    def _is_overwritten(self, series: Series, shaped: Shaped) -> bool:
        """Return whether it is a level that each process reports under one name."""
        if not (series.observed and series.kind == "gauge"):
            return False
        pid = str(os.getpid())
        told = [shaped.name]
        if self._is_dogstatsd:
            told = [as_text(value) for value in shaped.attributes.values()]
        if any(pid in re.findall(r"[0-9]+", text) for text in told):
            return False
        if series.metric is not None:  # declared for backends that know processes
            return True
        self._report(
            "a gauge of each process is not sent: observe it with once_per_host=True, "
            "or put the process's id in its name (for DogStatsD in a field)",
            shaped.name[:100],
        )
        return True
