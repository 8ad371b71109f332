# SPDX-License-Identifier: MPL-2.0
"""Metrics for Prometheus to scrape. Needs the extra ``prometheus``.

prometheus_client writes the exposition: our aggregate is one of its collectors.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from metlog._aggregate.histograms import Histogram
from metlog._aggregate.series import News, Series
from metlog.exceptions import ConfigError
from metlog.senders import _prometheus_folder as folder
from metlog.senders._delivery import process
from metlog.senders._delivery.options import integer, path, seconds
from metlog.senders._delivery.process import Deadline, Lock
from metlog.senders._delivery.socket import host_or_address
from metlog.senders._exporting import ExportingSender
from metlog.senders._prometheus_collector import Collector, as_metric
from metlog.senders._prometheus_state import Family
from metlog.senders._prometheus_sums import Sums
from metlog.shapes import Shape

if TYPE_CHECKING:
    from prometheus_client import registry
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

    from metlog import catalogue
    from metlog.client import MetlogClient

__all__ = ["PrometheusSender", "collector", "exposition", "find"]

T = TypeVar("T")

RETRY_PORT = 5.0
"""Seconds after which a port that another process has is tried again."""


class PrometheusSender(ExportingSender):
    """Hold metrics for Prometheus to scrape: counters, gauges and histograms.

    A single process is read at the scrape. If there are several, as under gunicorn,
    each writes what it counted into ``directory`` every ``interval`` seconds, and a
    scrape of any of them adds up all; the default is ``metlog`` in the folder that
    ``PROMETHEUS_MULTIPROC_DIR`` names. Other processes' numbers are at most one
    interval old; after a graceful stop they are exact, and SIGKILL loses at most one
    interval. Gauges of processes that have ended disappear.

    ``port`` starts prometheus_client's server at ``addr``, for workers and scripts that
    serve nothing themselves; of several processes, one serves. ``prefix`` is put in
    front of every name; without it, names have the prefix that a package declared for
    them. ``names`` is the shape: ``"labels"``, ``"dotted"`` or ``"semconv"``. Beyond
    ``max_series``, new series of a family share one whose labels are ``other``.

    Prometheus cannot express messages: they are dropped and counted.
    """

    makes_room = True

    _sums: Sums
    _absorbed: int
    _delivered: int
    _written: int
    _has_read: bool

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        port: int | None = None,
        addr: str = "127.0.0.1",
        prefix: str | None = None,
        names: str = "labels",
        semconv: str | Iterable[str] = ("stable",),
        interval: float = 1.0,
        max_series: int = 10_000,
        self_metrics: bool = False,
    ) -> None:
        _import_client()
        if directory is None:
            theirs = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
            directory = os.path.join(theirs, "metlog") if theirs else None  # noqa: PTH118  # no import for it
        else:
            directory = path("directory", directory, "a folder's path")
        if directory is not None and not os.path.isabs(directory):  # noqa: PTH117
            directory = os.path.join(os.getcwd(), directory)  # noqa: PTH109, PTH118  # a daemon changes it
        if directory is not None and not folder.supported():
            raise ConfigError(
                "expected none, because this system lacks POSIX locks, "
                f"got {directory!r}; run one process",
                "directory",
            )
        if prefix is not None and not isinstance(prefix, str):
            raise ConfigError(f"expected text, got {prefix!r}", "prefix")
        self.directory: str | None = directory
        self._port = None if port is None else integer("port", port, 0, 65535)
        self._addr = host_or_address(addr, "addr")
        self._interval = seconds("interval", interval, minimum=0.01)
        self.prefix: str | None = prefix
        """What is put in front of every name; None for what each declaration says."""
        self._writing = Lock()
        self._place: folder.Place | None = None
        self._server: Any = None
        self._made_in = os.getpid()
        super().__init__(
            "prometheus",
            integer("max_series", max_series, 1, 10**9),
            self_metrics=self_metrics,
        )
        self.shape: Shape = Shape(names, semconv=semconv, report=self._tally.report)
        """The shape of names."""
        self._begin()

    # -- what happened -----------------------------------------------------------------

    def histogram(self, series: Series) -> Histogram | None:
        """See `ExportingSender`."""
        with self._absorbing.here:
            return self._sums.histogram(series)

    def conflicts(self, metrics: Iterable[catalogue.Metric]) -> Iterator[str]:
        yield from self._sums.conflicts(metrics)

    def _absorb_one(self, news: News, now: float) -> None:
        """Add to the sums."""
        if self._sums.add(news):
            self._absorbed += news.calls

    @property
    def is_mine(self) -> bool:
        """See `ExportingSender`."""
        return super().is_mine or self._writing.is_mine

    # -- out ---------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """Yield prometheus_client's families of all processes, as of now."""
        families = self._families()
        for name in sorted(families):
            yield as_metric(families[name])

    def _families(self) -> dict[str, Family]:
        """Return those of all processes, as of now, for the caller to keep."""
        process.check()
        self.start()
        self._take(everything=True)
        families = None if self.directory is None else self._shared(self.directory)
        if families is None:
            with self._absorbing.here:
                families = {
                    name: each.copy() for name, each in self._sums.families.items()
                }
                sent = self._absorbed - self._delivered
                if self.directory is None and sent > 0:
                    self._delivered = self._absorbed
                    self._tally.add(sent=sent)
        if self.directory is None and self.has_siblings():
            self._tally.report(
                "each process exposes only its own metrics",
                "pass directory=, or set PROMETHEUS_MULTIPROC_DIR",
            )
        return families

    def _shared(self, directory: str) -> dict[str, Family] | None:
        """Return what all processes have written, this one just now; None if there is
        nothing because that failed.

        Only what is written is exposed: the process that is scraped next must not know
        less, because Prometheus would take that for a restart. So if the disk is full,
        sums stay as they are, and if the folder could be read before and cannot now,
        there are none.
        """
        is_written = self._write(directory)
        try:
            families = folder.read(directory, self._tally.report, self.max_series)
        except OSError as error:
            self._tally.report("the folder cannot be read", error)
            return {} if self._has_read else None
        if not is_written and not families:
            return None
        self._has_read = True
        return families

    def has_siblings(self) -> bool:
        """Return whether other processes count too, as far as can be known."""
        uwsgi: Any = sys.modules.get("uwsgi")
        return (
            os.getpid() != self._made_in
            or getattr(uwsgi, "numproc", 1) > 1
            or any(
                workers.isdecimal() and int(workers) > 1
                for workers in _workers_in_environment()
            )
        )

    def _pause(self) -> float:
        """See `ExportingSender`."""
        return self._interval

    def _deliver(self, deadline: Deadline | None) -> None:
        """Write this process's file, if there is a folder and something new."""
        self._serve()
        if self.directory is not None:
            self._write(self.directory)

    def _write(self, directory: str) -> bool:
        """Replace this process's file if it is old; return whether it is up to date."""
        with self._writing.here:
            with suppress(OSError):  # writing reports it
                if self._place is not None and not self._place.is_there():
                    self._place.abandon()
                    self._place, self._written = None, -1
            with self._absorbing.here:
                absorbed = self._absorbed
                families = list(self._sums.families.values())
                if absorbed == self._written:
                    return True
                copies = [family.frozen() for family in families]
            try:
                if self._place is None:
                    self._place = folder.Place(directory)
                self._place.write(copies)
            except OSError as error:
                self._tally.add(errors=1)
                what = f"{directory}: {error}"
                self._tally.report("the folder cannot be written", what)
                return False
            with self._absorbing.here:
                for family, copy in zip(families, copies, strict=True):
                    family.written(copy)
                sent = absorbed - self._delivered
                self._delivered = max(self._delivered, absorbed)
                self._written = absorbed
        if sent > 0:
            self._tally.add(sent=sent)
        return True

    def _held(self) -> int:
        """Return how many calls wait: none without a folder, as a scrape reads them."""
        return 0 if self.directory is None else max(0, self._absorbed - self._delivered)

    def _discard(self) -> int:
        """See `ExportingSender`."""
        held = self._held()
        with self._absorbing.here:
            self._delivered = self._absorbed
        return held

    def _disconnect(self) -> None:
        """Leave the folder, stop serving."""
        place, self._place = self._place, None
        if place is not None:
            place.leave()
            with self._absorbing.here:  # the file of ended processes has it now
                self._begin()
        server, self._server = self._server, None
        if server is not None:
            server[0].shutdown()
            server[0].server_close()

    def _reset_after_fork(self) -> None:
        """Start from zero: the parent reports what was counted so far."""
        place, self._place = self._place, None
        if place is not None:
            place.reset_after_fork()
        server, self._server = self._server, None
        if server is not None:
            server[0].socket.close()  # only this copy: the parent goes on serving
        self._begin()

    @property
    def port(self) -> int | None:
        """The port at which this process serves, None if it does not."""
        return None if self._server is None else self._server[0].server_port

    # -- inside ------------------------------------------------------------------------

    def _begin(self) -> None:
        self._sums = Sums(self.shape, self.prefix, self.max_series, self._tally)
        self._absorbed = self._delivered = self._written = 0
        self._has_read = False
        self._ask_port_at = 0.0

    def _serve(self) -> None:
        if self._port is None or self._server is not None or self.closed:
            return
        now = process.now()
        if now < self._ask_port_at:
            return
        self._ask_port_at = now + RETRY_PORT
        from prometheus_client import start_http_server

        try:
            served = _registry(weakref.ref(self), lambda ref: ref())
            self._server = start_http_server(self._port, self._addr, served)
            self._server[1].name = f"metlog {self._tally.owner}"
        except OSError as error:
            if self.directory is None:
                self._tally.report(f"cannot listen on port {self._port}", error)


def collector(client: MetlogClient, *others: MetlogClient) -> registry.Collector:
    """Return a collector for ``registry.register(…)``, with all metrics of the client,
    also after it is configured again.

    It is for a registry of your own, beside other metrics, which takes only one: with
    several clients, give it all of them, and equal metrics are added up. To replace it,
    first ``registry.unregister(collector(client))``. Raises ConfigError if a client has
    no PrometheusSender.
    """
    clients = client, *others
    for each in clients:
        _sender_of(each)
    return Collector(clients, find)


def exposition(client: MetlogClient, accept: str = "") -> tuple[bytes, str]:
    """Return the text for a scrape and its content type, by the header ``Accept``.

    For a header that cannot be read it is the plain text that any Prometheus reads.
    Raises ConfigError if the client has no PrometheusSender.
    """
    sender = _sender_of(client)  # without one the package may be missing, too
    from prometheus_client.exposition import choose_encoder

    found = _registry(sender, lambda sender: sender)
    try:
        encode, content_type = choose_encoder(accept)
        return encode(found), content_type
    except Exception:  # prometheus_client does not check versions and escaping schemes
        encode, content_type = choose_encoder("")
        return encode(found), content_type


def _registry(
    owner: T, source: Callable[[T], PrometheusSender | None]
) -> CollectorRegistry:
    """Return a registry with nothing else in it."""
    from prometheus_client.registry import CollectorRegistry

    found = CollectorRegistry(auto_describe=False)
    found.register(Collector([owner], source))
    return found


def find(client: MetlogClient) -> PrometheusSender | None:
    """Return a client's PrometheusSender, or the first one among its routes."""
    waiting: list[Any] = [client.sender]
    for sender in waiting:  # which grows as we go
        if isinstance(sender, PrometheusSender):
            return sender
        routes = getattr(sender, "routes", None)  # which may be divided again
        if isinstance(routes, list):
            waiting += [route.sender for route in routes]
    return None


def _sender_of(client: MetlogClient) -> PrometheusSender:
    found = find(client)
    if found is None:
        raise ConfigError(
            "expected a client with a PrometheusSender, "
            f"got one with {type(client.sender).__name__}"
        )
    return found


def _workers_in_environment() -> list[str]:
    """Return the numbers of workers that gunicorn and others read there, as text."""
    found = [os.environ.get("WEB_CONCURRENCY", "")]
    words = os.environ.get("GUNICORN_CMD_ARGS", "").replace("=", " ").split()
    for word, after in pairwise([*words, ""]):
        if word in {"-w", "--workers"}:
            found.append(after)
        elif word.startswith("-w"):
            found.append(word[2:])
    return found


def _import_client() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "expected the package prometheus_client, which is not installed: "
            f"pip install 'metlog-core[prometheus]' ({error})"
        ) from error
