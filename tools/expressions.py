# SPDX-License-Identifier: MPL-2.0
"""Check by counting steps that a package's regular expressions are linear.

Python's own engine does not tell what it did, and its time depends on the machine. So
this is a slow engine that does the same as that of `re`: it walks the tree that `re`
itself makes of an expression, tries the same things in the same order, and counts each
look at a character.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

__all__ = ["in_source", "not_linear", "steps", "unknown"]

Text = str | bytes


# -- the expressions of a package --------------------------------------------------


def in_source(package: Path) -> dict[tuple[str, str], re.Pattern[Any] | None]:
    """Return the expressions that are passed to `re`, by file, as they are written.

    None stands for one that is put together at run time. This only finds calls of
    ``re.something``, so nothing may be imported from `re`.
    """
    found: dict[tuple[str, str], re.Pattern[Any] | None] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "re":
                raise AssertionError(f"{name}: expected 'import re', got 'from re'")
            if isinstance(node, ast.Import):
                for one in node.names:
                    if one.name == "re" and one.asname:
                        raise AssertionError(f"{name}: expected 're', got {one.asname}")
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "re"
                and node.func.attr not in {"escape", "purge"}
            ):
                written, expression = _given(node)
                if found.setdefault((name, written), expression) != expression:
                    raise AssertionError(f"{name}: {written!r} with two kinds of flags")
    return found


def unknown(package: Path, table: Mapping[tuple[str, str], object]) -> set[Any]:
    """Return what is only in the source, or only in the table."""
    return in_source(package).keys() ^ table.keys()


def _given(call: ast.Call) -> tuple[str, re.Pattern[Any] | None]:
    first = call.args[0]
    if not isinstance(first, ast.Constant):
        return ast.unparse(first), None
    flags = [
        one
        for one in [*call.args[1:], *(keyword.value for keyword in call.keywords)]
        if re.fullmatch(r"re\.[A-Z]+( \| re\.[A-Z]+)*", ast.unparse(one))
    ]
    value = re.RegexFlag(0)
    for one in flags:
        for name in ast.unparse(one).split(" | "):
            value |= re.RegexFlag[name.removeprefix("re.")]
    text = first.value
    written = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    return written, re.compile(text, value)


# -- what is hostile ---------------------------------------------------------------


def not_linear(expression: re.Pattern[Any], words: Sequence[str]) -> Iterator[str]:
    """Return which inputs cost more than in proportion to their length.

    ``words`` are what an attacker would repeat. Each of them is repeated, and so is any
    short text of the characters between which the expression distinguishes.
    """
    times = _times(expression)
    for how, (head, pump, tail) in product(_HOW, _inputs(expression, words)):
        texts = [_as(expression, head + pump * many + tail) for many in times]
        text = f"{how} {head + pump + '…' + tail!r}"
        try:
            few, more, many = (steps(expression, one, how) for one in texts)
        except TooManyStepsError:
            yield f"{text}: more than a thousand steps for each character"
            continue
        # On a line, three equidistant points differ by the same amount, except for what
        # the end costs. On a parabola that is at least the square of their distance.
        if (many - more) - (more - few) > 4 * times[0]:
            yield f"{text}: {few}, {more}, {many} steps"


_HOW = ("fullmatch", "findall")
"""Each expression is tried both ways, because its use may change from one to the other.
`search`, `sub` and `split` start at the same places as `findall`, `match` only at the
first."""


def _times(expression: re.Pattern[Any]) -> tuple[int, int, int]:
    """Return how often to repeat an input: beyond any limit in the expression.

    A limit of more than a few dozen does not count: no expression may need it to be
    linear.
    """
    limits = [16, *_limits(_tree(expression))]
    step = 2 * max(limit for limit in limits if limit <= 64)
    return step, 2 * step, 3 * step


def _inputs(
    expression: re.Pattern[Any], words: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    letters = sorted({*_letters(_tree(expression)), "!"})
    pairs = list(map("".join, product(letters, letters)))[:_MOST]
    for pump in dict.fromkeys([*words, *letters, *pairs]):
        for start in [""] if pump in pairs else ["", *words]:
            for end in ("", "!"):
                yield start, pump, end


_MOST = 100
"""The number of pairs of characters to repeat for one expression."""


def _as(expression: re.Pattern[Any], text: str) -> Text:
    return text.encode() if isinstance(expression.pattern, bytes) else text


def _letters(tree: Any) -> Iterator[str]:
    """Yield one character of each kind between which the expression distinguishes."""
    for kind, argument in tree:
        if kind in (_constants.LITERAL, _constants.NOT_LITERAL):
            yield chr(argument)
        elif kind is _constants.RANGE:
            yield chr(argument[0])
        elif kind is _constants.CATEGORY:
            yield {"DIGIT": "1", "SPACE": " ", "WORD": "a"}[
                str(argument).split("_")[-1]
            ]
        elif kind is _constants.IN:
            yield from list(_letters(argument))[:8]
        else:
            for part in _parts(argument):
                yield from _letters(part)


def _limits(tree: Any) -> Iterator[int]:
    for kind, argument in tree:
        if kind in _REPEATS and argument[1] is not _constants.MAXREPEAT:
            yield int(argument[1])
        if kind is not _constants.IN:
            for part in _parts(argument):
                yield from _limits(part)


def _parts(argument: Any) -> Iterator[Any]:
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for one in argument:
            yield from _parts(one)


# -- the engine --------------------------------------------------------------------


def steps(expression: re.Pattern[Any], text: Text, how: str = "match") -> int:
    """Count the looks at characters that a match takes, and check that `re` agrees."""
    engine = _Engine(expression, text)
    if how == "findall":
        found, wanted = engine.findall(), [m.span() for m in expression.finditer(text)]
        assert found == wanted, (expression, text, found, wanted)
    else:
        end = engine.end(0, full=how == "fullmatch")
        match = getattr(expression, how)(text)
        assert end == (match and match.end()), (expression, text, end, match)
    return engine.steps


class TooManyStepsError(Exception):
    """There are so many steps that counting them all would take too long."""


_REPEATS = (
    _constants.MAX_REPEAT,
    _constants.MIN_REPEAT,
    _constants.POSSESSIVE_REPEAT,
)
_LOOKS = (
    _constants.LITERAL,
    _constants.NOT_LITERAL,
    _constants.ANY,
    _constants.IN,
    _constants.AT,
)


class _Engine:
    """A text, and how many looks at it were needed."""

    def __init__(self, expression: re.Pattern[Any], text: Text) -> None:
        self.steps = 0
        self._tree = _tree(expression)
        self._text = text

    def findall(self) -> list[tuple[int, int]]:
        """Return where matches start and end, from left to right."""
        found: list[tuple[int, int]] = []
        place, longer = 0, False
        while place <= len(self._text):
            end = self.end(place, longer=longer)
            if end is None:
                place, longer = place + 1, False
            else:
                found.append((place, end))
                # An empty match may be followed by one that is not, at the same place.
                place, longer = end, place == end
        return found

    def end(self, place: int, full: bool = False, longer: bool = False) -> int | None:
        """Return where a match ends that starts at this place."""
        for end in self._sequence(self._tree, 0, place):
            if (not full or end == len(self._text)) and (not longer or end > place):
                return end
        return None

    def _step(self) -> None:
        self.steps += 1
        if self.steps > 1000 * (len(self._text) + 10):
            raise TooManyStepsError

    def _sequence(self, tree: Any, at: int, place: int) -> Iterator[int]:
        """Yield where the rest of a sequence may end, in order of preference."""
        if at == len(tree):
            yield place
            return
        for end in self._one(tree, at, place):
            yield from self._sequence(tree, at + 1, end)

    def _one(self, tree: Any, at: int, place: int) -> Iterator[int]:
        kind, argument = tree[at]
        if kind in _LOOKS:
            self._step()
            found = _looker(tree, at)(self._text, place)
            if found is not None:
                yield found.end()
        elif kind in _REPEATS:
            if kind is not _constants.MAX_REPEAT:
                raise NotImplementedError(f"teach {__name__} what {kind} is")
            least, most, inner = argument
            yield from self._repeat(least, most, inner, place)
        elif kind is _constants.BRANCH:
            for branch in argument[1]:
                yield from self._sequence(branch, 0, place)
        elif kind is _constants.SUBPATTERN:
            yield from self._sequence(argument[-1], 0, place)
        elif kind in (_constants.ASSERT, _constants.ASSERT_NOT):
            direction, inner = argument
            start = place if direction > 0 else place - inner.getwidth()[0]
            ends = self._sequence(inner, 0, start) if start >= 0 else iter(())
            if (next(ends, None) is not None) is (kind is _constants.ASSERT):
                yield place
        else:
            raise NotImplementedError(f"teach {__name__} what {kind} is")

    def _repeat(self, least: int, most: int, inner: Any, place: int) -> Iterator[int]:
        """Repeat as often as possible, then back off one repetition at a time."""
        way: list[tuple[int, Iterator[int]]] = [(place, iter(()))]
        if most:
            way[0] = (place, self._sequence(inner, 0, place))
        while way:
            here, onwards = way[-1]
            there = next(onwards, None)
            if there is None:
                way.pop()
                if len(way) >= least:
                    yield here
            elif there > here or len(way) < least:
                again = len(way) < most
                way.append(
                    (there, self._sequence(inner, 0, there) if again else iter(()))
                )


def _tree(expression: re.Pattern[Any]) -> Any:
    key = expression.pattern, expression.flags
    if key not in _trees:
        _trees[key] = _parser.parse(*key)
    return _trees[key]


_trees: dict[Any, Any] = {}


def _looker(tree: Any, at: int) -> Callable[[Text, int], re.Match[Any] | None]:
    """Look at a single character with `re` itself."""
    key = id(tree), at
    if key not in _lookers:
        one = _parser.SubPattern(tree.state, [tree[at]])
        _lookers[key] = _compiler.compile(one, tree.state.flags).match
    return _lookers[key]


_lookers: dict[tuple[int, int], Callable[[Text, int], re.Match[Any] | None]] = {}
