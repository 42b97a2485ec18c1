"""Running one tool: an argument list, a log file, a time limit, and an error to act on."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from ernn.errors import UserError
from ernn.ground.ends_with import this_process

Item = TypeVar("Item")
Result = TypeVar("Result")

TAIL_LINES = 12
TAIL_WIDTH = 400
FULL = 1 << 20  # bytes left
FULL_DISK = "the disk of the cache is full: make room, or name another place in ERNN_CACHE"
QUIET_SECONDS = 2.0  # shorter than this and a progress line would only flicker

_showing = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()


class ToolError(UserError):
    """A tool failed or ran out of time; `what` says which and how, `log` holds its output.

    The message ends with the log's last lines, as they are.
    """

    __str__ = ValueError.__str__

    def __init__(self, what: str, log: Path) -> None:
        self.what = what
        self.log = log
        said = tail(log)
        end = f"the end of {log}:\n{said}" if said else f"{log} says nothing"
        full = shutil.disk_usage(log.parent).free < FULL
        super().__init__(f"{what}; {FULL_DISK}; {end}" if full else f"{what}; {end}")


def tail(log: Path) -> str:
    """The last lines of a log that say anything."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = [line[:TAIL_WIDTH] for line in lines if line.strip()]
    return "\n".join(said[-TAIL_LINES:])


def run(
    arguments: Sequence[str | Path],
    directory: Path,
    log: Path,
    *,
    what: str,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> float:
    """Run a tool in `directory`, all its output into `log`; the seconds it took.

    `what` names the step for people ("Yosys: area of ernn_engine").  ToolError if it fails or takes
    longer than `timeout` seconds.  An interrupt ends the tool and whatever it started, and so does
    the end of this process, if it is killed.
    """
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*this_process(), *map(str, arguments)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # so that the whole group can be ended
        )
    _running.add(process)
    try:
        code = _wait(process, what, timeout)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{what} did not end within {timeout:.0f} s", log) from None
    finally:
        _end(process)
        _running.discard(process)
    if code:
        raise ToolError(f"{what} failed ({_ending(code)})", log)
    return time.monotonic() - began


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work` on every item, as many at a time as there are cores; results in order.

    The first failure is raised once the tools then running have ended; an interrupt ends them.
    """
    pool = ThreadPoolExecutor(min(len(items), os.cpu_count() or 1))
    try:
        return [future.result() for future in [pool.submit(work, item) for item in items]]
    except KeyboardInterrupt:
        for process in tuple(_running):
            _end(process)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _wait(process: subprocess.Popen[bytes], what: str, timeout: float) -> int:
    try:
        return process.wait(min(QUIET_SECONDS, timeout))
    except subprocess.TimeoutExpired:
        if timeout <= QUIET_SECONDS:
            raise
    with _status(what):
        return process.wait(timeout - QUIET_SECONDS)


@contextlib.contextmanager
def _status(what: str) -> Iterator[None]:
    """A moving line on a terminal, nothing elsewhere; one at a time, if tools run side by side."""
    if not _showing.acquire(blocking=False):
        yield
        return
    try:
        with Console(stderr=True).status(what):
            yield
    finally:
        _showing.release()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ending(code: int) -> str:
    return (
        f"exit status {code}"
        if code > 0
        else f"ended by signal {signal.Signals(-code).name}; out of memory?"
    )
