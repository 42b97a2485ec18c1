"""The turns of a round: a stage of a stream's frame, and which rounds what it reads was written in.

Turns come in this order where nothing else decides: every stream's first stage, then every stream's
second, and so on. Staggered, a stage follows the one before it a stream later, and so the last
streams' later stages fall into the next round: they are *late* by one, and the next round's first
stages run beside them.  Stages up to the last that reads the network's input are not late, because
the input of a frame is given up at the end of its round.  Nor may the frame after read what a stage
has not written yet: from a stage that reads it to the one that writes it there are fewer delays
than streams.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.vector_program import LayerStage, Value


@dataclass(frozen=True)
class Turn:
    """A stage of a stream's frame; `late`: of the frame that began so many rounds ago."""

    stage: int
    stream: int
    late: int


@dataclass(frozen=True, eq=False)
class IssueOrder:
    """All turns of a round, and how old what they read is."""

    layout: MemoryMap

    def __iter__(self) -> Iterator[Turn]:
        streams, stages = range(self.layout.design.streams), range(len(self.layout.stages))
        turns = [
            Turn(stage, stream, self.late(stage, stream)) for stage in stages for stream in streams
        ]
        yield from sorted(turns, key=lambda turn: (self.order(turn), turn.stage, turn.stream))

    def order(self, turn: Turn) -> int:
        """Place in the round; staggered, turns side by side have the same, late ones beside the
        next round's first.
        """
        streams = self.layout.design.streams
        if not self.layout.design.staggered:
            return turn.stage * streams + turn.stream
        return (turn.stream + self._delays[turn.stage]) % streams

    @cached_property
    def _delays(self) -> tuple[int, ...]:
        """Streams by which each stage follows the first."""
        name = self.layout.model.input.name
        reads = [
            any(o.signal == name for p in stage.products for o in p.operands)
            for stage in self.layout.stages
        ]
        last = max(index for index, reading in enumerate(reads) if reading)
        if not self.layout.design.staggered:
            return (0,) * len(reads)
        delays: list[int] = []
        for index in range(len(reads)):
            around = [first for first, then in self._loops if first < index <= then]
            most = [delays[first] + self.layout.design.streams - 1 for first in around]
            delays.append(min([delays[-1] + 1 if index > last else 0, *most]))
        return tuple(delays)

    @cached_property
    def _loops(self) -> list[tuple[int, int]]:
        """(reader, writer) for every stage that reads what the same or a later one wrote in the
        frame before.
        """
        return [
            (number, self._writers[name][0])
            for number, stage in enumerate(self.layout.stages)
            for name in _read(stage)
            if name in self._writers and self._writers[name][0] >= number
        ]

    def late(self, stage: int, stream: int) -> int:
        """Rounds between a frame's beginning and this stage of it."""
        return (stream + self._delays[stage]) // self.layout.design.streams

    @cached_property
    def rounds(self) -> int:
        """Rounds that a frame begun may still be at work after its own."""
        return max(turn.late for turn in self)

    # --- what was written in which round

    @cached_property
    def _writers(self) -> dict[str, tuple[int, int]]:
        """(stage, step) by the name of a signal or value."""
        found: dict[str, tuple[int, int]] = {}
        for number, stage in enumerate(self.layout.stages):
            for index, step in enumerate(stage.steps):
                found |= {
                    name: (number, index)
                    for name in (step.signal, step.keep and step.keep.name)
                    if name
                }
        return found

    def before(self, name: str, stage: int, step: int = -1) -> bool:
        """Whether a signal or value, read there, is still that of the frame before."""
        writer = self._writers.get(name)
        return writer is not None and writer >= (stage, step)

    def age(self, name: str, turn: Turn, step: int = -1) -> int:
        """Rounds between its writing and its reading there; 0: it is written in the same round, by
        an earlier turn.
        """
        writer = self._writers.get(name)
        if writer is None:
            return 0
        return turn.late + self.before(name, turn.stage, step) - self.late(writer[0], turn.stream)

    def age_of_value(self, value: Value, turn: Turn, step: int) -> int:
        """As `age`; what lives within a chunk only is never old."""
        return self.age(value.name, turn, step) if value.state or value.carried else 0


def _read(stage: LayerStage) -> set[str]:
    """Signals and values that a stage reads."""
    signals = {operand.signal for product in stage.products for operand in product.operands}
    parts = (
        part
        for step in stage.steps
        for term in step.terms
        for part in (term.a, term.b, term.addend)
    )
    return signals | {
        part.name for part in parts if isinstance(part, Value) and (part.state or part.carried)
    }
