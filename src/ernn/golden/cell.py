"""One frame through layers, in integers, said once for every `Arithmetic`.

Edges are noted by name: a layer's steps as '<layer>.<step>', products and signals by their own
names, spectra as '<signal>.spectrum'.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ernn.golden.arithmetic import Arithmetic, Term, Value
from ernn.golden.part import Part
from ernn.ir.cell import CellProduct, CellStep, CellTerm, Read
from ernn.ir.integer_model import IntegerLayer, value_format

Note = Callable[..., None]
"""Takes an edge's name and its value, or a product's values gate by gate."""
Memory = Mapping[str, Value]
"""What is kept from frame to frame: numbers by `numbers_of`, spectra by `spectrum_of`."""


def numbers_of(kept: str, delay: int) -> str:
    """The name in a memory of the numbers of what is kept, `delay` frames before."""
    return f"{kept}@{delay}"


def spectrum_of(kept: str, delay: int) -> str:
    """The name in a memory of the spectrum of what is kept, `delay` frames before."""
    return f"{kept}.spectrum@{delay}"


@dataclass(frozen=True)
class Remembered:
    """An input or a step of a layer that outlives its frame: `frames` back, and of `spectra` frames
    its spectrum, too.
    """

    layer: IntegerLayer
    name: str
    frames: int
    spectra: int

    @property
    def kept(self) -> str:
        """Its name: an input is the layer's own, since layers may begin with different values."""
        return f"{self.layer.name}.{self.name}"

    @property
    def edge(self) -> str:
        return self.layer.signal(self.name)

    @property
    def names(self) -> list[tuple[str, str, int]]:
        """What is kept: its name in the memory, the name of what is newer, frames back; the oldest
        first.
        """
        found = []
        for name_of, newest, count in (
            (numbers_of, self.edge, self.frames),
            (spectrum_of, f"{self.edge}.spectrum", self.spectra),
        ):
            for delay in range(count, 0, -1):
                newer = newest if delay == 1 else name_of(self.kept, delay - 1)
                found.append((name_of(self.kept, delay), newer, delay))
        return found


def remembered(part: Part) -> list[Remembered]:
    """Everything that the layers remember."""
    return [
        Remembered(
            layer, name, max(1, layer.cell.delays.get(name, 0)), layer.cell.delays.get(name, 0)
        )
        for layer in part.layers
        for name in layer.cell.remembered
    ]


def frame_through(
    arithmetic: Arithmetic,
    part: Part,
    inputs: Sequence[Value],
    before: Memory,
    note: Note,
) -> tuple[list[Value], dict[str, Value]]:
    """What the part gives for a frame of what it reads, and the memory after it."""
    frame = Frame(arithmetic, note, before)
    for signal, value in zip(part.reads, inputs, strict=True):
        frame.emit(signal, value)
    for layer in part.layers:
        frame.run(layer)
    after = {
        name: before[newer] if newer in before else frame.values[newer]
        for one in remembered(part)
        for name, newer, _ in one.names
    }
    return [frame.values[name] for name in part.gives], after


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame on its way through layers: what is computed is noted, and kept by its name."""

    arithmetic: Arithmetic
    note: Note
    before: Memory
    values: dict[str, Value] = field(default_factory=dict)

    def emit(self, signal: str, value: Value) -> None:
        """A signal, and its spectrum where a product reads it."""
        self.note(signal, value)
        self.values[signal] = value
        if self.arithmetic.model.signal(signal).spectrum is not None:
            name = f"{signal}.spectrum"
            self.values[name] = self.arithmetic.spectrum(signal, value)
            self.note(name, self.values[name])

    def run(self, layer: IntegerLayer) -> None:
        """All stages of a layer."""
        for stage in layer.cell.stages:
            gates: dict[str, list[Term]] = {}
            for product in stage.products:
                gates |= self._product(layer, product)
            for step in stage.steps:
                self._step(layer, step, gates)

    def _product(self, layer: IntegerLayer, named: CellProduct) -> dict[str, list[Term]]:
        """The terms of each gate: its sum and its bias."""
        product, bias = layer.product(named.name)
        spectra = [self._spectrum(layer, read) for read in named.reads]
        gates = self.arithmetic.product(product, spectra)
        self.note(product.name, *gates)
        frac = product.output.frac
        found = {f"{named.name}.{i}": [Term((gate,), frac)] for i, gate in enumerate(gates)}
        for i, values in enumerate([] if bias is None else bias):
            found[f"{named.name}.{i}"].append(Term((self.arithmetic.constant(values),), frac))
        return found

    def _spectrum(self, layer: IntegerLayer, read: Read) -> Value:
        if read.delay:
            return self.before[spectrum_of(f"{layer.name}.{read.name}", read.delay)]
        return self.values[f"{layer.signal(read.name)}.spectrum"]

    def _step(self, layer: IntegerLayer, step: CellStep, gates: Mapping[str, list[Term]]) -> None:
        arithmetic, edge = self.arithmetic, f"{layer.name}.{step.name}"
        terms = [one for term in step.terms for one in self._terms(layer, term, gates)]
        table = arithmetic.model.table(step.activation)
        if table is not None:
            value = arithmetic.activate(table, arithmetic.rounded_sum(table.input, *terms))
        else:
            positive = step.activation == "relu"
            format = layer.format_of[step.name]
            value = arithmetic.rounded_sum(format, *terms, positive=positive)
        if step.name in layer.cell.signals:
            self.emit(edge, value)
        else:
            self.note(edge, value)
            self.values[edge] = value

    def _terms(
        self, layer: IntegerLayer, term: CellTerm, gates: Mapping[str, list[Term]]
    ) -> list[Term]:
        first, *others = term.factors
        exact = gates.get(first.name) or [self._known(layer, first)]
        for other in others:
            exact = [one.by(self._known(layer, other)) for one in exact]
        return [one.negated() for one in exact] if term.negative else exact

    def _known(self, layer: IntegerLayer, read: Read) -> Term:
        frac = value_format(self.arithmetic.model, layer, read.name).frac
        if read.name in layer.cell.vectors:
            vector = layer.vectors[layer.cell.vectors.index(read.name)]
            return Term((self.arithmetic.constant(vector),), frac)
        if read.delay:
            return Term((self.before[numbers_of(f"{layer.name}.{read.name}", 1)],), frac)
        return Term((self.values[layer.signal(read.name)],), frac)
