"""The cells run once on names instead of numbers: what they ask for, in order, is the program that
c/play.c plays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import prod
from typing import NamedTuple

import numpy as np

from ernn.golden.arithmetic import Term
from ernn.golden.butterflies import largest_in
from ernn.golden.packing import CHUNK_LIMIT, LIMIT
from ernn.golden.vectors import laid_out
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Product, Transform

Array = np.ndarray


class Kind(IntEnum):
    """What an operation does; as in c/play.h."""

    SUM = 0
    ACTIVATE = 1
    SPECTRUM = 2
    PRODUCT = 3


@dataclass(frozen=True)
class Vector:
    """`length` integers within +-`bound` in `size` places from `at` on; of constants, from ~at."""

    at: int
    size: int
    length: int
    bound: int


class Rounding(NamedTuple):
    """From some fraction bits to a format; as in c/play.h."""

    up: int = 0
    down: int = 0
    low: int = 0
    high: int = 0
    wide: int = 0


class Operation(NamedTuple):
    """As in c/play.h, but for `chain`."""

    kind: Kind
    to: int
    size: int = 0
    x: int = 0
    guard: int = 0
    last: int = 0
    first: int = 0
    end: int = 0
    which: int = 0
    round: Rounding = Rounding()


class RecordedProduct(NamedTuple):
    """A product of `operands`: where its gates lie, and its two roundings."""

    product: Product
    operands: tuple[Vector, ...]
    gates: tuple[Vector, ...]
    sums: Rounding
    out: Rounding


@dataclass(eq=False)
class Recorder:
    """`ernn.golden.arithmetic.Arithmetic` on vectors, which take whole rows of `lanes` places."""

    model: IntegerModel
    lanes: int
    size: int = 0
    constants: list[int] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    terms: list[tuple[int, ...]] = field(default_factory=list)
    products: list[RecordedProduct] = field(default_factory=list)
    tables: list[ActivationTable] = field(default_factory=list)
    largest: int = 0
    """The largest bound of any number in memory or in a transform."""

    def vector(self, length: int, bound: int) -> Vector:
        """A new vector."""
        k = self.model.block
        at, size = self.size, -(-length // k) * k
        self.size += self._places(size)
        self.largest = max(self.largest, bound)
        return Vector(at, size, length, bound)

    def of(self, length: int, format: FixedFormat) -> Vector:
        return self.vector(length, -format.low)

    def _places(self, size: int) -> int:
        """An odd number of rows of lanes, since vectors at distances of a power of two would share
        the same few lines of a cache.
        """
        return (self._rows(size) | 1) * self.lanes

    def _rows(self, size: int) -> int:
        return -(-size // self.lanes)

    def constant(self, values: Array) -> Vector:
        numbers, at = laid_out(values, self.model.block), len(self.constants)
        self.constants += np.pad(numbers, (0, self._places(len(numbers)) - len(numbers))).tolist()
        bound = int(np.abs(numbers).max(initial=0))
        self.largest = max(self.largest, bound)
        return Vector(~at, len(numbers), len(values), bound)

    def spectrum(self, signal: str, value: Vector) -> Vector:
        found, forward = self.model.signal(signal), self.model.forward
        assert found.spectrum is not None, f"no product reads {signal}"
        largest = self._transformed(forward, -found.format.low << forward.guard)
        to, words = self.of(value.size, found.spectrum), value.size // self.model.block
        last = value.length - (words - 1) * self.model.block
        round = _rounding(found.format.frac + forward.guard, found.spectrum, largest)
        self.operations.append(
            Operation(Kind.SPECTRUM, to.at, words, value.at, forward.guard, last, round=round)
        )
        return to

    def _transformed(self, transform: Transform, bound: int) -> int:
        largest = largest_in(transform, self.model.block, bound)
        self.largest = max(self.largest, largest)
        return largest

    def product(self, product: Product, spectra: Sequence[Vector]) -> list[Vector]:
        gates = [self.of(product.length, product.output) for _ in range(product.gates)]
        operands = tuple(spectra)
        sums = _rounding(self.model.product_frac(product), product.rows, CHUNK_LIMIT)
        largest = self._transformed(self.model.inverse, -product.rows.low)
        doublings = self.model.block.bit_length() - 1  # the inverse is not divided by k
        out = _rounding(product.rows.frac + doublings, product.output, largest)
        self.operations.append(Operation(Kind.PRODUCT, gates[0].at, which=len(self.products)))
        self.products.append(RecordedProduct(product, operands, tuple(gates), sums, out))
        return gates

    def rounded_sum(self, target: FixedFormat, *terms: Term, positive: bool = False) -> Vector:
        frac = max(term.frac for term in terms)
        to = self.of(terms[0].factors[0].length, target)
        bound = sum(
            prod(factor.bound for factor in term.factors) << (frac - term.frac) for term in terms
        )
        round = _rounding(frac, target, bound)
        self._sum(to, terms, frac, round._replace(low=0) if positive else round)
        return to

    def copy(self, to: Vector, value: Vector) -> None:
        """For the next frame, or the first one."""
        self._sum(to, [Term((value,), 0)], 0, Rounding(low=-value.bound, high=value.bound))

    def _sum(self, to: Vector, terms: Sequence[Term], frac: int, round: Rounding) -> None:
        first = len(self.terms)
        for term in terms:
            places = [factor.at for factor in term.factors]
            assert len(places) <= 2, "a term of a sum has one factor or two"
            numbers = (places[0], places[-1], frac - term.frac, int(term.sign < 0))
            self.terms.append((len(places), *numbers))
        size = self._rows(to.size) * self.lanes
        self.operations.append(
            Operation(Kind.SUM, to.at, size, first=first, end=len(self.terms), round=round)
        )

    def activate(self, table: ActivationTable, value: Vector) -> Vector:
        if not any(table is known for known in self.tables):
            self.tables.append(table)
        which = next(at for at, known in enumerate(self.tables) if known is table)
        to = self.vector(value.length, _largest_of(table))
        size = self._rows(to.size) * self.lanes
        self.operations.append(Operation(Kind.ACTIVATE, to.at, size, value.at, which=which))
        return to

    @property
    def narrow(self) -> bool:
        """16-bit pairs can be multiplied, and 32 bits hold every vector and transform."""
        operands = [operand for made in self.products for operand in made.product.operands]
        spectra = [self.model.signal(operand.signal).spectrum for operand in operands]
        return (
            self.largest <= LIMIT
            and all(spectrum.width <= 16 for spectrum in spectra if spectrum)
            and all(operand.matrix.format.width <= 15 for operand in operands)
            and all(_is_narrow(table) for table in self.tables)
        )


def _rounding(frac: int, target: FixedFormat, largest: int) -> Rounding:
    """From `frac` fraction bits to `target`; `wide` where numbers up to +-largest need more than 32
    bits.
    """
    up, down = max(target.frac - frac, 0), max(frac - target.frac, 0)
    wide = (largest << up) + ((1 << down) >> 1) > LIMIT or down > 31
    return Rounding(up, down, target.low, target.high, int(wide))


def _largest_of(table: ActivationTable) -> int:
    """The largest absolute value a table gives: lines have it at an end."""
    last = (1 << (table.input.width - table.segment_bits)) - 1
    half, base = (1 << table.slope_shift) >> 1, table.base << table.slope_shift
    ends = [(base + table.slope * rest + half) >> table.slope_shift for rest in (0, last)]
    return min(int(np.abs(ends).max()), -table.output.low)


def _is_narrow(table: ActivationTable) -> bool:
    """Whether 16 bits hold its numbers, and 32 its lines."""
    base, slope = (int(np.abs(numbers).max(initial=0)) for numbers in (table.base, table.slope))
    rest, half = slope << (table.input.width - table.segment_bits), 1 << table.slope_shift
    line = (base << table.slope_shift) + rest + half
    return max(base, slope) < 1 << 15 and max(line, -2 * table.input.low) <= LIMIT
