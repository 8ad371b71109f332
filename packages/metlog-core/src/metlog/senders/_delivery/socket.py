# SPDX-License-Identifier: MPL-2.0
"""A datagram socket to a backend that may be away, move, or come back."""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import sys
from collections.abc import Callable
from typing import Any

from metlog.exceptions import ConfigError
from metlog.senders._delivery import process
from metlog.senders._delivery.process import Deadline

__all__ = ["DatagramSocket", "host_or_address"]

RESOLVE_TTL = 60.0
"""Seconds for which an address found by name is used."""

RESOLVE_BACKOFF = 5.0
"""Seconds after which a failed look-up is tried again."""

MAX_UNIX_PATH = 107 if sys.platform == "linux" else 103
"""Bytes in ``sun_path`` of a unix socket's address, without the final NUL."""

_NOT_IN_NAMES = re.compile(r"[\s\x00/:@\[\]]")
_ZONE = re.compile(r"[!-~]+")


class DatagramSocket:
    """One non-blocking socket, connected to ``host:port`` or to a unix socket's path.

    It opens at the first `send`. `resolve` looks up a host *name* in a thread that ends
    with the answer, because a name server may take long. IPv4 is preferred, as that is
    where StatsD servers listen. It is connected, which makes a send 15 % cheaper and
    reports when nobody listens.
    """

    def __init__(self, transport: str, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._unix = transport == "unix"
        self.on_resolved: Callable[[], object] = lambda: None
        """Called in any thread when a look-up has ended."""
        self._name = b""
        self._socket: socket.socket | None = None
        self._family: int = socket.AF_INET
        self._address: Any = None
        self._resolve_at = 0.0
        self._looking = False
        self.has_failed = False
        """Whether the last look-up failed."""
        self._failure: OSError | None = None  # not reported yet
        self._lock = process.Lock()
        self.needs_resolving = False
        if self._unix:
            if not hasattr(socket, "AF_UNIX"):
                raise ConfigError(
                    "expected 'udp', got 'unix': "
                    "this system has no unix sockets for Python",
                    "transport",
                )
            try:
                path = os.fsencode(host)
            except UnicodeError:  # a lone surrogate
                path = b""
            # On Linux a path that begins with NUL is an abstract name, not a file.
            named = path[1:] if sys.platform == "linux" else path
            if b"\x00" in named or not 0 < len(path) <= MAX_UNIX_PATH:
                raise ConfigError(
                    f"expected a path of at most {MAX_UNIX_PATH} bytes, got {host!r}",
                    "host",
                )
            self._set_address(socket.AF_UNIX, host)
        elif (family := _family_of(host)) is not None:
            self._set_address(family, (host, port))
        else:
            self.needs_resolving = True
            self._name = _name(host, "host")

    @property
    def is_ready(self) -> bool:
        """Return whether the address is known."""
        return self._address is not None

    def is_hopeless(self, deadline: Deadline) -> bool:
        """Return whether no address can come in time: the last look-up failed and was
        reported, and the next one is not due before ``deadline``."""
        return (
            self.has_failed
            and self._failure is None
            and not (self._looking or self.is_ready)
            and process.now() + deadline.left < self._resolve_at
        )

    def resolve(self, *, may_wait: bool) -> None:
        """Start to look up the name if that is due; raise once what the last look-up
        raised.

        A new address takes effect when it comes; the old one is kept if a look-up
        fails. Waits only if ``may_wait`` and no thread can be started.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if (
            not self.needs_resolving
            or self._looking
            or process.now() < self._resolve_at
        ):
            return
        self._resolve_at = process.now() + RESOLVE_BACKOFF
        self._looking = True
        try:
            if process.ending():
                raise RuntimeError("threads end")
            process.start_thread(self._host, self._look_up)
        except BaseException as error:  # no thread can be started, here or now
            self._looking = False
            self._resolve_at = 0.0
            if not isinstance(error, Exception):
                raise  # a signal handler did
            if may_wait:
                self._look_up()
                self.resolve(may_wait=False)  # raises what went wrong

    def send(self, data: bytes, deadline: Deadline | None = None) -> bool:
        """Send one datagram; return False if the one before it turns out to be refused.

        Raises OSError if this one was not sent. Waits for a slow reader until
        ``deadline``, or not at all without one.
        """
        while True:
            try:
                return self._send(data)
            except OSError as error:
                full = isinstance(error, BlockingIOError)
                if deadline is None or not (full or error.errno == errno.ENOBUFS):
                    raise
                left = deadline.left
                if not left:
                    raise
                if full:
                    self._wait_writable(min(left, 0.05))
                # This also counts the time, in case the deadline's clock is frozen.
                deadline.sleep(0.001)

    def close(self) -> None:
        """Close the socket; the next `send` opens another."""
        with self._lock.here:
            current, self._socket = self._socket, None
        if current is not None:
            current.close()

    def after_fork(self) -> None:
        """Leave the parent's socket alone."""
        self._resolve_at = 0.0
        self._looking = self.has_failed = False
        self._failure = None
        self.close()  # this process's descriptor; the parent's stays open

    def _send(self, data: bytes) -> bool:
        current = self._socket or self._open()
        try:
            current.send(data)
            return True
        except BlockingIOError:
            raise
        except ConnectionRefusedError:
            # Over UDP this answers an earlier datagram; over a unix socket it means
            # that the backend has gone away (and may have come back).
            if self._unix:
                self.close()
            (self._socket or self._open()).send(data)
            return self._unix
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise
            self.close()
            if not self._unix:
                raise
            self._open().send(data)
            return True

    def _wait_writable(self, seconds: float) -> None:
        current = self._socket
        if current is None or not hasattr(select, "poll"):
            return
        poll = select.poll()
        try:
            poll.register(current, select.POLLOUT)
            poll.poll(seconds * 1000)
        except (OSError, ValueError):
            pass  # closed meanwhile

    def _look_up(self) -> None:
        pid = os.getpid()
        try:
            found = socket.getaddrinfo(self._name, self._port, type=socket.SOCK_DGRAM)
            found.sort(key=lambda info: info[0] != socket.AF_INET)
            family, _, _, _, address = found[0]
        except Exception as error:
            self.has_failed = True
            self._failure = (
                error if isinstance(error, OSError) else OSError(f"no address: {error}")
            )
        else:
            self.has_failed = False
            self._resolve_at = process.now() + RESOLVE_TTL
            if address != self._address:
                self._set_address(family, address)
                self.close()
        finally:
            if pid == os.getpid():
                self._looking = False
        self.on_resolved()

    def _set_address(self, family: int, address: Any) -> None:
        self._family = family
        self._address = address

    def _open(self) -> socket.socket:
        with self._lock.here:
            if self._socket is None:
                if self._address is None:
                    raise OSError(f"no address for {self._host!r} yet")
                fresh = socket.socket(self._family, socket.SOCK_DGRAM)
                try:
                    fresh.setblocking(False)
                    fresh.connect(self._address)
                except BaseException:
                    fresh.close()
                    raise
                self._socket = fresh
            return self._socket


def host_or_address(value: object, *path: str) -> str:
    """Return an address or a name to look up; ``path`` leads to the option."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"expected a host name or an address, got {value!r}", *path)
    if _family_of(value) is None:
        _name(value, *path)
    return value


def _family_of(host: str) -> int | None:
    """Return the family of an address, None for a name or for nonsense."""
    address, percent, zone = host.partition("%")
    if percent and not _ZONE.fullmatch(zone):
        return None
    import ipaddress  # takes 3 ms, which a socket's path need not cost

    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return None
    if version == 6:
        return socket.AF_INET6
    return None if percent else socket.AF_INET


def _name(host: str, *path: str) -> bytes:
    """Return a host's name in the form in which name servers are asked for it."""
    if _NOT_IN_NAMES.search(host):
        raise ConfigError(
            f"expected a host name or an address, without port, got {host!r}", *path
        )
    try:
        # As bytes, because a thread that has to import Python's idna codec fails while
        # the interpreter is shutting down.
        name = host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError as error:
        raise ConfigError(
            f"expected a host name, got {host!r}: {error}", *path
        ) from None
    if not all(0 < len(label) < 64 for label in name.removesuffix(b".").split(b".")):
        raise ConfigError(
            f"expected a host name, with 1 to 63 letters between dots, got {host!r}",
            *path,
        )
    return name
