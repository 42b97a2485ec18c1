"""The turns of a round: a stage of a stream's frame, and which rounds what it reads was written in.

Turns come in this order where nothing else decides: every stream's first stage, then every stream's
second, and so on. Staggered, a stage follows the one before it a stream later, and so the last
streams' later stages fall into the next round: they are *late* by one, and the next round's first
stages run beside them.

How far a stage may follow another is limited by memory, of which staggering takes none: what is
read of an earlier stage must not have been written again, what is read of a later one must have
been written, a frame's outputs leave in one round, and the input of a frame is given up at the end
of its own.  Where a skip over many stages would need more copies, stages follow
each other with fewer delays instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.vector_program import Arrived, Kept


@dataclass(frozen=True)
class Turn:
    """A stage of a stream's frame; `late`: of the frame that began so many rounds ago."""

    stage: int
    stream: int
    late: int


@dataclass(frozen=True)
class _Limit:
    """Stages after `first`, up to `last`, follow `first` by at most so many `delays`."""

    first: int
    last: int
    delays: int


@dataclass(frozen=True, eq=False)
class IssueOrder:
    """All turns of a round, and how old what they read is."""

    layout: MemoryMap

    def __iter__(self) -> Iterator[Turn]:
        streams, stages = range(self._streams), range(len(self.layout.stages))
        turns = [
            Turn(stage, stream, self.late(stage, stream)) for stage in stages for stream in streams
        ]
        yield from sorted(turns, key=lambda turn: (self.order(turn), turn.stage, turn.stream))

    @property
    def _streams(self) -> int:
        return self.layout.design.streams

    def order(self, turn: Turn) -> int:
        """Place in the round; staggered, turns side by side have the same, late ones beside the
        next round's first.
        """
        if not self.layout.design.staggered:
            return turn.stage * self._streams + turn.stream
        return (turn.stream + self._delays[turn.stage]) % self._streams

    @cached_property
    def _delays(self) -> tuple[int, ...]:
        """Streams by which each stage follows the first."""
        stages = len(self.layout.stages)
        if not self.layout.design.staggered:
            return (0,) * stages
        limits, delays = [*self._limits()], [0]
        for index in range(1, stages):
            around = (one for one in limits if one.first < index <= one.last)
            most = (delays[one.first] + one.delays for one in around)
            delays.append(min([delays[-1] + 1, *most]))
        return tuple(delays)

    def late(self, stage: int, stream: int) -> int:
        """Rounds between a frame's beginning and this stage of it."""
        return (stream + self._delays[stage]) // self._streams

    @cached_property
    def rounds(self) -> int:
        """Rounds that a frame begun may still be at work after its own."""
        return max(turn.late for turn in self)

    # --- limits of delays

    def _limits(self) -> Iterator[_Limit]:
        reads_input = [n for n in range(len(self.layout.stages)) if self._takes_input(n)]
        yield _Limit(0, max(reads_input, default=0), 0)
        outputs = self.layout.output_stages
        yield _Limit(outputs[0], outputs[-1], 0)
        for number, stage in enumerate(self.layout.stages):
            for operand in (operand for product in stage.products for operand in product.operands):
                writer = self._senders.get(operand.signal)
                if writer is not None:
                    copies = self.layout.spectra.copies(operand.signal)
                    most = (copies - 1 - operand.delay) * self._streams
                    yield self._of_read(writer, number, operand.delay, most)
            for kept in self._kept(number):
                writer = self._keepers[kept.value.name]
                most = (kept.value.copies - kept.before) * self._streams - 1
                yield self._of_read(writer, number, kept.before, most)

    def _of_read(self, writer: int, reader: int, delay: int, most: int) -> _Limit:
        """For a reader after its writer, `most` delays until it is written again; for one before
        it, those of the frames until it reads.
        """
        if writer < reader:
            return _Limit(writer, reader, most)
        return _Limit(reader, writer, delay * self._streams - 1)

    def _takes_input(self, number: int) -> bool:
        stage, name = self.layout.stages[number], self.layout.model.input.name
        terms = (term for step in stage.steps for term in step.terms)
        return any(
            operand.signal == name for product in stage.products for operand in product.operands
        ) or any(isinstance(term.addend, Arrived) for term in terms)

    def _kept(self, number: int) -> set[Kept]:
        """Values that a stage reads and that outlive a chunk."""
        steps = self.layout.stages[number].steps
        read = {kept for step in steps for term in step.terms for kept in term.reads}
        return {kept for kept in read if kept.value.copies}

    # --- what was written in which round

    @cached_property
    def _senders(self) -> dict[str, int]:
        """The stage that gives each signal's spectrum; the input's is given by none."""
        return {
            step.signal: number
            for number, stage in enumerate(self.layout.stages)
            for step in stage.steps
            if step.signal
        }

    @cached_property
    def _keepers(self) -> dict[str, int]:
        """The stage that keeps each value."""
        return {
            step.keep.name: number
            for number, stage in enumerate(self.layout.stages)
            for step in stage.results
            if step.keep
        }

    def age(self, signal: str, delay: int, turn: Turn) -> int:
        """Rounds between the writing of a signal's spectrum, `delay` frames before, and its reading
        there; 0: it is written in the same round, by an earlier turn.

        Of the input it is the delay.
        """
        writer = self._senders.get(signal)
        return delay if writer is None else turn.late + delay - self.late(writer, turn.stream)

    def age_of(self, kept: Kept, turn: Turn) -> int:
        """The same of a value; what lives within a chunk only is never old."""
        writer = self._keepers[kept.value.name]
        own = turn.late + kept.before - self.late(writer, turn.stream)
        return own if kept.value.copies else 0
