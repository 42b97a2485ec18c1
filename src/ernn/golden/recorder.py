"""The cells run once on names instead of numbers: what they ask for, in order, is the program that
`play` plays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ernn.golden.arithmetic import Term
from ernn.golden.butterflies import largest_in
from ernn.golden.lanes import LANES
from ernn.golden.packing import CHUNK_LIMIT, LIMIT, Packed
from ernn.golden.play import NUMBER_BY_NUMBER, STEP, Kind
from ernn.golden.vectors import laid_out
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Product, Signal, Transform

Array = np.ndarray


@dataclass(frozen=True)
class Vector:
    """`length` integers within +-`bound` that take `size` places from `at`: of each stream, or
    `shared` by all.
    """

    at: int
    size: int
    length: int
    bound: int
    shared: bool = False


Step = dict[str, int | Vector]
_SCALED = ("size", "words", "gate_step")
_PACKED = ("tiles", "tile_size", "chunks", "columns", "real_pairs", "complex_pairs", "gate_lanes")


@dataclass(eq=False)
class Recorder:
    """`ernn.golden.arithmetic.Arithmetic` on vectors.

    Memory: the constants, `constants_size` numbers, then `size` numbers of each stream; where
    streams lie side by side, `side` times as many, every number of all of them in a row.
    """

    model: IntegerModel
    side: int = 1
    size: int = 0
    constants_size: int = 0
    constants: list[Array] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    operands: list[Vector] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    largest: int = 0
    """The largest bound of any number in memory or in a transform."""
    _zeros: dict[int, Vector] = field(default_factory=dict)

    def vector(self, length: int, bound: int) -> Vector:
        """A new vector of each stream."""
        size = laid_out(np.zeros(length), self.model.block).size
        at, self.size = self.size, self.size + _spaced(size)
        self.largest = max(self.largest, bound)
        return Vector(at, size, length, bound)

    def of(self, signal: Signal) -> Vector:
        return self.vector(signal.length, -signal.format.low)

    def constant(self, values: Array) -> Vector:
        return self._shared(laid_out(values, self.model.block), len(values))

    def _shared(self, numbers: Array, length: int) -> Vector:
        at, bound = self.constants_size, int(np.abs(numbers).max(initial=0))
        self.constants.append(np.pad(numbers, (0, _spaced(len(numbers)) - len(numbers))))
        self.constants_size += _spaced(len(numbers))
        self.largest = max(self.largest, bound)
        return Vector(at, len(numbers), length, bound, shared=True)

    def _zero(self, size: int) -> Vector:
        if size not in self._zeros:
            self._zeros[size] = self._shared(np.zeros(size, np.int64), size)
        return self._zeros[size]

    def _transformed(self, transform: Transform, bound: int) -> int:
        largest = largest_in(transform, self.model.block, bound)
        self.largest = max(self.largest, largest)
        return largest

    def spectrum(self, signal: str, value: Vector) -> Vector:
        found, forward = self.model.signal(signal), self.model.forward
        assert found.spectrum is not None, f"no product reads {signal}"
        largest = self._transformed(forward, -found.format.low << forward.guard)
        to = self.vector(value.size, -found.spectrum.low)
        self.steps.append(
            {"kind": Kind.SPECTRUM, "to": to, "x": value}
            | {
                "length": value.length,
                "words": value.size // self.model.block,
                "rows_up": forward.guard,
            }
            | _rounding(found.format.frac + forward.guard, found.spectrum, largest)
        )
        return to

    def product(self, product: Product, spectra: Sequence[Vector]) -> list[Vector]:
        largest = self._transformed(self.model.inverse, -product.rows.low)
        gates = [self.vector(product.length, -product.output.low) for _ in range(product.gates)]
        first, doublings = len(self.operands), self.model.block.bit_length() - 1
        self.operands += spectra
        rows = _rounding(self.model.product_frac(product), product.rows, CHUNK_LIMIT)
        self.steps.append(
            {"kind": Kind.MULTIPLY, "to": gates[0], "product": len(self.products)}
            | {
                "gates": product.gates,
                "gate_step": gates[-1].at - gates[-2].at if product.gates > 1 else 0,
            }
            | {"kept": product.kept, "operands": first, "operands_end": len(self.operands)}
            | {f"rows_{name}": value for name, value in rows.items()}
            | _rounding(product.rows.frac + doublings, product.output, largest)
        )
        self.products.append(product)
        return gates

    def rounded_sum(self, target: FixedFormat, *terms: Term, positive: bool = False) -> Vector:
        frac = max(term.frac for term in terms)
        addends = [term for term in terms if len(term.factors) == 1]
        products = [term for term in terms if len(term.factors) == 2]
        assert len(addends) <= 2 and len(products) <= 2, (
            "play's sums have two addends and two products at most"
        )
        assert all(term.sign == 1 for term in addends), "play only adds addends"
        first = terms[0].factors[0]
        to = self.vector(first.length, -target.low)
        step: Step = dict.fromkeys(("x", "y", "a", "b", "c", "d"), self._zero(to.size))
        for name, term in zip(("x", "y"), addends, strict=False):
            step |= {name: term.factors[0], f"{name}_up": frac - term.frac}
        for (a, b), term in zip((("a", "b"), ("c", "d")), products, strict=False):
            step |= {a: term.factors[0], b: term.factors[1]}
            step |= {f"{a}{b}_up": frac - term.frac, f"{a}{b}_sign": min(term.sign, 0)}
        step |= {"kind": Kind.SUM, "to": to, "size": to.size, "products": len(products)}
        rounding = _rounding(
            frac, target, sum(_bound(term) << (frac - term.frac) for term in terms)
        )
        self.steps.append(step | rounding | ({"low": 0} if positive else {}))
        return to

    def activate(self, table: ActivationTable, value: Vector) -> Vector:
        self.steps.append(
            {
                "kind": Kind.ACTIVATE,
                "to": value,
                "x": value,
                "table": self.tables.index(table),
                "size": value.size,
            }
            | {"low": table.output.low, "high": table.output.high}
            | {"input_low": table.input.low, "low_bits": table.input.width - table.segment_bits}
            | {"slope_shift": table.slope_shift}
        )
        return Vector(value.at, value.size, value.length, _largest_of(table))  # in the same place

    @property
    def tables(self) -> tuple[ActivationTable, ...]:
        return self.model.tables

    def copy(self, to: Vector, value: Vector) -> None:
        """At the frame's end, what the next one reads."""
        self.steps.append({"kind": Kind.COPY, "to": to, "x": value, "size": to.size})

    @property
    def narrow(self) -> bool:
        """16-bit pairs can be multiplied, and 32 bits hold every vector and transform."""
        operands = [operand for product in self.products for operand in product.operands]
        spectra = [self.model.signal(operand.signal).spectrum for operand in operands]
        return (
            self.largest <= LIMIT
            and all(spectrum.width <= 16 for spectrum in spectra if spectrum)
            and all(operand.matrix.format.width <= 15 for operand in operands)
        )

    def place(self, vector: Vector) -> tuple[int, int]:
        """A vector's place in memory, and the distance to the next stream's."""
        if vector.shared:
            return vector.at * self.side, 0
        return (self.constants_size + vector.at) * self.side, self.size * self.side

    @property
    def kind(self) -> type:
        """Of the numbers in memory."""
        return np.int32 if self.narrow else np.int64

    def program(self, packed: Sequence[Packed]) -> Array:
        """The steps as `play` takes them, the products' weights one after the other."""
        firsts = np.cumsum([0] + [len(one.weights) for one in packed])
        table = np.zeros(len(self.steps), STEP)
        for row, step in zip(table, self.steps, strict=True):
            for name, value in step.items():
                if isinstance(value, Vector):
                    row[name], row[f"{name}_step"] = self.place(value)
                elif name in _SCALED:
                    row[name] = value * self.side
                elif name == "product":
                    row["weights"] = firsts[value]
                    for part in _PACKED:
                        row[part] = getattr(packed[value], part)
                else:
                    row[name] = value
        table["chain"] = _chains(table)
        if not self.narrow:
            table["narrow"] = table["rows_narrow"] = False
        return table


def _spaced(size: int) -> int:
    """Places for `size` numbers in whole rows, and a bit more: vectors at distances of a power of
    two would share the same few lines of the cache."""
    return size + -size % LANES + LANES // 2


def _rounding(frac: int, target: FixedFormat, largest: int) -> dict[str, int]:
    """From `frac` fraction bits to `target`: bits up, or down; `narrow` where numbers up to
    +-largest need 32 bits.
    """
    up, down = max(target.frac - frac, 0), max(frac - target.frac, 0)
    narrow = (largest << up) + ((1 << down) >> 1) <= LIMIT and down < 32
    return {"up": up, "down": down, "low": target.low, "high": target.high, "narrow": narrow}


def _chains(table: Array) -> list[int]:
    """How many steps from each on go number by number through vectors of one size."""
    chains = [0] * (len(table) + 1)
    for index in reversed(range(len(table))):
        alike = index + 1 < len(table) and table["size"][index] == table["size"][index + 1]
        if table["kind"][index] in NUMBER_BY_NUMBER:
            chains[index] = 1 + (chains[index + 1] if alike else 0)
    return chains[:-1]


def _bound(term: Term) -> int:
    bound = 1
    for factor in term.factors:
        bound *= factor.bound
    return bound


def _largest_of(table: ActivationTable) -> int:
    """The largest absolute value a table gives: lines have it at an end."""
    last = (1 << (table.input.width - table.segment_bits)) - 1
    half = (1 << table.slope_shift) >> 1
    ends = [
        ((table.base << table.slope_shift) + table.slope * rest + half) >> table.slope_shift
        for rest in (0, last)
    ]
    return min(int(np.abs(ends).max()), -table.output.low)
