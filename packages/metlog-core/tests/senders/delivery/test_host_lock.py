# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metlog.senders._delivery.host_lock import HostLock


@pytest.fixture(autouse=True)
def _temp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Locks of a test are no other test's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork, nor flock")
def test_a_lock_is_one_process_of_the_hosts() -> None:
    """Another gets it when that lets go of it, or dies, however."""
    lock = HostLock("a key")
    assert lock.is_mine()
    assert lock.is_mine()
    assert HostLock("another key").is_mine()
    assert _in_child(lambda: HostLock("a key").is_mine()) is False
    assert _in_child(lambda: (lock.after_fork(), lock.is_mine())[1]) is False
    assert lock.is_mine()  # the child has closed its copy
    lock.release()
    assert _in_child(lambda: HostLock("a key").is_mine()) is True
    assert lock.is_mine()  # the child died with it


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such folders")
def test_a_folder_that_is_somebody_elses_is_not_used(tmp_path: Path) -> None:
    """In the temp directory anybody can put a link, or a file, under any name."""
    folder = tmp_path / f"metlog-{os.getuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(OSError, match="expected a folder of this user's own"):
        HostLock("a").is_mine()
    folder.unlink()
    folder.write_text("")
    with pytest.raises(OSError):
        HostLock("a").is_mine()
    folder.unlink()
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert HostLock("a").is_mine()
    assert folder.stat().st_mode & 0o777 == 0o700


def _in_child(function: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(int(function()))
        finally:
            os._exit(2)
    return {0: False, 1: True}[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
