# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from metlog_toolbar._graph import GAP, HEIGHT, WIDTH, Series, draw


def test_line():
    """A series goes from the left edge to the right, its highest value at the top."""
    graph = draw([Series("mean", [(0, 0.0), (60, 5.0), (120, 10.0)])])

    assert graph is not None
    [line] = graph.lines
    assert line.path == "M0.0 120.0L300.0 60.0L600.0 0.0"
    assert (line.last, line.highest) == (10.0, 10.0)


def test_gap():
    """A long time without values breaks the line; a lone value is a dot."""
    points = [
        (0, 1.0),
        (GAP, None),
        (GAP + 1, 1.0),
        (2 * GAP, None),
        (2 * GAP + 2, 1.0),
    ]
    graph = draw([Series("mean", points)])

    assert graph is not None
    [line] = graph.lines
    assert (line.path, line.dots) == ("", "M0.0 0.0h0M300.0 0.0h0M600.0 0.0h0")


def test_line_and_dot():
    """What has neighbours is drawn thin, what has none as a dot that can be seen."""
    points = [(0, 1.0), (GAP, 2.0), (3 * GAP, 2.0), (5 * GAP, 1.0), (6 * GAP, 1.0)]
    graph = draw([Series("mean", points)])

    assert graph is not None
    [line] = graph.lines
    assert line.path == "M0.0 60.0L100.0 0.0M500.0 60.0L600.0 60.0"
    assert line.dots == "M300.0 0.0h0"


def test_rare_values():
    """A key that is sent now and then is a line all the same."""
    graph = draw([Series("mean", [(0, 1.0), (10, None), (20, 1.0)])])

    assert graph is not None
    assert graph.lines[0].path == "M0.0 0.0L600.0 0.0"


def test_common_scale():
    """Series of one graph share its scale."""
    graph = draw([Series("lower", [(0, 5.0)]), Series("upper_90", [(0, 10.0)])])

    assert graph is not None
    assert [line.dots for line in graph.lines] == ["M0.0 60.0h0", "M0.0 0.0h0"]


def test_mark():
    """The value to compare with is a line of its own, at its height."""
    graph = draw([Series("mean", [(0, 10.0)])], 5.0)
    higher = draw([Series("mean", [(0, 10.0)])], 20.0)

    assert graph is not None
    assert higher is not None
    assert graph.mark == 60.0
    assert (higher.mark, higher.top) == (0.0, 20.0)


def test_far_mark():
    """A value far beyond the series is not marked: it would press them flat."""
    graph = draw([Series("mean", [(0, 10.0)])], 500.0)

    assert graph is not None
    assert (graph.mark, graph.top) == (None, 10.0)


def test_nothing_to_draw():
    """Without a single value there is no graph."""
    assert draw([]) is None
    assert draw([Series("mean", [(0, None)])]) is None


values = st.none() | st.floats(0, 1e300)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2**40), values)), max_size=4),
    st.none() | st.floats(0, 1e300),
)
def test_any_series(points, value):
    """Every coordinate lies within the graph."""
    graph = draw([Series(str(n), one) for n, one in enumerate(points)], value)

    if graph is None:
        return
    for line in graph.lines:
        pairs = re.findall(r"[ML]([\d.]+) ([\d.]+)", line.path + line.dots)
        assert pairs
        assert all(0 <= float(x) <= WIDTH for x, _ in pairs)
        assert all(0 <= float(y) <= HEIGHT for _, y in pairs)
