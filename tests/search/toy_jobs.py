"""Jobs for studies: one only counts, one really trains. Ray's workers import this module."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from ernn.search.study import Choice, Outcome


def arithmetic(choice: Choice) -> Outcome:
    """Larger networks make fewer errors; blocks cost some."""
    size = choice.hidden * choice.layers
    return Outcome(
        1000 / size + choice.block, size * choice.weight_bits / choice.block, size / choice.block
    )


@dataclass(frozen=True)
class Fussy:
    """Raises for an LSTM, stops early for blocks of 16, counts for the rest."""

    def __call__(self, choice: Choice) -> Outcome:
        if choice.cell == "lstm":
            raise ValueError("no LSTM today")
        return Outcome(stopped="blocks too large") if choice.block == 16 else arithmetic(choice)


@dataclass(frozen=True)
class Slow:
    """Writes which process does which trial, then takes its time; a line when it is done."""

    folder: Path
    seconds: float

    def __call__(self, choice: Choice) -> Outcome:
        name = f"{choice.cell}-{choice.hidden}-{choice.layers}-{choice.block}-{choice.weight_bits}"
        (self.folder / f"{name}.{os.getpid()}.{time.monotonic_ns()}.begun").touch()
        time.sleep(self.seconds)
        (self.folder / f"{name}.{os.getpid()}.{time.monotonic_ns()}.done").touch()
        return arithmetic(choice)


class Die(BaseException):
    """Ends a search as a kill would: nothing catches it."""


@dataclass
class Killer:
    """Ends the whole search in its third trial."""

    calls: int = 0

    def __call__(self, choice: Choice) -> Outcome:
        self.calls += 1
        if self.calls == 3:
            raise Die
        return arithmetic(choice)
