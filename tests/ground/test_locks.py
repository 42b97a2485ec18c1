"""A lock has one holder, whatever comes between opening it, locking it and removing it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.locks import measure
from ernn.ground import locks
from ernn.ground.locks import held

HOLDER = """
import sys
from pathlib import Path
from ernn.ground.locks import held
with held(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_processes_never_hold_it_together() -> None:
    """A thousand here; `benchmarks/locks.py` takes it 100,000 times."""
    assert measure(1000, 4).doubles == 0


@pytest.mark.parametrize("wait", [False, True])
def test_a_file_removed_between_opening_and_locking_is_nobodys_lock(
    wait: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, plain, inodes = tmp_path / "lock", locks.fcntl.flock, list[int]()

    def late(handle: Any, how: int) -> None:
        inodes.append(os.fstat(handle.fileno()).st_ino)
        if len(inodes) == 1:  # its holder ends: the file goes, the next one makes another
            lock.unlink()
            other.append(lock.open("w"))
        plain(handle, how)

    other: list[Any] = []
    monkeypatch.setattr(locks.fcntl, "flock", late)
    with held(lock, wait=wait) as mine:
        assert mine and inodes[1] == lock.stat().st_ino != inodes[0]
    assert not lock.exists()


def test_it_is_removed_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), held(tmp_path / "lock") as mine:
        assert mine
        with held(tmp_path / "lock") as other:
            assert not other
        raise ValueError("mine")
    assert not (tmp_path / "lock").exists()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"True\n"
    with held(lock) as mine:
        assert not mine
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert lock.exists()
    with held(lock) as mine:
        assert mine
    assert not lock.exists()
