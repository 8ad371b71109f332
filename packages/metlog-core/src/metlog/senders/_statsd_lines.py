# SPDX-License-Identifier: MPL-2.0
"""What happened, on its way into the lines of StatsD."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from metlog._aggregate.sampling import Reservoir, sample
from metlog._aggregate.series import News, Series, as_milliseconds
from metlog.senders._statsd_backlog import Backlog
from metlog.senders._statsd_forms import Form, Forms
from metlog.wire.statsd import number, rate_part

__all__ = ["Lines"]

MAX_BACKLOG = 16 * 2**20
"""Bytes of lines that may wait, after a burst or because the reader is slow."""

_MAX = sys.float_info.max


class Lines:
    """Counters and gauges are added up until their interval is over; values become
    lines at once, or a sample of them after a second.

    What cannot become a line is counted by ``lose``, which takes calls, a reason and a
    detail.
    """

    def __init__(
        self,
        forms: Forms,
        lose: Callable[[int, str, object], None],
        *,
        dogstatsd: bool,
        packed: bool,
        max_packet: int,
        max_timings: int,
    ) -> None:
        """``packed`` puts several values into a line, ``max_packet`` is the most bytes
        of a line, and ``max_timings`` the most values of a series in a second."""
        self._forms = forms
        self._lose = lose
        self._is_dogstatsd = dogstatsd
        self._packed = packed
        self._max_packet = max_packet
        self._max_timings = max_timings
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.backlog = Backlog(self._max_packet)
        self.calls = 0
        """Calls that came in and were not lost here, delivered or not."""
        self._sums: dict[tuple[str, str], tuple[float, int]] = {}
        self._levels: dict[tuple[str, str], tuple[float, int]] = {}
        self._allowances: dict[Series, tuple[float, float]] = {}
        self._reservoirs: dict[Series, Reservoir] = {}
        self._sampled_since: dict[Series, float] = {}

    @property
    def are_sampled(self) -> bool:
        """Whether values wait until their second is over."""
        return bool(self._sampled_since)

    def add(self, news: News, now: float) -> None:
        """Take what happened to one series, either all of it or nothing."""
        form = self._forms.of(news.series)
        if form is None:
            return
        before = self.calls
        try:
            self.calls += news.calls
            if news.series.kind in ("counter", "gauge"):
                self._add_up(news, form)
            else:
                self._add_values(news, form, now)
        except Exception:
            self.calls = before
            raise

    def add_sums(self) -> None:
        """Turn counters and gauges of an interval that is over into lines."""
        sums, self._sums = self._sums, {}
        for (head, tail), (value, calls) in sums.items():
            if _is_finite(value):
                self._add_line(f"{head}:{number(value)}{tail}".encode(), calls)
            else:
                self._drop_beyond(calls, head)
        levels, self._levels = self._levels, {}
        for (head, tail), (value, calls) in levels.items():
            if not _is_finite(value):
                self._drop_beyond(calls, head)
                continue
            line = f"{head}:{number(value)}{tail}"
            if value < 0 and not self._is_dogstatsd:
                # A bare sign would mean a change, so set it to 0 first. Both go into
                # one datagram, or a flush of the server between them would show 0.
                line = f"{head}:0{tail}\n{line}"
            self._add_line(line.encode(), calls)

    def add_samples(self, now: float, *, everything: bool) -> None:
        """Turn what was sampled for a second into lines."""
        for series, since in list(self._sampled_since.items()):
            if not (everything or now - since >= 1.0):
                continue
            del self._sampled_since[series]
            reservoir = self._reservoirs.pop(series)
            form = self._forms.of(series)
            if form is not None:
                self._add_entries(series, form, reservoir.kept, reservoir.seen)

    # -- inside ------------------------------------------------------------------------

    def _add_up(self, news: News, form: Form) -> None:
        series = news.series
        key = self._forms.head(series, form), form.tail
        if series.kind == "counter":
            total, calls = self._sums.get(key, (0, 0))
            value = total + news.value * form.scale
            self._sums[key] = value, calls + news.calls
        else:
            calls = self._levels.get(key, (0, 0))[1]
            self._levels[key] = news.value * form.scale, calls + news.calls

    def _add_values(self, news: News, form: Form, now: float) -> None:
        series = news.series
        if form.share < 1.0:
            news = self._thinned(news, form.share)
            if not news.entries:
                return
        reservoir, count = self._reservoirs.get(series), len(news.entries)
        if reservoir is None and (
            news.spilled is not None or self._is_too_many(series, count, now)
        ):
            # A uniform sample of a second needs the whole second.
            reservoir = self._reservoirs[series] = Reservoir(self._max_timings)
            self._sampled_since.setdefault(series, now)
        if reservoir is None:
            self._add_entries(series, form, news.entries, count)
            return
        reservoir.add(news.entries)
        if news.spilled is not None:
            reservoir.add(news.spilled.kept, news.spilled.seen)

    def _is_too_many(self, series: Series, count: int, now: float) -> bool:
        """Return whether that makes more than ``max_timings`` a second."""
        limit = float(self._max_timings)
        left, since = self._allowances.get(series, (limit, now))
        left = min(limit, left + (now - since) * limit) - count
        if left < limit * 0.75:  # few series come near the limit: remember only those
            self._allowances[series] = max(0.0, left), now
        else:
            self._allowances.pop(series, None)
        return left < 0

    def _add_entries(
        self, series: Series, form: Form, entries: Sequence[float], seen: int
    ) -> None:
        """Add lines for entries: all there were, or a sample of ``seen``."""
        if series.kind == "timer":
            entries = as_milliseconds(entries, series.decimals)
        if form.scale != 1:
            entries = [entry * form.scale for entry in entries]
        # The same as `_is_finite`, without a call for each value.
        values = [number(entry) for entry in entries if -_MAX <= entry <= _MAX]
        head, tail = self._forms.head(series, form), form.tail
        if len(values) < len(entries):
            self._drop_beyond(len(entries) - len(values), head)
        rate = min(series.rate, 1.0) * form.share
        if len(entries) < seen:
            rate *= len(entries) / seen
            left_out = seen - len(entries)
            self._drop(left_out, "many values of one series, sampled", series.name)
        if rate < 1.0:
            kind, bar, rest = tail[1:].partition("|")
            tail = f"|{kind}{rate_part(rate)}{bar}{rest}"
        if self._packed:
            self._pack_values(head, values, tail)
        elif values:
            self._add_lines(head, values, tail)

    def _thinned(self, news: News, share: float) -> News:
        """Return a sample, as a rule wants: what is left out does not count as lost."""
        entries, spilled = list(news.entries), news.spilled
        calls = len(entries)
        if spilled is not None:
            entries += spilled.kept
            share *= (calls + spilled.seen) / max(1, calls + len(spilled.kept))
            calls += spilled.seen
        entries = sample(entries, min(1.0, share))
        self.calls -= calls - len(entries)
        return news._replace(entries=entries, spilled=None)

    def _pack_values(self, head: str, values: list[str], tail: str) -> None:
        """Add lines of several values, each of at most ``max_packet`` bytes."""
        room = self._max_packet - len(head.encode()) - len(tail.encode())
        batch: list[str] = []
        size = 0
        for value in values:
            if batch and size + len(value) + 1 > room:
                self._add_line(f"{head}:{':'.join(batch)}{tail}".encode(), len(batch))
                batch, size = [], 0
            batch.append(value)
            size += len(value) + 1
        if batch:
            self._add_line(f"{head}:{':'.join(batch)}{tail}".encode(), len(batch))

    def _add_lines(self, head: str, values: list[str], tail: str) -> None:
        """Add a line for each value, usually all at once, because there is room."""
        lines = [f"{head}:{value}{tail}".encode() for value in values]
        size = sum(map(len, lines)) + len(lines)
        if (
            max(map(len, lines)) <= self._max_packet
            and self.backlog.size + size <= MAX_BACKLOG
        ):
            self.backlog.add_all(lines, size)
            return
        for line in lines:
            self._add_line(line, 1)

    def _add_line(self, line: bytes, calls: int) -> None:
        if len(line) > self._max_packet:
            self._drop(calls, "name too long for a datagram, dropped", line)
        elif self.backlog.size > MAX_BACKLOG:
            self._drop(calls, "backlog full, dropped", f"{MAX_BACKLOG} bytes")
        else:
            self.backlog.add(line, calls)

    def _drop_beyond(self, calls: int, head: str) -> None:
        self._drop(calls, "too large for a float, dropped", head)

    def _drop(self, calls: int, why: str, detail: str | bytes) -> None:
        self.calls -= calls
        self._lose(calls, why, detail[:100])


def _is_finite(value: float) -> bool:
    """Return whether a float can hold it; it may be an int of any size."""
    return -_MAX <= value <= _MAX
