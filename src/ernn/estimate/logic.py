"""Bits of adders, multiplexers and registers between multipliers and memories, unit by unit.

Counted after the RTL's sources, so that what a bit takes on a family, which is fitted
(`ernn.estimate.area`), is near one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Literal

import numpy as np

from ernn.estimate.device import Family
from ernn.estimate.units import Units, array_products, low_bits
from ernn.ir.integer_parts import Stage, Transform
from ernn.scheduling.design import multipliers_per_pe
from ernn.scheduling.forwarding import WAYS
from ernn.scheduling.lines import address_bits
from ernn.scheduling.shift_stages import stages
from ernn.scheduling.signed_digits import signed_digits
from ernn.scheduling.timing import Pipeline, stage_depths, tree_levels
from ernn.scheduling.weight_banks import CHECKED

Bits = Mapping[str, float]
SHIFTED = 8  # registers in a row that are a shift register, which has one of its own, on average
PARITY = 3  # bits of a sum without carries that a look-up table takes off
FITTED = 16  # bits compared with each other before a register, when a sum is saturated


@dataclass(frozen=True, eq=False)
class Logic:
    """The logic of an engine on a family."""

    units: Units
    family: Family

    def adders(self) -> Bits:
        """Bits that are added or selected, and bits of memories made of logic."""
        return {**self._array_adders, **self._vector_adders, **self._other_adders}

    def registers(self) -> Bits:
        """Bits that are kept in flip-flops."""
        return {**self._array_registers, **self._vector_registers, **self._other_registers}

    # --- sizes

    @property
    def pipeline(self) -> Pipeline:
        return self.units.plan.timing.pipeline

    @property
    def apart(self) -> int:
        """1 where hard blocks outside the array have registers apart from them as well, else 0."""
        return self.pipeline.apart

    @property
    def spread(self) -> int:
        """The same in the array."""
        return self.pipeline.array

    @property
    def block(self) -> int:
        return self.units.block

    @property
    def words(self) -> int:
        """Words side by side."""
        return self.units.layout.design.words

    @property
    def groups(self) -> int:
        return self.units.layout.design.splits

    @property
    def elements(self) -> int:
        return self.units.layout.design.elements

    @property
    def beat(self) -> int:
        return self.units.layout.beat

    @property
    def sets(self) -> int:
        """Elements, or pairs of them that share multipliers."""
        return self.elements // self.units.layout.design.sharing

    @property
    def products(self) -> int:
        """Multipliers of an element."""
        return multipliers_per_pe(self.block)

    @cached_property
    def shared(self) -> "tuple[_Shared, ...]":
        """What logic adds to each multiplier that two elements share."""
        design, model = self.units.layout.design, self.units.layout.model
        if not design.packed:
            return ()
        return tuple(
            _shared(number, weight, design.packed, self.pipeline)
            for count, number, weight in array_products(model)
            for _ in range(count)
        )

    @property
    def operand(self) -> int:
        """Bits of a word of the spectrum and the sums of its complex bins."""
        return self.block * self.units.operand + self.units.pairs * (self.units.operand + 1)

    @property
    def packs(self) -> bool:
        """Whether registers behind block RAMs are in them (`ernn.flow.pack`)."""
        return self.family == "ecp5"

    @property
    def folds(self) -> int:
        """Choices between two that an adder behind takes in."""
        return int(self.packs)

    @property
    def taken(self) -> int:
        """Registers before a multiplier, and behind it, that are in it."""
        return 1 if self.family == "ecp5" else 2

    @property
    def accumulates(self) -> bool:
        """Whether an element's sums are in its multipliers: no register stands between."""
        begins = self.units.layout.sums_in_elements  # sums do not begin with zero
        return self.family != "ecp5" and not self.spread and not begins

    @property
    def shifts(self) -> bool:
        """Whether registers in a row are shift registers made of look-up tables."""
        return self.family != "ecp5"

    @property
    def kept(self) -> float:
        """Flip-flops of a register in a long row of them."""
        return 1 / SHIFTED if self.shifts else 1

    def in_blocks(self, name: str) -> bool:
        """Whether a memory is made of block RAMs."""
        return any(
            used.blocks
            for memory, used in self.units.mapped(self.family)
            if memory.name.startswith(name)
        )

    def behind(self, name: str, bits: int) -> int:
        """Flip-flops of `bits` registers behind a memory: none where a block RAM takes them in."""
        return 0 if self.packs and self.in_blocks(name) else bits

    @cached_property
    def forward(self) -> "_Pipe":
        return _pipe(self.units.layout.model.forward, self.units.data, self.pipeline)

    @cached_property
    def inverse(self) -> "_Pipe":
        return _pipe(
            self.units.layout.model.inverse, self.units.plan.shifts.widths[-1], self.pipeline
        )

    def rounding(self, width: int, shifts: Sequence[int], to: int) -> tuple[int, int]:
        """Bits of adders and selectors, and of registers, that round
        `width` bits and saturate them.
        """
        rounded = max(1, width + 1 - min(shifts))
        parts = 2 * ceil(max(1, rounded - to + 1) / FITTED)
        selected = rounded * max(0, len(stages(shifts)) - self.folds)
        adders = selected + rounded + (rounded - to) / 2 + to
        pipeline = self.pipeline
        return round(adders), (1 + pipeline.shift) * rounded + pipeline.fit * (to + 1 + parts) + to

    @cached_property
    def roundings(self) -> tuple[tuple[int, int], ...]:
        """Of one number: before the inverse transform and after it, or both at once, and after the
        forward transform.
        """
        u, shifts, passed = self.units, self.units.plan.shifts, self.units.plan.timing.passed
        sums = u.layout.accumulator_bits
        spectra = self.rounding(self.forward.width, shifts.spectrum, u.operand)
        if passed.spectra is not None:
            spectra = passed.spectra * u.operand, passed.spectra * u.operand
        if passed.second:
            return self._at_once(sums), spectra
        rows = self.rounding(sums, shifts.rows, shifts.widths[-1])
        return rows, self.rounding(self.inverse.width, shifts.output, u.data), spectra

    def _at_once(self, width: int) -> tuple[int, int]:
        """Both roundings of a product's sum: as one, of numbers that are aligned for the second."""
        shifts = self.units.plan.shifts
        adders, registers = self.rounding(width, shifts.rows, self.units.data)
        apart = shifts.output[-1] - shifts.output[0]
        aligned = width + 1 - min(shifts.rows) + apart
        unfolded = min(self.folds, len(stages(shifts.rows))) * (width + 1 - min(shifts.rows))
        selected = (len(shifts.output) - 1) * aligned + unfolded
        return adders + selected + apart, registers + (1 + self.pipeline.shift) * apart

    @property
    def _combined(self) -> int:
        """Bits of a sum of complex products, in a register of its own."""
        return self.units.plan.timing.combine * self.units.layout.accumulator_bits

    @cached_property
    def terms(self) -> tuple[int, int, int]:
        """Bits of the vector unit's addend, bias and product, shifted."""
        shifts, data = self.units.plan.shifts, self.units.data
        return (
            data + max(*shifts.addend, 0),
            data + max(*shifts.bias, 0),
            2 * data + max(*shifts.product, 0),
        )

    # --- the array

    @property
    def _kept_sum(self) -> int:
        """Bits of a row's sums on a bus, where what is kept of them is added."""
        layout = self.units.layout
        return self.block * layout.accumulator_bits * (layout.sums_at_exit > 0)

    @property
    def _array_adders(self) -> Bits:
        u, wide = self.units, self.products * self.units.layout.accumulator_bits
        chains = self.words * self.groups
        return {
            "element sums": self.elements * wide * (not self.accumulates),
            "element bus": (self.elements - chains) * wide,
            "element weights": self.elements * u.pairs * 2 * (u.weight + 1),
            **({"shared products": self._beside("adders")} if self.shared else {}),
            "element memories": sum(
                count * bits * (memories - 1) for count, bits, memories in u.slices
            )
            + u.layout.design.parity * u.weights / PARITY,
            "groups": self.words * wide * (self.groups - 1)
            + self.words * self._kept_sum
            + chains * u.pairs * (u.operand + 1)
            + self.groups * self.block * u.operand,
        }

    def _beside(self, what: Literal["adders", "registers"]) -> int:
        return self.sets * sum(getattr(one, what) for one in self.shared)

    @property
    def _array_registers(self) -> Bits:
        u, far = self.units, 1 + self.spread
        wide = self.products * u.layout.accumulator_bits
        direct = min(2, self.block)
        factors = direct * u.weight + u.pairs * (3 * u.weight + 2)
        made = direct * (u.operand + u.weight) + u.pairs * 3 * (u.operand + u.weight + 1)
        alone = 0 if self.shared else self.elements
        return {
            "element operands": self.elements
            * (self.operand + address_bits(u.bank) + 5 + 2 * self.spread),
            **({"shared products": self._beside("registers")} if self.shared else {}),
            "element memories": (
                sum(count * (memories * far - 1) * bits for count, bits, memories in u.slices)
                + self.behind("weights", u.weights)
                + u.weights
            )
            * (self.kept if self.spread else 1)
            + u.handed
            + u.layout.design.parity * (ceil(u.weights / CHECKED) + 2 * self.elements),
            "element factors": alone * factors * max(0, 2 - self.taken),
            "element products": alone * made * max(0, far - self.taken),
            "element sums": self.elements
            * (3 - self.accumulates + bool(u.layout.sums_in_elements))
            * wide,
            "groups": self.words * wide * (self.groups - 1)
            + self.groups * (far * self.block * u.operand + self.words * 2 * self.operand),
        }

    # --- the vector unit

    @property
    def _vector_adders(self) -> Bits:
        u, shifts = self.units, self.units.plan.shifts
        addend, bias, product = self.terms
        selectors = ((addend, shifts.addend), (bias, shifts.bias), (product, shifts.product))
        selected = sum(bits * (len(choices) - 1) for bits, choices in selectors)
        sums = (
            2 * max(addend, bias)
            + 1
            + product
            + 2 * u.plan.sum_bits
            + self.rounding(u.plan.sum_bits, shifts.round, u.data)[0]
        )
        return {
            "vector sums": self.beat * (selected + sums),
            "vector data": self.beat * (9 + self._ways * self.pipeline.memories) * u.data,
        }

    @property
    def _ways(self) -> int:
        """Operands of the vector unit that may be taken on their way to memory."""
        return len(WAYS) if self.units.layout.design.forwarding else 0

    @property
    def _vector_registers(self) -> Bits:
        u, shifts, far = self.units, self.units.plan.shifts, 1 + self.apart
        addend, bias, product = self.terms
        both, term = far * (max(addend, bias) + 1), self.pipeline.term * u.plan.sum_bits
        sums = addend + bias + both + product + term + u.plan.sum_bits
        slope, low = u.layout.model.slope_bits, low_bits(u.layout.model)
        read = 2 * self.behind("values", u.data) + self.behind("activations", u.data + slope)
        behind = max(0, far - self.taken)
        before = (2 * u.data + slope + low) * max(0, 1 - self.taken)
        words = 2 * u.data + before + behind * (2 * u.data + slope + low)
        return {
            "vector sums": self.beat
            * (sums + self.rounding(u.plan.sum_bits, shifts.round, u.data)[1]),
            "vector data": self.beat * (read + words + (4 * self.apart + 4 + self._given) * u.data),
            "vector delays": self.kept
            * self.beat
            * ((4 + 4 * self.apart) * u.data + (1 + self.apart) * low + self.pipeline.vector),
        }

    @property
    def _given(self) -> int:
        """Registers of a lane that hold what is taken on its way until it is an operand."""
        return self._ways * (self.pipeline.memories - 1)

    # --- the rest

    @property
    def _other_adders(self) -> Bits:
        u = self.units
        memories = list(u.mapped(self.family))
        numbers = self.words * self.block
        orders = len(u.layout.kept) + len(u.layout.spectra.parts)
        return {
            "transforms": self.words * (self.forward.adders + self.inverse.adders),
            "rounding": numbers * (self._combined + sum(adders for adders, _ in self.roundings)),
            "lines": numbers * u.data * (1 + orders),
            "control": self._control,
            "delays": self.shifts * (self._delays / SHIFTED + self.beat * (2 * u.data + 2)),
            "logic bits": sum(m.count * used.logic_bits for m, used in memories)
            / (16 if self.packs else 64),
            "selected bits": sum(m.count * used.selected_bits for m, used in memories),
        }

    @property
    def _other_registers(self) -> Bits:
        u, numbers, far = self.units, self.words * self.block, 1 + self.apart
        line = numbers * u.data
        read = sum(m.count * m.width for m, used in u.mapped(self.family) if not used.blocks)
        rows = (self.units.plan.array, self.units.plan.vector)
        later = self.behind("gates", line) + self.groups * self.behind(
            "spectra", self.block * u.operand
        )
        return {
            "transforms": self.words * (self.forward.registers + self.inverse.registers),
            "rounding": numbers
            * (self._combined + sum(registers for _, registers in self.roundings)),
            "lines": later
            + (1 + 2 * self.apart) * line
            + line
            - self.beat * u.data
            + (2 + 5 * self.pipeline.far) * line
            + 2 * self._input,
            "control": self._control + self._flags + far * sum(tape.width for tape in rows),
            "delays": self._delays * self.kept,
            "small memories": read,
        }

    @property
    def _input(self) -> int:
        """Bits of a beat of AXI4-Stream."""
        return self.words * self.block * ceil(self.units.data / 8) * 8 + 4

    @property
    def _delays(self) -> int:
        """Bits of addresses and tags on their way through the pipelines."""
        plan, layout = self.units.plan, self.units.layout
        timing, streams = plan.timing, layout.design.streams
        spectrum = address_bits(layout.spectra.places * layout.spectra.turns)
        row = address_bits(layout.gates_total * self.block)
        return (
            self.pipeline.vector
            * (
                address_bits(layout.values.beats)
                + spectrum
                + 4
                + 2 * streams * (1 + plan.rounds_late)
            )
            + timing.forward * (spectrum + 3)
            + (timing.product - timing.exit) * (row + 3)
        )

    @property
    def _flags(self) -> int:
        """Bits that are low after reset, on the same way."""
        timing = self.units.plan.timing
        return 5 * self.pipeline.vector + 2 * timing.forward + timing.product + timing.exit

    @property
    def _control(self) -> float:
        """Bits of tags of passes, flags of streams, counters."""
        plan, layout = self.units.plan, self.units.layout
        tags = address_bits(layout.gates_total * self.block) + 8
        tapes = sum(tape.width + 6 * tape.index_bits for tape in (plan.array, plan.vector))
        return (
            tapes
            + (self._under_way + 1) * tags
            + 24 * layout.design.streams * (1 + plan.rounds_late)
            + 150
        )

    @property
    def _under_way(self) -> int:
        """Places for tags of passes whose results are under way."""
        layout, plan = self.units.layout, self.units.plan
        passes = [one for stage in layout.passes for one in stage]
        least = max(layout.design.pes // self.words, min(one.length for one in passes))
        count = (plan.timing.exit // least + 2) * max(len(one.parts) for one in passes)
        return 1 << (count - 1).bit_length()


@dataclass(frozen=True)
class _Shared:
    """Bits of the logic beside a multiplier that two elements share."""

    adders: int
    registers: int


def _shared(number: int, weight: int, port: int, pipeline: Pipeline) -> _Shared:
    """After `ernn.rtl.shared`."""
    shift = min(port - weight, number + weight - 1)
    bits, whole, again = number + weight - shift, number + weight, pipeline.settled - 1
    return _Shared(
        adders=weight + bits * (bits + 1) // 2 + bits + whole,
        registers=2 * weight
        + 2 * bits
        + again * (sum(range(bits, 0, -2)) + whole + shift)
        + 2 * whole
        + shift,
    )


@dataclass(frozen=True)
class _Pipe:
    """A transform: bits of its adders and registers, and of a result."""

    adders: int
    registers: int
    width: int


def _pipe(transform: Transform, bits: int, pipeline: Pipeline) -> _Pipe:
    """A transform of `bits`-bit numbers."""
    if not transform.stages:
        return _Pipe(0, 0, bits)
    bounds = np.full(
        len(transform.stages[0].matrix), 1 << (bits - 1 + transform.guard), dtype=object
    )
    adders = registers = 0
    for stage, depth in zip(transform.stages, stage_depths(transform, pipeline), strict=True):
        exact = np.abs(stage.matrix).astype(object) @ bounds
        for row, bound in enumerate(exact):
            sums, held = _row(stage, row, int(bound).bit_length() + 1, pipeline.levels)
            adders, registers = adders + sums, registers + held * (depth > 0)
        bounds = np.array(
            [int(b) >> int(s) for b, s in zip(exact, stage.shift, strict=True)], object
        )
    return _Pipe(adders, registers, int(max(bounds)).bit_length() + 1)


def _row(stage: Stage, row: int, width: int, levels: bool) -> tuple[int, int]:
    """Adder and register bits of one row of a stage whose exact sum has `width` bits."""
    used = [abs(int(c)) for c in stage.matrix[row] if c]
    if not stage.shift.any():
        return (len(used) - 1) * width, width
    narrow = width - int(stage.shift[row])
    constants = set(used)
    terms = sum(len(signed_digits(constant)) for constant in constants)
    adders, registers = (len(used) - len(constants)) * narrow, len(constants) * narrow
    for _ in range(tree_levels(stage)):
        pairs = (terms + 1) // 2
        adders, registers, terms = (
            adders + (terms - pairs) * width,
            registers + levels * pairs * width,
            pairs,
        )
    return adders + narrow, registers + narrow
