"""A round while its tapes are written: what both units know of it, and what is left to do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ernn.scheduling.hazards import Hazards, Place
from ernn.scheduling.issue_order import IssueOrder, Turn
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.timing import Timing
from ernn.scheduling.vector_tape import Chunk
from ernn.scheduling.weight_banks import Pass

Option = tuple[tuple[float, ...], Callable[[], None]]
"""When an item begins and what decides between equals; what to do."""


@dataclass(frozen=True)
class Bar:
    """A stretch of time in which a unit is busy, for people to look at."""

    unit: str
    start: int
    end: int
    label: str
    stream: int


@dataclass
class Work:
    """What is left to do of a turn."""

    turn: Turn
    order: int  # turns side by side have the same
    passes: list[Pass]
    lines: int  # of the vector unit's steps, those already begun among them
    begun: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    ready: int | None = None  # from when on the next pass can begin
    waits_for: Place | None = None  # that this pass reads, and for which no time is known yet

    @property
    def steps_left(self) -> bool:
        return self.begun < self.lines or bool(self.chunks)


@dataclass(frozen=True, eq=False)
class Round:
    """What is known at every time."""

    layout: MemoryMap
    timing: Timing
    shifts: ShiftTables
    hazards: Hazards = field(default_factory=Hazards)
    bars: list[Bar] = field(default_factory=list)

    @cached_property
    def order(self) -> IssueOrder:
        return IssueOrder(self.layout)

    @cached_property
    def lone(self) -> bool:
        """Whether there is one stream, whose next frame waits for this one's first stages."""
        return self.layout.design.streams == 1

    def bar(self, unit: str, start: int, end: int, label: str, turn: Turn) -> None:
        self.bars.append(Bar(unit, start, end, label, turn.stream))
