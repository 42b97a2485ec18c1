"""A lock file: one holder at a time, of any process or thread.

The system lets go of a lock when its holder dies, however it dies.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # no such locks on this system: the same work may be done twice
    fcntl = None


@contextmanager
def held(lock: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold `lock`, at once or (`wait`) when it is free; whether it is held.

    The file is made, and removed afterwards; a holder that was killed leaves it behind, free.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = _taken(lock, wait)
    if handle is None:
        yield False
        return
    with handle:
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)  # while it is held: the next to open it makes a new one


def _taken(lock: Path, wait: bool) -> IO[str] | None:
    while True:
        handle = lock.open("w")
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            handle.close()
            return None
        if _is_there(handle, lock):
            return handle
        # Opened before its holder removed it, locked after: another may hold the new file.
        handle.close()


def _is_there(handle: IO[str], lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), lock.stat())
    except FileNotFoundError:
        return False
