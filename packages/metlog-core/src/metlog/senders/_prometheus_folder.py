# SPDX-License-Identifier: MPL-2.0
"""The folder in which the processes of a site share what they count.

Each process replaces one small file of its own as a whole, so that a reader never sees
half a file. It is alive as long as it holds a lock, which the kernel frees however it
dies; no hook or process id is needed. What dead processes have counted is merged into
one file, together with the list of who was merged, so that nothing is lost or doubled
if a reader is killed in between. It needs POSIX locks, so it does not work on Windows.

prometheus_client's own files are not used: two writers would corrupt one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from metlog.senders._delivery.process import Deadline, Lock
from metlog.senders._prometheus_state import (
    Family,
    add_up,
    bounded,
    decoded,
    encoded,
)

__all__ = ["STALE_SECONDS", "Place", "read", "supported"]

STALE_SECONDS = 3600.0
"""Seconds after which the first process empties a folder in which none is alive."""

READ_TIMEOUT = 5.0
"""Seconds for which a reader waits for another. Prometheus gives up after 10."""

_mine: set[tuple[int, str]] = set()
"""The locks that a process of this id holds, whatever path leads to them.

Closing *any* descriptor of such a file would free the lock, so a reader in that process
must not open it. A forked child, with an id of its own, may open its parent's."""

_reading = Lock()
"""Held by the thread that reads: the kernel's lock only works between processes."""

Report = Callable[[str, object], None]


def _tell_nobody(kind: str, detail: object) -> None:
    pass


def supported() -> bool:
    """Return whether this system has what the folder needs."""
    return fcntl is not None


class Place:
    """What one process writes in the folder. A forked child makes one of its own."""

    def __init__(self, folder: str) -> None:
        """Raises OSError if the folder cannot be made or written."""
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self.id = f"{os.getpid()}-{secrets.token_hex(6)}"
        with _readers(self._folder):
            _empty_if_stale(self._folder)
        new = self._folder / f"{self.id}.new"
        self._lock = os.open(new, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._key = (os.getpid(), self.id)
        _mine.add(self._key)
        # A fork does not inherit it. It is locked before it gets its name, because a
        # reader that finds a lock that nobody holds considers its owner dead.
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        self._name = self._folder / f"{self.id}.lock"
        new.rename(self._name)
        self._inode = self._name.stat().st_ino
        self._has_written = False

    def is_there(self) -> bool:
        """Return whether others can find it. systemd removes from /tmp what was not
        used for ten days, and scripts empty the folder at each start."""
        try:
            found = self._name.stat()
            if self._has_written:
                self._name.with_suffix(".json").stat()
        except FileNotFoundError:
            return False
        if time.time() - found.st_mtime > STALE_SECONDS:
            os.utime(self._name)  # it is in use
        return found.st_ino == self._inode

    def write(self, families: Iterable[Family]) -> None:
        """Replace this process's file."""
        temporary = self._folder / f"{self.id}.tmp"
        temporary.write_text(encoded(families), "utf-8")
        temporary.replace(self._folder / f"{self.id}.json")
        self._has_written = True

    def leave(self) -> None:
        """Leave as if this process had died: its gauges disappear."""
        with contextlib.suppress(OSError):
            os.close(self._lock)
        _mine.discard(self._key)

    def abandon(self) -> None:
        """Leave without a trace, so that no reader counts this process as dead. Raises
        OSError, and stays, if that cannot be done now."""
        with contextlib.suppress(FileNotFoundError), _readers(self._folder):
            if _remove(self._folder, [self.id]):
                raise OSError(f"the files of {self.id} cannot be removed")
        self.leave()

    def reset_after_fork(self) -> None:
        """Give this place up in a forked child: it and its lock are the parent's."""
        with contextlib.suppress(OSError):
            os.close(self._lock)  # does not free it, because the child does not hold it
        _mine.discard(self._key)


def read(
    folder: str, report: Report = _tell_nobody, max_series: int = 10_000
) -> dict[str, Family]:
    """Add up the families of all processes, by name; merge those of dead ones, of which
    at most ``max_series`` are kept apart."""
    path = Path(folder)
    with _readers(path):
        gone, folded = _gone(path, report)
        # An earlier reader may have been killed before this.
        folded = _remove(path, folded)
        sums: dict[str, Family] = {}
        dead = []
        left_out: list[str] = []
        for lock in sorted(path.glob("*.lock")):
            who = lock.stem
            if who in folded:
                continue
            # Checked before the file is read, so that a last write is not missed.
            alive = _is_mine(who) or _is_alive(lock, report)
            families = _families(path / f"{who}.json", report)
            if families is None:
                continue
            if alive:
                left_out += add_up(sums, families)
            else:
                dead.append(who)
                lasting = [f for f in families if f.kind != "gauge"]
                left_out += add_up(gone, bounded(gone, lasting, max_series, report))
        if dead:
            ids = json.dumps(folded + dead)
            text = f'{{"folded":{ids},"families":{encoded(gone.values())}}}'
            temporary = path / "gone.tmp"
            try:
                temporary.write_text(text, "utf-8")
                temporary.replace(path / "gone")
            except OSError as error:  # a full disk: their own files stay
                report("what ended processes counted cannot be merged", error)
            else:
                _remove(path, dead)
        left_out += add_up(sums, gone.values())
    for name in left_out:
        what = "two processes differ in what a metric is, the first is exposed"
        report(what, name)
    return sums


@contextlib.contextmanager
def _readers(path: Path) -> Iterator[None]:
    """Allow one reader at a time, in all processes and threads.

    Raises OSError if another one takes too long.

    Not with ``flock``: a child forked meanwhile would inherit the descriptor, and with
    it the lock, for as long as it lives.
    """
    with _reading.here:
        guard = os.open(path / "readers", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            _lock_within(guard, READ_TIMEOUT)
            yield
        finally:
            os.close(guard)


def _lock_within(descriptor: int, seconds: float) -> None:
    """Lock a file, but do not wait for ever: its owner may be paused, or debugged."""
    deadline, pause = Deadline(seconds), 0.001
    while not _lock(descriptor):
        if not deadline.left:
            raise TimeoutError(f"another process has been reading for {seconds:g} s")
        deadline.sleep(pause)
        pause = min(pause * 2, 0.02)


def _lock(descriptor: int) -> bool:
    """Lock a file, unless another process has; return whether that was done."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


def _empty_if_stale(path: Path) -> None:
    """Remove what is left of a site that has not run for a long time."""
    newest = 0.0
    for found in path.iterdir():
        with contextlib.suppress(OSError):
            if found.suffix == ".lock" and (_is_mine(found.stem) or _is_alive(found)):
                return
            if found.name != "readers":
                newest = max(newest, found.stat().st_mtime)
    if newest and time.time() - newest > STALE_SECONDS:
        for found in path.iterdir():
            if (
                found.suffix in {".lock", ".json", ".tmp", ".new"}
                or found.name == "gone"
            ):
                found.unlink(missing_ok=True)


def _is_mine(who: str) -> bool:
    return (os.getpid(), who) in _mine


def _is_alive(lock: Path, report: Report = _tell_nobody) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # another reader has just merged it
    except OSError as error:  # say, another user's: it counts, and is never merged
        report("cannot tell whether a process is alive", f"{lock.name}: {error}")
        return True
    try:
        return not _lock(descriptor)
    except OSError:  # it cannot be locked, so nobody has
        return False
    finally:
        os.close(descriptor)


def _families(path: Path, report: Report) -> list[Family] | None:
    """Return a process's families: none if not written yet, None if unreadable."""
    try:
        return decoded(path.read_bytes())
    except FileNotFoundError:
        return []
    except Exception as error:  # whatever is in there
        report(f"cannot read {path.name}", error)
        return None


def _gone(path: Path, report: Report) -> tuple[dict[str, Family], list[str]]:
    """Return what dead processes have counted, and which were merged last."""
    try:
        state: Any = json.loads((path / "gone").read_bytes())
        families = decoded(json.dumps(state["families"]))
        folded = [Path(who).name for who in state["folded"]]
        return {family.name: family for family in families}, folded
    except FileNotFoundError:
        pass
    except OSError:  # say, too many open files: it must not be replaced now
        raise
    except Exception as error:
        report("cannot read what ended processes counted", error)
    return {}, []


def _remove(path: Path, ids: Iterable[str]) -> list[str]:
    """Remove their files, the lock last: while it is there, a reader looks again.
    Return those that could not be removed."""
    left = []
    for who in ids:
        try:
            for end in (".tmp", ".json", ".lock"):
                (path / f"{who}{end}").unlink(missing_ok=True)
        except OSError:
            left.append(who)
    return left
