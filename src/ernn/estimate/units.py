"""What an engine is made of, counted from its model and its design.

Multipliers and memories are what the RTL asks for, exactly; `ernn.estimate.logic` counts the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from ernn.estimate.device import Family
from ernn.estimate.memories import Mapped, Memory, mapped
from ernn.estimate.multipliers import Multiplier
from ernn.ir.edges import data_bits
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.lines import address_bits
from ernn.scheduling.memory_map import ARRIVALS, MemoryMap
from ernn.scheduling.schedule import Schedule
from ernn.scheduling.tape import Tape
from ernn.scheduling.weight_banks import DEPTH, in_memories


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
    def weight(self) -> int:
        """Bits of a weight."""
        return self.layout.model.weight_bits

    @property
    def word(self) -> int:
        """Bits of a word of weights, of all elements that share multipliers."""
        design = self.layout.design
        return design.sharing * self.block * self.weight + design.parity

    @property
    def memories_of_bank(self) -> int:
        """Memories that an element's bank is cut into."""
        return ceil(self.bank / DEPTH)

    @cached_property
    def bank(self) -> int:
        """Words of a weight bank."""
        return sum(one.length for stage in self.layout.passes for one in stage)

    # --- memories

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        layout, design = self.layout, self.layout.design
        word, line, beat = (
            numbers * self.data for numbers in (self.block, layout.line, layout.beat)
        )
        dense = self.block > 1 and any(row["dense"] for row in self.plan.array.rows)
        tag = 2 + address_bits(design.streams)
        frames = self.plan.rounds_under_way * design.streams
        return (
            *self._banks(),
            Memory("spectra", word, layout.spectra.depth, True, count=design.splits),
            Memory(
                "gates", word, layout.gates_total, True, self.data if dense else 0, count=self.words
            ),
            Memory("values", beat, layout.values.beats, True, count=2),
            Memory("constants", *self._constants(), False),
            *self._numbers(),
            Memory("array tape", _changing(self.plan.array), len(self.plan.array.rows), False),
            Memory("vector tape", _changing(self.plan.vector), len(self.plan.vector.rows), False),
            Memory("output queue", line + tag, frames * layout.output_lines, True),
        )

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

    def _banks(self) -> Iterator[Memory]:
        design = self.layout.design
        width, elements = self.word, design.elements // design.sharing
        whole, rest = divmod(self.bank, DEPTH)
        if whole:
            yield Memory("weights", width, DEPTH, False, count=whole * elements)
        if rest:
            low = width if in_memories(self.bank) == self.bank else min(width, design.tail)
            yield Memory("weights' rest", low, rest, False, count=elements)
            yield Memory(
                "weights' rest in logic", width - low, rest, False, count=elements, logic=True
            )

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


def _changing(tape: Tape) -> int:
    """Bits of a tape's rows that are not the same in all of them."""
    ever, always = 0, -1
    for word in tape.words:
        ever, always = ever | word, always & word
    return (ever & ~always).bit_count()


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
    data, weight, pairs = data_bits(model), model.weight_bits, max(0, model.block // 2 - 1)
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
