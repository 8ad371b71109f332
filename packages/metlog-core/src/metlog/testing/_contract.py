# SPDX-License-Identifier: MPL-2.0
"""What every sender promises, as a test class to subclass."""

# ruff: noqa: S101  # these are tests

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from metlog.client import MetlogClient
from metlog.senders.base import MetricSender, Sender, SenderStats

__all__ = ["SenderContract"]

NOT_BLOCKED_SECONDS = 10.0
"""Seconds in which the application goes on, however long tests wait for an arrival."""


class SenderContract:
    """Subclass it in your tests and write three methods; pytest runs the rest::

        class TestCarrierPigeon(SenderContract):
            def make_sender(self):
                self.loft = Loft()
                return CarrierPigeonSender(self.loft.address)

            def counts(self):
                return metlog.testing.add_up(self.loft.messages)

            def make_sender_without_backend(self):
                return CarrierPigeonSender("nowhere")

    The contract sends counters, because every backend has those.
    """

    def make_sender(self) -> Sender:
        """Return a new sender, and make a backend of its own that receives from it."""
        raise NotImplementedError

    def counts(self) -> Mapping[str, float]:
        """Return what the backend has received so far: counter → sum."""
        raise NotImplementedError

    def make_sender_without_backend(self) -> Sender | None:
        """Return a new sender whose backend is away; None if that cannot happen."""
        return None

    sees_children = True
    """Whether `counts` shows what a forked child sent."""

    backend_keeps_names = True
    """Whether `counts` has the caller's names, whatever characters are in them."""

    notices_absence = True
    """Whether the sender learns that its backend is away."""

    calls_per_thread = 50
    """How many counters each of the eight threads sends in the test of threads."""

    timeout_seconds: float = 30.0
    """Seconds after which a test considers something lost."""

    # -- the promises ------------------------------------------------------------

    def test_what_was_accepted_arrives_by_the_end_of_flush(self) -> None:
        """After ``flush()`` nothing is queued, and everything arrives."""
        client = self._client()
        client.incr("one")
        client.incr("many", 41)
        client.incr("many", 1)
        client.flush()
        assert self._stats(client).queued == 0
        self._arrives({"one": 1, "many": 42})

    def test_threads_lose_nothing_and_double_nothing(self) -> None:
        """One sender serves any number of threads."""
        client = self._client()

        def work() -> None:
            for _ in range(self.calls_per_thread):
                client.incr("work")

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush()
        self._arrives({"work": 8 * self.calls_per_thread})
        assert client.stats.errors == 0

    def test_a_fork_doubles_nothing_and_both_sides_go_on(self) -> None:
        """A child has its own socket, buffer and threads; the parent keeps its own."""
        client = self._client()
        client.incr("before", 3)  # may still be queued when the child is born

        def child() -> None:
            client.incr("child", 5)
            client.flush()
            client.close()

        _in_child(child)
        client.incr("after", 2)
        client.flush()
        expected: dict[str, float] = {"before": 3, "after": 2}
        if self.sees_children:
            expected["child"] = 5
        self._arrives(expected)

    def test_close_hands_over_and_lets_go(self) -> None:
        """``close()`` delivers everything, leaves no descriptor or thread behind, and
        may be called again."""
        client = self._client()
        before = _held()
        client.incr("farewell")
        client.close()
        client.close()
        self._arrives({"farewell": 1})
        assert client.stats.errors == 0
        _until(lambda: _held() <= before, self.timeout_seconds)
        assert _held() - before == set()

    def test_a_message_after_close_hurts_nobody(self) -> None:
        """Something always logs during shutdown: it is delivered or dropped."""
        client = self._client()
        client.close()
        client.incr("late")
        client.flush()
        client.close()

    def test_a_backend_away_neither_raises_nor_blocks_nor_piles_up(self) -> None:
        """Without a backend the application goes on, and losses are counted."""
        sender = self.make_sender_without_backend()
        if sender is None:
            return
        client = MetlogClient(sender, "contract")
        start = time.perf_counter()
        for _ in range(200):
            client.incr("into the void")
            client.metlog("note", payload="x" * 100)
        assert time.perf_counter() - start < NOT_BLOCKED_SECONDS
        client.flush()
        client.close()
        assert time.perf_counter() - start < 2 * NOT_BLOCKED_SECONDS
        stats = self._stats(client)
        assert stats.queued == 0
        if self.notices_absence:
            assert stats.dropped + stats.errors + client.stats.errors > 0

    def test_values_without_a_form_become_text(self) -> None:
        """Whatever is in ``fields``, the message is sent."""
        client = self._client()
        cycle: dict[str, Any] = {}
        cycle["self"] = cycle
        odd: list[Any] = [
            *(object(), b"\xff", float("nan"), float("inf"), {1, 2}, cycle, 10**400),
            *("\ud800", {b"k": 1, (1, 2): 2}, None, True, lambda: 0, Untellable()),
        ]
        for value in odd:
            client.incr("odd", fields={"value": value})
        client.incr("odd", fields={"\ud800 |#:,\n": 1})
        client.flush()
        assert client.stats.errors == 0
        self._arrives({"odd": len(odd) + 1})

    def test_a_huge_message_does_not_stop_the_next(self) -> None:
        """Only the message that is too large for the backend is dropped and counted."""
        client = self._client()
        client.incr("huge", fields={"text": "x" * 2_000_000})
        client.incr("small")
        client.flush()
        self._arrives({"small": 1})
        stats = self._stats(client)
        lost = stats.dropped + stats.errors + client.stats.errors
        assert self.counts().get("huge") == 1 or lost > 0

    def test_names_of_any_kind_do_not_harm_their_neighbours(self) -> None:
        """Separators, blanks and line ends in a name stay within the name."""
        client = self._client()
        names = ["a:1|c", "b\nevil:1|c", "c d", "é", "\ud800", "d" * 500, "e#@|"]
        for name in names:
            client.incr(name)
        client.incr("fine")
        client.flush()
        self._arrives({"fine": 1})
        assert sum(self.counts().values()) == len(names) + 1
        if self.backend_keeps_names:
            assert {"a:1|c", "c d", "b\nevil:1|c"} <= self.counts().keys()

    def test_both_paths_say_the_same(self) -> None:
        """A metric sender sends the same metric with and without a message."""
        client = self._client()
        if not isinstance(client.sender, MetricSender):
            return
        client.incr("path", 2)
        client.filters = [lambda msg: True]  # now messages are built
        client.incr("path", 3)
        client.flush()
        self._arrives({"path": 5})

    def test_stats_add_up(self) -> None:
        """``stats`` accounts for everything that was accepted."""
        client = self._client()
        for _ in range(10):
            client.incr("told")
        client.flush()
        self._arrives({"told": 10})
        stats = self._stats(client)
        assert (stats.sent, stats.dropped, stats.queued) == (10, 0, 0)
        assert stats.errors == 0

    # -- how ---------------------------------------------------------------------

    def _client(self) -> MetlogClient:
        client = MetlogClient(self.make_sender(), "contract")
        self._made = [*getattr(self, "_made", []), client]
        return client

    def teardown_method(self) -> None:
        """pytest calls this after each test."""
        for client in getattr(self, "_made", []):
            client.close()

    def _stats(self, client: MetlogClient) -> SenderStats:
        stats = getattr(client.sender, "stats", None)
        return SenderStats() if stats is None else stats

    def _arrives(self, expected: Mapping[str, float]) -> None:
        def seen() -> dict[str, float]:
            counts = self.counts()
            return {name: counts.get(name, 0) for name in expected}

        _until(lambda: seen() == expected, self.timeout_seconds)
        assert seen() == expected


class Untellable:
    """An object whose text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def _until(reached: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.005)


def _held() -> set[object]:
    """Return the descriptors and threads of this process."""
    held: set[object] = {thread.ident for thread in threading.enumerate()}
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            entries = os.listdir(folder)  # noqa: PTH208  # only names are needed
        except OSError:
            continue
        return held | {name for name in entries if _is_open(int(name))}
    return held


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:  # that of listdir itself
        return False
    return True


def _in_child(work: Callable[[], None]) -> None:
    """Do the work in a forked child, and wait until that ends without an error."""
    with warnings.catch_warnings():
        # "may lead to deadlocks in the child": that is what is tested
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    status: list[int] = []

    def ended() -> bool:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status.append(code)
        return bool(done)

    _until(ended, 30)
    if not status:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert status == [0], "the child failed, or hung"
