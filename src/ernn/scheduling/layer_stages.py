"""A model as the engine's program: stages of products and of the vector unit's steps.

Where the description (`ernn.ir.cell`) ends, the program says how: each value that steps read is
kept in as few copies as its readers need; the network's input is copied to the values where a step
reads it; and of several outputs each is copied out at the frame's end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest

from ernn.errors import UserError
from ernn.ir.cell import CellStage, CellStep, CellTerm, Read
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.scheduling.initial import Initial
from ernn.scheduling.vector_program import (
    Arrived,
    Constant,
    Gate,
    Kept,
    LayerStage,
    Step,
    Term,
    Value,
)

Place = tuple[int, float]  # stage, and step in it; half a step before it is what is put there


def stages(model: IntegerModel) -> tuple[LayerStage, ...]:
    """The network as stages, in order. Raises UserError for what the hardware refuses."""
    _require_forward(model)
    _require_products(model)
    program = _Program(model)
    layers = [stage for layer in model.layers for stage in _LayerProgram(program, layer).stages()]
    return (*layers, *program.copies_of_outputs())


def _require_forward(model: IntegerModel) -> None:
    for layer in model.backward:
        raise UserError(
            f"{layer.name} runs backward in time: hardware sees a frame before the next one "
            "exists; run it in software (golden), or train a one-way layer"
        )


def _require_products(model: IntegerModel) -> None:
    if not any(layer.products for layer in model.layers):
        raise UserError(
            "the network multiplies no matrix: an engine is built around its matrices; run it in "
            "software (golden)"
        )


@dataclass(frozen=True)
class _Reading:
    """A step, at its place, reads an edge of `delay` frames before."""

    edge: str
    delay: int
    place: Place


@dataclass(frozen=True, eq=False)
class _Program:
    """What all layers together decide: which edges are kept, and how outputs leave."""

    model: IntegerModel

    @cached_property
    def initial(self) -> Initial:
        return Initial(self.model)

    @cached_property
    def _stages(self) -> list[tuple[IntegerLayer, CellStage]]:
        return [(layer, stage) for layer in self.model.layers for stage in layer.cell.stages]

    @cached_property
    def first_stages(self) -> dict[str, int]:
        """Number of each layer's first stage."""
        found: dict[str, int] = {}
        for number, (layer, _) in enumerate(self._stages):
            found.setdefault(layer.name, number)
        return found

    @cached_property
    def _readings(self) -> tuple[_Reading, ...]:
        found = [
            _Reading(layer.signal(read.name), read.delay, (number, index))
            for number, (layer, stage) in enumerate(self._stages)
            for index, step in enumerate(stage.steps)
            for read in step.reads
            if _is_value(layer, read)
        ]
        later = enumerate(self.outputs_copied, len(self._stages))
        return (*found, *(_Reading(edge, 0, (number, 0)) for number, edge in later))

    @cached_property
    def arrives(self) -> Place | None:
        """Where the network's input is copied to the values: before the first step to read it."""
        name = self.model.input.name
        places = [reading.place for reading in self._readings if reading.edge == name]
        return (places[0][0], places[0][1] - 0.5) if places else None

    @cached_property
    def _written(self) -> dict[str, Place]:
        steps: dict[str, Place] = {
            layer.signal(step.name): (number, index)
            for number, (layer, stage) in enumerate(self._stages)
            for index, step in enumerate(stage.steps)
        }
        return steps if self.arrives is None else {self.model.input.name: self.arrives, **steps}

    @cached_property
    def values(self) -> dict[str, Value]:
        """Every edge that is kept, by its name."""
        lengths = {self.model.input.name: self.model.input.length}
        formats = {self.model.input.name: self.model.input.format}
        for layer in self.model.layers:
            for step in layer.cell.steps:
                edge = layer.signal(step.name)
                lengths[edge] = layer.lengths[step.name]
                formats[edge] = layer.format_of[step.name]
        edges = dict.fromkeys(reading.edge for reading in self._readings)
        return {
            edge: Value(edge, lengths[edge], formats[edge], self._copies(edge)) for edge in edges
        }

    def _copies(self, edge: str) -> int:
        written = self._written[edge]
        mine = [reading for reading in self._readings if reading.edge == edge]
        if any(reading.delay and reading.place > written for reading in mine):
            return 2
        return int(any(one.delay or one.place[0] != written[0] for one in mine))

    @cached_property
    def spectra(self) -> frozenset[str]:
        """Signals that products read."""
        return frozenset(
            operand.signal
            for layer in self.model.layers
            for product in layer.products
            for operand in product.operands
        )

    # --- outputs

    @property
    def output_at_once(self) -> str | None:
        """An only output leaves as it is computed."""
        return self.model.outputs[0] if len(self.model.outputs) == 1 else None

    @property
    def outputs_copied(self) -> tuple[str, ...]:
        """Several are kept, and leave one after the other when all stages are done."""
        return () if self.output_at_once else self.model.outputs

    def copies_of_outputs(self) -> Iterator[LayerStage]:
        """A stage for each output that is copied."""
        for number, edge in enumerate(self.outputs_copied, 1):
            value = self.values[edge]
            terms, last = (Term(addend=Kept(value)),), number == len(self.outputs_copied)
            sent = Step(
                edge, value.length, terms, value.format, output=True, final=last, copy=number
            )
            yield LayerStage("outputs", (), (sent,))


def _is_value(layer: IntegerLayer, read: Read) -> bool:
    return layer.cell.gate(read.name) is None and read.name not in layer.cell.vectors


@dataclass(frozen=True, eq=False)
class _LayerProgram:
    """One layer's stages."""

    program: _Program
    layer: IntegerLayer

    def stages(self) -> Iterator[LayerStage]:
        cell, layer = self.layer.cell, self.layer
        for number, stage in enumerate(cell.stages, self.program.first_stages[layer.name]):
            products = tuple(layer.product(product.name)[0] for product in stage.products)
            steps: list[Step] = []
            for index, step in enumerate(stage.steps):
                if self.program.arrives == (number, index - 0.5):
                    steps.append(self._arriving())
                steps.append(self._step(step))
            yield LayerStage(layer.name, products, tuple(steps))

    def _arriving(self) -> Step:
        source = self.program.model.input
        terms = (Term(addend=Arrived(source.format)),)
        keep = self.program.values[source.name]
        return Step(source.name, source.length, terms, source.format, keep=keep)

    def _step(self, step: CellStep) -> Step:
        layer, program = self.layer, self.program
        edge, table = layer.signal(step.name), program.model.table(step.activation)
        output = edge == program.output_at_once
        return Step(
            edge,
            layer.lengths[step.name],
            self._terms(step),
            layer.format_of[step.name] if table is None else table.input,
            step.activation,
            program.values.get(edge),
            edge if edge in program.spectra else None,
            output,
            output,
        )

    def _terms(self, step: CellStep) -> tuple[Term, ...]:
        """Products first, each with a gate beside it as far as there are both; a constant vector
        where a bias may be.
        """
        products = [self._product(term) for term in step.terms if len(term.factors) == 2]
        alone = [term.factors[0] for term in step.terms if len(term.factors) == 1]
        gates = [self._gates[read.name] for read in alone if read.name in self._gates]
        terms = [
            replace(product or Term(), addend=gate and gate.addend, bias=gate and gate.bias)
            for product, gate in zip_longest(products, gates)
        ]
        terms += [Term(addend=self._kept(read)) for read in alone if _is_value(self.layer, read)]
        for vector in (self._vectors[one.name] for one in alone if one.name in self._vectors):
            free = next((n for n, term in enumerate(terms) if term.bias is None), len(terms))
            terms[free:] = [replace((*terms, Term())[free], bias=vector), *terms[free + 1 :]]
        return tuple(terms)

    def _product(self, term: CellTerm) -> Term:
        first, second = term.factors
        b = self._vectors.get(second.name) or self._kept(second)
        return Term(self._kept(first), b, term.negative)

    def _kept(self, read: Read) -> Kept:
        initial = self.program.initial.name(self.layer, read.name, read.delay)
        value = self.program.values[self.layer.signal(read.name)]
        return Kept(value, read.delay > 0, initial)

    @cached_property
    def _gates(self) -> dict[str, Term]:
        """Every gate by its name, with its bias."""
        found: dict[str, Term] = {}
        for named in self.layer.cell.products:
            product, biases = self.layer.product(named.name)
            for gate in range(named.gates):
                bias = None if biases is None else Constant(biases[gate], product.output)
                addend = Gate(product.name, gate, product.output)
                found[f"{named.name}.{gate}"] = Term(addend=addend, bias=bias)
        return found

    @cached_property
    def _vectors(self) -> dict[str, Constant]:
        layer = self.layer
        vectors = zip(layer.cell.vectors, layer.vectors, layer.vector_formats, strict=True)
        return {name: Constant(values, format) for name, values, format in vectors}
