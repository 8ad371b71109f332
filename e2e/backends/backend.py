# SPDX-License-Identifier: MPL-2.0
"""The interface of all backends that the tests query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from backends.program import Program


class Timer(NamedTuple):
    """What a backend holds of one timer, since it was first started."""

    count: float  # type: ignore[assignment]  # of values, not of items
    sum_ms: float


class Backend(ABC):
    """Programs in a folder of their own, from `start` to `stop`."""

    title: ClassVar[str]
    """As it stands in the table: the programs, in the order data takes."""

    sender: dict[str, Any]
    """The configuration of the sender that reaches it, all else by default."""

    receiver: Program | None
    """What takes the sender's data and is killed; None where that is a file."""

    interval: ClassVar[float] = 1.0
    """Seconds that the receiver holds what it was given in its memory: what is lost
    with it, and nobody else can know of."""

    shortest_timer_ms: ClassVar[float] = 0.0
    """It throws shorter ones away."""

    cumulative: ClassVar[bool] = False
    """Whether the sender repeats its sums: then an outage costs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def start(self) -> None:
        """Return when it takes data."""

    @abstractmethod
    def stop(self) -> None:
        """End every program, however far `start` came."""

    @abstractmethod
    def version(self) -> str:
        """Return what the programs say of themselves."""

    @abstractmethod
    def counter(self, name: str) -> float:
        """Return the sum of a counter in all processes, 0 if it is not known."""

    @abstractmethod
    def timer(self, name: str) -> Timer:
        """Return count and sum of a timer in all processes."""

    @abstractmethod
    def p95(self, name: str, count: int) -> tuple[float, float] | None:
        """Return between which milliseconds the 95th percentile is said to lie.

        None unless ``count`` values of that timer lie in one interval of the backend.
        """

    @abstractmethod
    def unreadable(self) -> float:
        """Return how often it says that it could not read what it got."""

    def kill(self) -> None:
        """Kill the receiver, without a word of warning."""
        assert self.receiver is not None
        self.receiver.kill()

    def restart(self) -> None:
        """Start the receiver again, on the same port."""
        assert self.receiver is not None
        self.receiver.start()
