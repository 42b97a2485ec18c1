"""What an engine is made of, counted from its model and its design.

Multipliers and memories are what the RTL asks for, exactly; `ernn.estimate.logic` counts the rest.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ernn.estimate.device import Family
from ernn.estimate.memories import Mapped, Memory, mapped
from ernn.estimate.multipliers import Multiplier
from ernn.ir.edges import data_bits, operand_bits
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design, multipliers_per_pe
from ernn.scheduling.lines import address_bits
from ernn.scheduling.memory_map import ARRIVALS, MemoryMap
from ernn.scheduling.schedule import Schedule
from ernn.scheduling.weight_banks import in_memories


@dataclass(frozen=True, eq=False)
class Units:
    """An engine by its parts."""

    plan: Schedule

    # --- sizes

    @property
    def layout(self) -> MemoryMap:
        return self.plan.layout

    @property
    def block(self) -> int:
        return self.layout.model.block

    @property
    def words(self) -> int:
        """Words side by side."""
        return self.layout.design.words

    @property
    def pairs(self) -> int:
        """Complex bins of a word."""
        return max(0, self.block // 2 - 1)

    @cached_property
    def data(self) -> int:
        """Bits of a number."""
        return data_bits(self.layout.model)

    @cached_property
    def operand(self) -> int:
        """Bits of a number that the array multiplies."""
        return operand_bits(self.layout.model)

    @cached_property
    def weight(self) -> int:
        """Bits of a weight."""
        return self.layout.model.weight_bits

    @cached_property
    def slices(self) -> tuple[tuple[int, int, int], ...]:
        """Of each slice of banks: how many banks have it, bits of its words, and how many memories
        it is cut into.
        """
        return tuple(
            (count, bits, len(depths) + (sum(depths) < words))
            for count, words, bits in sizes(self.layout)
            for depths in [in_memories(words, bits)]
        )

    @property
    def weights(self) -> int:
        """Bits that all banks give a cycle."""
        return sum(count * bits for count, bits, _ in self.slices)

    @property
    def handed(self) -> int:
        """Bits of weights that are handed on to elements a cycle later."""
        pes, joined, words = (getattr(self.layout.design, n) for n in ("pes", "joined", "words"))
        later = (row for row in range(0, pes, words) if row % joined)
        elements = sum(min(joined - row % joined, pes - row) for row in later)
        return elements * self.layout.design.splits * self.block * self.weight

    @cached_property
    def bank(self) -> int:
        """Words of a weight bank."""
        return bank_words(self.layout)

    # --- memories

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        layout, design = self.layout, self.layout.design
        word, line, beat = (
            numbers * self.data for numbers in (self.block, layout.line, layout.beat)
        )
        least = layout.kept[-1]
        tag = 2 + address_bits(design.streams)
        frames = self.plan.rounds_under_way * design.streams
        return (
            *banks(sizes(layout), design),
            Memory(
                "spectra",
                self.block * self.operand,
                layout.spectra.depth,
                True,
                count=design.splits,
            ),
            Memory(
                "gates",
                word,
                layout.gates_total,
                True,
                least * self.data if least < self.block else 0,
                count=self.words,
            ),
            *self._sums(),
            *self._row_shifts(),
            Memory("values", beat, layout.values.beats, True, count=2),
            *self._aside(),
            Memory("constants", *self._constants(), False),
            *self._numbers(),
            Memory("array tape", self.plan.array.changing, len(self.plan.array.rows), False),
            Memory("vector tape", self.plan.vector.changing, len(self.plan.vector.rows), False),
            Memory("output queue", line + tag, frames * layout.output_lines, True),
        )

    def _sums(self) -> Iterator[Memory]:
        """What elements, or buses behind them, keep of passes in parts."""
        layout, wide = self.layout, self.layout.accumulator_bits
        if count := layout.sums_in_elements:
            bits, elements = multipliers_per_pe(self.block) * wide, layout.design.elements
            yield Memory("sums", bits, count, True, count=elements, at_once=True)
        if count := layout.sums_at_exit:
            yield Memory("sums", self.block * wide, count, True, count=self.words, at_once=True)

    def _row_shifts(self) -> Iterator[Memory]:
        """What rows' sums are shifted by, where that differs from row to row."""
        shifts = self.plan.shifts
        if own := shifts.of_rows:
            bits, block = address_bits(len(shifts.rows)), self.layout.design.block_ram
            yield Memory("row shifts", bits, len(own[0]), False, count=len(own), block=block)

    def _aside(self) -> Iterator[Memory]:
        """Values that have a memory of their own."""
        values = self.layout.values
        if values.aside:
            beat = self.layout.beat * self.data
            yield Memory("values aside", beat, values.aside_beats, True, count=2)

    def _numbers(self) -> Iterator[Memory]:
        """The vector unit's that not every network needs."""
        layout, model = self.layout, self.layout.model
        if model.tables:
            segments = sum(1 << table.segment_bits for table in model.tables)
            bits = self.data + model.slope_bits
            yield Memory("activations", bits, segments, False, count=layout.beat)
        if layout.arrival_lines:
            lines = ARRIVALS << address_bits(layout.arrival_lines)
            yield Memory("arrivals", layout.line * self.data, lines, True)

    def _constants(self) -> tuple[int, int]:
        """Bits that are not the same in every word, and words."""
        pairs = self.layout.constants[1]
        if not pairs:
            return 0, 1
        words = np.array([np.concatenate(pair) for pair in pairs])
        bits = words[:, :, None] >> np.arange(self.data) & 1
        return int((bits != bits[:1]).any(0).sum()), len(pairs)

    def mapped(self, family: Family) -> Iterator[tuple[Memory, Mapped]]:
        """Each memory with what one of it takes."""
        return ((memory, mapped(memory, family)) for memory in self.memories if memory.width)

    def filled(self, family: Family) -> tuple[float, float]:
        """The share of the block RAM taken that holds bits: of weight banks, and of all else."""
        bits, taken = [0, 0], [0, 0]
        for memory, used in self.mapped(family):
            if used.blocks:
                other = not memory.name.startswith("weights")
                bits[other] += memory.count * memory.width * memory.depth
                taken[other] += memory.count * used.kbit << 10
        weights, others = (held / max(1, room) for held, room in zip(bits, taken, strict=True))
        return weights, others


def bank_words(layout: MemoryMap, stages: int | None = None) -> int:
    """Words of a weight bank: a cycle each of a frame's passes, in all stages or the first few."""
    return sum(one.length for stage in layout.passes[:stages] for one in stage)


Sizes = list[tuple[int, int, int]]
"""Banks, and words of each, and their bits."""


def sizes(layout: MemoryMap, most: int | None = None) -> Sizes:
    """Of each slice of all banks; `most`: bits that a weight has then."""
    found = layout.slices if most is None else layout.sliced(most)
    block, counts = layout.model.block, layout.design.banks
    return [
        (counts[elements], one.words, one.bits(elements * block))
        for elements, slices in found.items()
        for one in slices
    ]


def banks(slices: Sizes, design: Design) -> Iterator[Memory]:
    """Memories of a design's weight banks."""
    block = design.block_ram
    for count, words, bits in slices:
        depths = in_memories(words, bits)
        for depth, memories in Counter(depths).items():
            yield Memory("weights", bits, depth, False, count=memories * count, block=block)
        if rest := words - sum(depths):
            low = min(bits, design.tail)
            yield Memory("weights' rest", low, rest, False, count=count, block=block)
            yield Memory("weights' rest in logic", bits - low, rest, False, count=count, logic=True)


def multipliers(layout: MemoryMap) -> Iterator[tuple[int, Multiplier]]:
    """How many of each kind an engine has."""
    model, design = layout.model, layout.design
    data = data_bits(model)
    for products, number, weight in array_products(model):
        wide = design.packed or weight
        yield design.elements // design.sharing * products, Multiplier(number, wide)
    yield layout.beat, Multiplier(data, data)
    low = low_bits(model)
    if low:
        yield layout.beat, Multiplier(model.slope_bits, low + 1)


def array_products(model: IntegerModel) -> tuple[tuple[int, int, int], ...]:
    """An element's products of each kind: how many, and bits of the number and of the weight."""
    data, weight, pairs = operand_bits(model), model.weight_bits, max(0, model.block // 2 - 1)
    return (
        (min(2, model.block), data, weight),
        (pairs, data + 1, weight),
        (pairs * 2, data, weight + 1),
    )


def low_bits(model: IntegerModel) -> int:
    """Most bits of a number below its segment's in any table."""
    bits = (table.input.width - table.segment_bits for table in model.tables)
    return max(bits, default=0)


def dsp(layout: MemoryMap, family: Family) -> int:
    """Hard multipliers of an engine."""
    return sum(count * one.blocks(family) for count, one in multipliers(layout))
