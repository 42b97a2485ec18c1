"""Whether a lock ever has two holders: processes that take it, pause, and let it go.

    python benchmarks/locks.py --acquisitions 100000 --processes 8 --json

A holder makes a file that must not be there yet, and removes it before it lets go.  Pauses, most of
them none, are where another process can come between.
"""

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from ernn.ground.locks import held

LONGEST_PAUSE = 2e-4  # seconds
Lock = Callable[..., AbstractContextManager[bool]]


@dataclass(frozen=True)
class Found:
    """acquisitions: that succeeded, of all processes. doubles: with another holder there."""

    acquisitions: int
    doubles: int
    processes: int
    seconds: float


def measure(acquisitions: int, processes: int, seed: int = 0, lock: Lock = held) -> Found:
    """Take the lock so often, by processes that begin together; half of them wait for it."""
    began, share = time.monotonic(), -(-acquisitions // processes)
    context = multiprocessing.get_context("spawn")
    doubles = context.Value("q", 0)
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            context.Process(target=_take, args=(Path(folder), share, [seed, n], doubles, lock))
            for n in range(processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        died = [worker.exitcode for worker in workers if worker.exitcode]
        left = [path.name for path in Path(folder).iterdir()]
    if died or left:
        raise SystemExit(f"processes ended with {died}, files left: {left}")
    return Found(share * processes, doubles.value, processes, round(time.monotonic() - began, 2))


def _take(folder: Path, times: int, seed: list[int], doubles: Synchronized, lock: Lock) -> None:
    chance, waits = random.Random(str(seed)), seed[1] % 2 == 0
    while times:
        with lock(folder / "lock", wait=waits) as mine:
            if mine:
                times -= 1
                _hold(folder / "holder", chance, doubles)
        _pause(chance)


def _hold(holder: Path, chance: random.Random, doubles: Synchronized) -> None:
    try:
        os.close(os.open(holder, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        with doubles.get_lock():
            doubles.value += 1
        return
    _pause(chance)
    holder.unlink()


def _pause(chance: random.Random) -> None:
    if chance.random() < 0.3:
        time.sleep(chance.random() * LONGEST_PAUSE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--acquisitions", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.acquisitions, asked.processes, asked.seed)
    if asked.json:
        print(json.dumps(asdict(found), indent=2))
    else:
        print(
            f"{found.acquisitions:,} acquisitions by {found.processes} processes in "
            f"{found.seconds:g} s: {found.doubles} with two holders"
        )
    raise SystemExit(1 if found.doubles else 0)


if __name__ == "__main__":
    main()
