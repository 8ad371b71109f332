# SPDX-License-Identifier: MPL-2.0
"""A lock for what only one process of a host may do."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["HostLock"]


class HostLock:
    """A lock that one process of this host and user holds at a time.

    The kernel frees it when the process dies.
    """

    def __init__(self, key: str) -> None:
        self._file = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32]
        self._descriptor: int | None = None

    def is_mine(self) -> bool:
        """Return whether this process holds it, after trying to get it.

        OSError if there is no folder that is safe to use.
        """
        if self._descriptor is not None:
            return True
        if sys.platform == "win32":
            return True  # there is no such lock here: every process reports
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(_folder() / f"{self._file}.lock", flags, 0o600)
        self._descriptor = descriptor  # first, so that a child forked now closes it
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Let another process have it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def after_fork(self) -> None:
        """Close this copy, which leaves the parent's lock as it is."""
        self.release()


def _folder() -> Path:
    """Return a folder in the temp directory that only this user can write to."""
    folder = Path(tempfile.gettempdir()) / f"metlog-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError(f"expected a folder of this user's own, got {folder}")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
