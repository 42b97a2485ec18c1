"""The least that a design's tapes take, before it is scheduled: all rows, and bits that change."""

from collections.abc import Iterator
from math import ceil

from ernn.estimate.memories import Memory
from ernn.scheduling.array_tape import ArrayTape
from ernn.scheduling.issue_order import IssueOrder, Turn
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.tape import Row, Tape
from ernn.scheduling.vector_program import LayerStage
from ernn.scheduling.vector_tape import Chunk, VectorTape


def least_tapes(layout: MemoryMap, shifts: ShiftTables) -> Iterator[Memory]:
    """Of the array and of the vector unit.  What each stage's first and last passes and chunks of
    the first and the last stream say tells which bits change at least."""
    order = IssueOrder(layout)
    ends = [turn for turn in order if turn.stream in (0, layout.design.streams - 1)]
    array, vector = ArrayTape(order, shifts), VectorTape(order, shifts)
    multiplied = sum(
        len(array.stretches(one, turn))
        for turn in ends
        if turn.stream == 0
        for one in layout.passes[turn.stage]
    )
    yield _memory(layout, "array tape", multiplied, _passes(array, layout, ends))
    size = layout.design.chunk
    stepped = sum(len(step.terms) * ceil(layout.lines(step.length) / size) for step in layout.steps)
    yield _memory(layout, "vector tape", stepped, _steps(vector, layout, ends))


def _memory(layout: MemoryMap, name: str, of_a_stream: int, rows: Iterator[Row]) -> Memory:
    return Memory(name, Tape(tuple(rows)).changing, of_a_stream * layout.design.streams, False)


def _passes(array: ArrayTape, layout: MemoryMap, turns: list[Turn]) -> Iterator[Row]:
    for turn in turns:
        found = layout.passes[turn.stage]
        for one in found[:: max(1, len(found) - 1)]:
            yield from array.rows(one, turn, 0)


def _steps(vector: VectorTape, layout: MemoryMap, turns: list[Turn]) -> Iterator[Row]:
    for turn in turns:
        stage = layout.stages[turn.stage]
        for step in stage.steps:
            for chunk in _chunks(layout, stage):
                yield from vector.rows(step, turn, chunk, gap=0, tabled=True)


def _chunks(layout: MemoryMap, stage: LayerStage) -> list[Chunk]:
    """The first, and the last where there are several."""
    lines, size = layout.lines(stage.steps[0].length), layout.design.chunk
    last = (ceil(lines / size) - 1) * size
    return [Chunk(first, min(size, lines - first), 0) for first in sorted({0, last})]
