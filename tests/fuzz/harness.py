"""Mutated files of a kind, each read and used: what is not a line for the user is a failure."""

import random
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ernn.errors import UserError

LONGEST = 5.0
"""Seconds of the processor, so that a busy machine fails nothing."""
WAITED = 60.0
"""Seconds by the clock, for what waits and computes nothing."""
Mutate = Callable[[random.Random], bytes]


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of file. whole: undamaged ones. mutations: ways to a damaged one.

    use: what a program does with the file.
    """

    name: str
    whole: Sequence[bytes]
    mutations: Sequence[Mutate]
    use: Callable[[Path], Any]
    file: str = "file"


@dataclass(frozen=True)
class Failure:
    """What a mutated file led to that is no line for the user; the file, to be tried again."""

    kind: str
    number: int
    said: str
    content: bytes


@dataclass(frozen=True)
class Found:
    """tried: mutations; read: of these, files that were used without complaint.

    slowest: the longest of them, in seconds of the processor.
    """

    kind: str
    tried: int
    read: int
    seconds: float
    slowest: float
    failures: tuple[Failure, ...]


class HangError(BaseException):
    """No reader may catch it, as it may an Exception."""


def fuzz(kind: Kind, folder: Path, mutations: int, seed: int = 0, first: int = 0) -> Found:
    """Mutations `first` and following; each follows from the seed, the kind and its number."""
    began, slowest, read, failures = time.monotonic(), 0.0, 0, []
    for number in range(first, first + mutations):
        chance = random.Random(f"{kind.name} {seed} {number}")
        content = kind.mutations[number % len(kind.mutations)](chance)
        start = time.process_time()
        said = attempt(kind, folder, content)
        slowest = max(slowest, time.process_time() - start)
        read += said is None
        if said:
            failures.append(Failure(kind.name, number, said, content))
    seconds = round(time.monotonic() - began, 2)
    return Found(kind.name, mutations, read, seconds, round(slowest, 2), tuple(failures))


def attempt(kind: Kind, folder: Path, content: bytes) -> str | None:
    """None where the file was used, "" where it was refused in one line, else what went wrong."""
    path = folder / kind.file
    path.unlink(missing_ok=True)  # some disks wait where a file is cut and written anew
    path.write_bytes(content)
    before = [signal.signal(one, _ring) for one in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    signal.setitimer(signal.ITIMER_REAL, WAITED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.use(path)
    except UserError as error:
        said = str(error)
        return "" if said and "\n" not in said else f"no line: {said!r}"
    except HangError:
        return f"took more than {LONGEST:g} s of the processor or {WAITED:g} s"
    except Exception:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(one, handler)
    return None


def _ring(number: int, frame: FrameType | None) -> None:
    raise HangError
