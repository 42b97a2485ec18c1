"""A cell's description as the table that the compiled loops run (`ernn.nn.loops`).

What products give lies in regions: the products of a stage that read the same vector are one
product with all their gates, and vectors that the same products read are summed in one region.  A
gate is the sum of its rows of all regions of its product, and of its bias.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise

import numpy as np

from ernn.ir.activations import Function
from ernn.ir.cell import Cell, CellProduct, CellStep, Read
from ernn.ir.network import Array
from ernn.nn import loops

_OF_VALUE = (None, "sigmoid", "tanh", "relu")
"""Functions whose derivative follows from their value."""

Room = tuple[str, str | int]
"""What lies together: ("gates", region), ("step", name), ("vector", name), ("bias", product),
("input", name), ("kept", line's name)."""


@dataclass(frozen=True)
class Operand:
    """A vector: the row of a room, as it was `delay` frames ago."""

    room: Room
    row: int = 0
    delay: int = 0


@dataclass(frozen=True)
class Region:
    """What a stage's `products` have of all that they read alike, `reads`."""

    stage: int
    products: tuple[CellProduct, ...]
    reads: tuple[Read, ...]

    @property
    def gates(self) -> int:
        return sum(product.gates for product in self.products)


@dataclass(frozen=True)
class Line:
    """own = `function` of the sum of `alone` and of products, of which the negative are taken away.

    `fresh`: own is set, else added to. `rounded`: the sum is rounded.
    """

    name: str
    stage: int
    function: Function | None
    own: Operand
    alone: tuple[Operand, ...]
    products: tuple[tuple[Operand, Operand, bool], ...] = ()
    fresh: bool = True
    rounded: bool = False

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (*self.alone, *(factor for a, b, _ in self.products for factor in (a, b)))

    @property
    def kept(self) -> Operand | None:
        """Where its sum is kept for the way back."""
        wanted = self.rounded or self.function not in _OF_VALUE
        return Operand(("kept", self.name)) if wanted else None

    @property
    def places(self) -> tuple[Operand, ...]:
        """All that it reads and writes."""
        return (self.own, *self.operands, *([self.kept] if self.kept else []))

    def terms(self) -> Iterator[tuple[int, Operand, Operand]]:
        """Kind and factors; two addends are one term."""
        for at in range(0, len(self.alone), 2):
            some = self.alone[at : at + 2]
            yield (loops.BOTH if len(some) == 2 else loops.ALONE), some[0], some[-1]
        for a, b, negative in self.products:
            yield loops.MINUS if negative else loops.PLUS, a, b

    def moved(self, places: Mapping[Operand, Operand]) -> "Line":
        """The same with other operands; an addend in whose place it is written is there already."""
        own = places.get(self.own, self.own)
        alone = tuple(places.get(a, a) for a in self.alone if a != own)
        products = tuple((places.get(a, a), places.get(b, b), n) for a, b, n in self.products)
        fresh = len(alone) == len(self.alone)
        return replace(self, own=own, alone=alone, products=products, fresh=fresh)


@dataclass(frozen=True)
class Table:
    """`passing`: operands that only lines of one stage and frame use, gates among them."""

    cell: Cell
    regions: tuple[Region, ...]
    lines: tuple[Line, ...]
    passing: frozenset[Operand]

    @cached_property
    def operands(self) -> tuple[Operand, ...]:
        """In the sequence of the rows of places."""
        return tuple(dict.fromkeys(place for line in self.lines for place in line.places))

    @cached_property
    def written(self) -> frozenset[Room]:
        """Rooms that lines write to."""
        return frozenset(line.own.room for line in self.lines)

    def is_input(self, read: Read) -> bool:
        return read.name in self.cell.inputs

    @cached_property
    def outputs(self) -> frozenset[Room]:
        return frozenset(("step", name) for name in self.cell.outputs)

    @cached_property
    def late(self) -> dict[Room, int]:
        """By how many frames a room is read late, where it is."""
        found: dict[Room, int] = {}
        for name, late in remembered(self.cell).items():
            found["step", name] = late
        for operand in self.operands:
            found[operand.room] = max(found.get(operand.room, 0), operand.delay)
        return found

    @cached_property
    def stages(self) -> tuple[tuple[int, int], ...]:
        """The lines of each stage: the first, and behind the last."""
        counts = Counter(line.stage for line in self.lines)
        ends = np.cumsum([0, *(counts[n] for n in range(len(self.cell.stages)))]).tolist()
        return tuple(pairwise(ends))

    @cached_property
    def arrays(self) -> tuple[Array, Array]:
        """Lines and terms as `ernn.nn.loops` has them, but for where results begin."""
        place = {operand: row for row, operand in enumerate(self.operands)}
        given: set[Operand] = set()
        terms: list[list[tuple[int, ...]]] = []

        def sets(operand: Operand) -> bool:
            first = operand in self.passing and operand not in given
            given.add(operand)
            return first

        for line in reversed(self.lines):  # as gradients come
            found = [(kind, place[a], place[b], sets(a), sets(b)) for kind, a, b in line.terms()]
            terms.insert(0, found)
        ends = np.cumsum([0, *map(len, terms)]).tolist()
        lines = [
            (
                *(loops.FUNCTIONS.index(line.function), first, behind, place[line.own]),
                place[line.kept] if line.kept else -1,
                *(line.fresh, line.own not in self.passing, number if line.rounded else -1, -1),
            )
            for number, (line, first, behind) in enumerate(
                zip(self.lines, ends, ends[1:], strict=False)
            )
        ]
        flat = [term for some in terms for term in some]
        return np.array(lines), np.array(flat, dtype=np.int64).reshape(-1, 5)


def remembered(cell: Cell) -> dict[str, int]:
    """Steps that are read late, and by how many frames at most."""
    steps = [name for name in cell.remembered if name not in cell.inputs]
    return {name: max(cell.delays.get(name, 0), int(name in cell.states)) for name in steps}


@cache
def table(cell: Cell, rounds: int = 0) -> Table:
    """`rounds`: how often what a product gives is rounded before its bias is added; then the sum of
    every step is rounded, too.
    """
    regions = tuple(_regions(cell))
    lines = list(_lines(cell, regions, rounds))
    inner = _inner(cell, lines)
    places = _in_place(lines, inner, regions)
    gates = {
        Operand(("gates", n), row) for n, one in enumerate(regions) for row in range(one.gates)
    }
    moved = tuple(line.moved(places) for line in lines)
    return Table(cell, regions, moved, frozenset(gates | inner))


def _regions(cell: Cell) -> Iterator[Region]:
    for number, stage in enumerate(cell.stages):
        readers: dict[Read, tuple[CellProduct, ...]] = {}
        for product in stage.products:
            for read in product.reads:
                readers[read] = (*readers.get(read, ()), product)
        for products in dict.fromkeys(readers.values()):
            alike = tuple(read for read, found in readers.items() if found == products)
            yield Region(number, products, alike)


def _lines(cell: Cell, regions: Sequence[Region], rounds: int) -> Iterator[Line]:
    gates: dict[str, tuple[Operand, ...]] = {}
    for number, region in enumerate(regions):
        names = [f"{p.name}.{gate}" for p in region.products for gate in range(p.gates)]
        for row, name in enumerate(names):
            gates[name] = (*gates.get(name, ()), Operand(("gates", number), row))
    for number, stage in enumerate(cell.stages):
        for product in stage.products:
            for gate in range(product.gates):
                name = f"{product.name}.{gate}"
                for again in range(rounds):
                    own = Operand(("step", f"{name} {again}"))
                    yield Line(f"{name} {again}", number, None, own, gates[name], rounded=True)
                    gates[name] = (own,)
                if product.bias:
                    gates[name] = (*gates[name], Operand(("bias", product.name), gate))
        for step in stage.steps:
            yield _line(cell, step, number, gates, rounds > 0)


def _line(
    cell: Cell, step: CellStep, stage: int, gates: Mapping[str, tuple[Operand, ...]], rounded: bool
) -> Line:
    steps = {one.name for one in cell.steps}

    def vector(read: Read) -> Operand:
        kind = "step" if read.name in steps else "input" if read.name in cell.inputs else "vector"
        return Operand((kind, read.name), 0, read.delay)

    alone: list[Operand] = []
    products = []
    for term in step.terms:
        first, *others = term.factors
        if others:
            products.append((vector(first), vector(others[0]), term.negative))
        else:
            alone += gates.get(first.name) or [vector(first)]
    own = Operand(("step", step.name))
    found = tuple(alone), tuple(products)
    return Line(step.name, stage, step.activation, own, *found, rounded=rounded)


def _inner(cell: Cell, lines: Sequence[Line]) -> set[Operand]:
    """Steps that only lines of their own stage and frame read."""
    stage = {line.own: line.stage for line in lines}
    reads = {(replace(o, delay=0), line.stage, o.delay) for line in lines for o in line.operands}
    outside = {o for o, reader, delay in reads if delay or stage.get(o) != reader}
    known = {*cell.outputs, *(read.name for p in cell.products for read in p.reads)}
    return set(stage) - outside - {Operand(("step", name)) for name in known}


def _in_place(
    lines: Sequence[Line], inner: set[Operand], regions: Sequence[Region]
) -> dict[Operand, Operand]:
    """Steps that take the place of a gate of their stage that nothing else reads."""
    uses = Counter(operand for line in lines for operand in line.alone)
    gates = {
        Operand(("gates", number), row): region.stage
        for number, region in enumerate(regions)
        for row in range(region.gates)
    }
    found = {}
    for line in lines:
        free = [o for o in line.alone if gates.get(o) == line.stage and uses[o] == 1]
        if line.own in inner and free:
            found[line.own] = free[0]
    return found
