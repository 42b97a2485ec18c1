"""The cells run once on names instead of numbers: what they ask for, in order, is the program that
c/play.c plays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from math import prod
from typing import NamedTuple

import numpy as np

from ernn.golden.arithmetic import Term
from ernn.golden.butterflies import largest_in
from ernn.golden.packing import CHUNK_LIMIT, LIMIT, in_rows
from ernn.golden.vectors import laid_out
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Product, Transform

Array = np.ndarray


MOST_ROWS = 64
"""Of tiles that are rounded together, at most."""


class Kind(IntEnum):
    """What an operation does; as in c/play.h."""

    SUM = 0
    ACTIVATE = 1
    SPECTRUM = 2
    PRODUCT = 3


@dataclass(frozen=True)
class Vector:
    """`length` integers of -`bound` .. `bound` - 1 in `size` places from `at` on.

    Constants lie from ~at on.
    """

    at: int
    size: int
    length: int
    bound: int

    def moved(self, places: Mapping[int, int]) -> "Vector":
        return replace(self, at=places.get(self.at, self.at))


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
    half: int = 0
    which: int = 0
    parts: int = 1
    round: Rounding = Rounding()


class RecordedProduct(NamedTuple):
    """A product of `operands`: where its gates lie, its rows' exponents, and its two roundings."""

    product: Product
    operands: tuple[Vector, ...]
    gates: tuple[Vector, ...]
    exponents: int
    sums: Rounding
    out: Rounding


@dataclass(eq=False)
class Recorder:
    """`ernn.golden.arithmetic.Arithmetic` on vectors, which take whole rows of `lanes` places."""

    model: IntegerModel
    lanes: int
    size: int = 0
    constants: list[int] = field(default_factory=list)
    vectors: dict[int, Vector] = field(default_factory=dict)
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
        self.size += self.places_of(size)
        self.largest = max(self.largest, bound)
        self.vectors[at] = Vector(at, size, length, bound)
        return self.vectors[at]

    def of(self, length: int, format: FixedFormat) -> Vector:
        return self.vector(length, -format.low)

    def places_of(self, size: int) -> int:
        """An odd number of rows of lanes, since vectors at distances of a power of two would share
        the same few lines of a cache.
        """
        return (self._rows(size) | 1) * self.lanes

    def _rows(self, size: int) -> int:
        return -(-size // self.lanes)

    def constant(self, values: Array) -> Vector:
        numbers, at = laid_out(values, self.model.block), len(self.constants)
        self.constants += np.pad(numbers, (0, self.places_of(len(numbers)) - len(numbers))).tolist()
        bound = _bound(numbers)
        self.largest = max(self.largest, bound)
        return Vector(~at, len(numbers), len(values), bound)

    def spectrum(self, signal: str, value: Vector) -> Vector:
        found, forward = self.model.signal(signal), self.model.forward
        assert found.spectrum is not None, f"no product reads {signal}"
        largest = self._transformed(forward, -found.format.low << forward.guard)
        to, words = self.of(value.size, found.spectrum), value.size // self.model.block
        last = value.length - (words - 1) * self.model.block
        round = _rounding(found.format.frac + forward.guard, found.spectrum, largest)
        parts = self.model.parts.get(signal, 1)
        self.operations.append(
            Operation(
                Kind.SPECTRUM, to.at, words, value.at, forward.guard, last, parts=parts, round=round
            )
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
        exponents = self._exponents(product)
        recorded = RecordedProduct(product, operands, tuple(gates), exponents, sums, out)
        self.products.append(recorded)
        return gates

    def _exponents(self, product: Product) -> int:
        """Where among the constants a product's rows have theirs, whole tiles of them; -1 for
        none.
        """
        if product.exponents is None:
            return -1
        at, rows = len(self.constants), in_rows(product, product.exponents, self.model.block)
        self.constants += np.pad(rows, (0, MOST_ROWS - len(rows) % MOST_ROWS)).tolist()
        return at

    def rounded_sum(self, target: FixedFormat, *terms: Term, positive: bool = False) -> Vector:
        value, frac = terms[0].factors[0], max(term.frac for term in terms)
        if not positive and _is_value(terms) and frac == target.frac and value.bound <= -target.low:
            return value
        to = self.of(value.length, target)
        self._sum(to, terms, target.frac, (0 if positive else target.low, target.high))
        return to

    def copy(self, to: Vector, value: Vector) -> None:
        """For the next frame, or the first one."""
        self._sum(to, [Term((value,), 0)], 0, (-value.bound, value.bound - 1))

    def _sum(self, to: Vector, terms: Sequence[Term], frac: int, ends: tuple[int, int]) -> None:
        """What is rounded away is shifted out as soon as no finer term follows, so that 32 bits
        hold most sums: ((a << u) + b) >> u = a + (b >> u).
        """
        finest, first = max(term.frac for term in terms), len(self.terms)
        up, down = max(frac - finest, 0), max(finest - frac, 0)
        half = largest = bound = (1 << down) >> 1
        done = 0
        for term in sorted(terms, key=lambda term: -term.frac):
            level = min(finest - term.frac, down)
            left = finest - term.frac - level
            bound = -(-bound >> (level - done))
            bound += prod(factor.bound for factor in term.factors) << left
            largest = max(largest, bound << up)
            places = [factor.at for factor in term.factors]
            assert len(places) <= 2, "a term of a sum has one factor or two"
            numbers = (places[0], places[-1], level - done, left, int(term.sign < 0))
            self.terms.append((len(places), *numbers))
            done = level
        self.largest = max(self.largest, (1 << down) >> 1)  # that half is a number of its own
        round = Rounding(up, down - done, *ends, int(largest > LIMIT or down > 31))
        size = self._rows(to.size) * self.lanes
        of_sum = {"first": first, "end": len(self.terms), "half": half, "round": round}
        self.operations.append(Operation(Kind.SUM, to.at, size, **of_sum))

    def activate(self, table: ActivationTable, value: Vector) -> Vector:
        if not any(table is known for known in self.tables):
            self.tables.append(table)
        which = next(at for at, known in enumerate(self.tables) if known is table)
        to = self.vector(value.length, _bound_of(table))
        size = self._rows(to.size) * self.lanes
        self.operations.append(Operation(Kind.ACTIVATE, to.at, size, value.at, which=which))
        return to

    def reads(self, operation: Operation) -> list[int]:
        """The vectors that an operation reads, by their places."""
        match operation.kind:
            case Kind.SUM:
                terms = self.terms[operation.first : operation.end]
                found = [at for _, a, b, *_ in terms for at in (a, b)]
            case Kind.PRODUCT:
                found = [one.at for one in self.products[operation.which].operands]
            case _:
                found = [operation.x]
        return list(dict.fromkeys(at for at in found if at >= 0))

    def writes(self, operation: Operation) -> Sequence[Vector]:
        """The vectors that an operation writes."""
        if operation.kind == Kind.PRODUCT:
            return self.products[operation.which].gates
        return [self.vectors[operation.to]]

    def move(self, places: Mapping[int, int], size: int) -> None:
        """All vectors to their last places, of so many."""

        def new(at: int) -> int:
            return places.get(at, at)

        self.size = size
        self.operations = [o._replace(to=new(o.to), x=new(o.x)) for o in self.operations]
        self.terms = [(n, new(a), new(b), *others) for n, a, b, *others in self.terms]
        self.products = [
            made._replace(
                operands=tuple(one.moved(places) for one in made.operands),
                gates=tuple(one.moved(places) for one in made.gates),
            )
            for made in self.products
        ]

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


def _is_value(terms: Sequence[Term]) -> bool:
    """Whether a sum is one vector as it is, and no constant."""
    first = terms[0]
    return len(terms) == len(first.factors) == first.sign == 1 and first.factors[0].at >= 0


def _bound(numbers: Array) -> int:
    """As of a `Vector`."""
    return max(int(numbers.max(initial=0)) + 1, -int(numbers.min(initial=0)))


def _bound_of(table: ActivationTable) -> int:
    """Of what a table gives: lines have their ends at an end."""
    last = (1 << (table.input.width - table.segment_bits)) - 1
    half, base = (1 << table.slope_shift) >> 1, table.base << table.slope_shift
    ends = [(base + table.slope * rest + half) >> table.slope_shift for rest in (0, last)]
    return min(_bound(np.array(ends)), -table.output.low)


def _is_narrow(table: ActivationTable) -> bool:
    """Whether 16 bits hold its numbers, and 32 its lines."""
    base, slope = (int(np.abs(numbers).max(initial=0)) for numbers in (table.base, table.slope))
    rest, half = slope << (table.input.width - table.segment_bits), 1 << table.slope_shift
    line = (base << table.slope_shift) + rest + half
    return max(base, slope) < 1 << 15 and max(line, -2 * table.input.low) <= LIMIT
