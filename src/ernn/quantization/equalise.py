"""A network in other units, exactly: powers of two between the numbers of a vector.

One format serves a whole vector, so a vector whose numbers differ in size wastes the bits of the
small ones.  Multiplied by 2**e, number by number, they fill it; where that can be taken back at no
cost, the network stays the same (cross-layer equalisation, as in Nagel et al. 2019, section 4.1):

*The network's input*, where only products read it (`ernn.quantization.inputs`).

*A cell* that is kept from frame to frame and that nothing but steps of its layer reads, an LSTM's:
in c = f*c@1 + i*g the first term is as it was, the second gets a step of its own, k = i*g, which is
then multiplied by 2**e (g * 2**e would be a small number, rounded to a few steps of its format); a
vector that the cell is multiplied with, a peephole, is divided, and where a step adds c it adds
c * 2**-e, by a multiplier that is there.  A step costs a cycle a line: a cell is changed only where
it is worth it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from ernn.ir.cell import Cell, CellStep, CellTerm, Read
from ernn.ir.edges import edge_name
from ernn.ir.network import NETWORK, Layer, Network, Source
from ernn.quantization.calibrate import Seen
from ernn.quantization.inputs import input_filled

Array = np.ndarray

WORTH_A_STEP = 5
"""Bits that a cell's format must gain before a step more is paid for it."""


def equalised(
    network: Network, seen: Seen, block: int, bits: int, tight: bool = False
) -> tuple[Network, dict[str, Array]]:
    """A `lowered` network whose vectors fill their formats, from what was seen of it; and by edge
    the exponents: its numbers are the old ones times 2**exponent.

    bits: of a constant, which a power of two must fit.  tight: inputs have a bit
        less to grow by.
    """
    network, exponents = input_filled(network, seen, block, tight)
    found = {edge_name(NETWORK): exponents} if exponents.any() else {}
    for index, layer in enumerate(network.layers):
        for name in (step.name for step in layer.cell.steps if step.name in layer.cell.states):
            source = Source(index, name)
            exponents = _lowering(seen.units.get(edge_name(source), np.zeros(1)), bits)
            changed = _with_cell(network, source, exponents)
            if changed is not None:
                network, found[edge_name(source)] = changed, exponents
    return network, found


def cells_as(network: Network, units: Mapping[str, Array]) -> Network:
    """A `lowered` network whose cells have these units, by edge, as far as they can."""
    for index, layer in enumerate(network.layers):
        for source in (Source(index, name) for name in layer.cell.states):
            exponents = units.get(edge_name(source))
            changed = None if exponents is None else _with_cell(network, source, exponents)
            network = changed or network
    return network


def finds_units(bits: int) -> bool:
    """Whether constants of these bits are wide enough for any units of cells."""
    return bits - 2 >= WORTH_A_STEP


def _lowering(units: Array, bits: int) -> Array:
    """What moves the larger numbers down to the middle one, if that is worth it; else zeros."""
    middle = max(1.0, float(np.median(units)))
    down = np.clip(np.ceil(np.log2(np.maximum(units / middle, 1.0))), 0, bits - 2).astype(np.int64)
    return -down if down.max() >= WORTH_A_STEP else np.zeros_like(down)


# --- cells


def _with_cell(network: Network, source: Source, exponents: Array) -> Network | None:
    """With a kept step's numbers times 2**exponents; None where that costs more than a step."""
    layer = network.layers[source.layer]
    if not exponents.any() or source in network.multiplied or source in network.results:
        return None
    found = None if source.output in layer.cell.outputs else rescaled(layer.cell, source.output)
    if found is None:
        return None
    return network.with_layer(source.layer, _layer(layer, source.output, found, exponents))


def _layer(layer: Layer, name: str, found: "Rescaled", exponents: Array) -> Layer:
    known = dict(zip(layer.cell.vectors, layer.vectors, strict=True))
    for vector, (of, sign) in found.vectors.items():
        known[vector] = (1.0 if of is None else known[of]) * 2.0 ** (sign * exponents)
    pairs = zip(layer.cell.remembered, layer.initial, strict=False)
    initial = tuple(
        values * 2.0**exponents if of == name and values is not None else values
        for of, values in pairs
    )
    vectors = tuple(known[vector] for vector in found.cell.vectors)
    return replace(layer, cell=found.cell, vectors=vectors, initial=initial)


class Scaled(NamedTuple):
    """A vector of constants: another one, or ones, times 2**(sign * exponents)."""

    of: str | None
    sign: int


@dataclass(frozen=True)
class Rescaled:
    """A cell, a step of which has numbers times 2**exponents; vectors: those that are new in it, by
    name."""

    cell: Cell
    vectors: Mapping[str, Scaled]


@cache
def rescaled(cell: Cell, name: str) -> Rescaled | None:
    """With other units of the step `name`; None where a term is of a kind that a factor cannot go
    into.
    """
    return _Rescaling(cell, name).done()


@dataclass(eq=False)
class _Rescaling:
    """A cell on its way to other units of the step `name`."""

    cell: Cell
    name: str
    vectors: dict[str, Scaled] = field(default_factory=dict)

    def done(self) -> Rescaled | None:
        stages = []
        try:
            for stage in self.cell.stages:
                steps = tuple(new for step in stage.steps for new in self._steps(step))
                stages.append(replace(stage, steps=steps))
        except _UnchangeableError:
            return None
        read = {one.name for stage in stages for step in stage.steps for one in step.reads}
        names = tuple(one for one in (*self.cell.vectors, *self.vectors) if one in read)
        made = replace(self.cell, stages=tuple(stages), vectors=names)
        return Rescaled(made, self.vectors)

    def _steps(self, step: CellStep) -> list[CellStep]:
        if step.name != self.name:
            if all(read.name != self.name for read in step.reads):
                return [step]
            return [replace(step, sum=_sum([self._back(term) for term in step.terms]))]
        if step.activation is not None or step.bounded:
            raise _UnchangeableError
        before: list[CellStep] = []
        terms = [self._into(term, before) for term in step.terms]
        return [*before, replace(step, sum=_sum(terms))]

    def _back(self, term: CellTerm) -> CellTerm:
        """A term of another step, in the old units."""
        if all(read.name != self.name for read in term.factors):
            return term
        others = [read for read in term.factors if read.name != self.name]
        own = [read for read in term.factors if read.name == self.name]
        if len(own) != 1 or any(read.name not in self.cell.vectors for read in others):
            raise _UnchangeableError
        return replace(term, factors=(*own, self._vector(others, -1)))

    def _into(self, term: CellTerm, before: list[CellStep]) -> CellTerm:
        """A term of the step itself, in the new units; perhaps after a step more."""
        own = [read for read in term.factors if read.name == self.name]
        if len(own) == 1:
            return term
        known = self.cell.vectors
        others = [read for read in term.factors if read.name not in known]
        if own or any(self.cell.gate(read.name) for read in others):
            raise _UnchangeableError
        if len(others) < 2:
            constants = [read for read in term.factors if read.name in known]
            return replace(term, factors=(*others, self._vector(constants, 1)))
        name = f"{self.name}_in{len(before) or ''}"
        steps = {step.name: step for step in self.cell.steps}
        within = all(one.name in steps and steps[one.name].within_one for one in others)
        before.append(CellStep(name, "*".join(map(str, others)), bounded=within))
        return replace(term, factors=(Read(name), self._vector([], 1)))

    def _vector(self, given: list[Read], sign: int) -> Read:
        """A constant vector, times 2**(sign * exponents)."""
        name = "_".join([*(read.name for read in given), self.name, "up" if sign < 0 else "down"])
        self.vectors[name] = Scaled(given[0].name if given else None, sign)
        return Read(name)


class _UnchangeableError(Exception):
    """A step has a term that no constant goes into."""


def _sum(terms: Sequence[CellTerm]) -> str:
    """The terms in a description's words."""
    parts = (f"{'-' if t.negative else '+'} {'*'.join(map(str, t.factors))}" for t in terms)
    return " ".join(parts).removeprefix("+ ")
