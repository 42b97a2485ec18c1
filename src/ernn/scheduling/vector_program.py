"""What the engine's vector unit does for each layer: steps of sums of products, one per named edge.

A step computes, lane by lane, req(sum of its terms) and then, if asked, an activation.  A term is
+-a*b + addend + bias, each part optional.  Formats follow the arithmetic stated in
`ernn.ir.integer_model`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import CellStep, Function
from ernn.ir.edges import edge_formats
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import (
    IntegerBidirectional,
    IntegerCell,
    IntegerGru,
    IntegerLayer,
    IntegerLinear,
    IntegerLstm,
    IntegerModel,
    Product,
)

Activation = Function


@dataclass(frozen=True)
class Value:
    """A vector kept by the vector unit.

    `state` persists from frame to frame and is zero before a sequence's first; `carried` lives from
    one stage to the next.  Both have one copy a stream; any other value lives within a chunk of
    words.
    """

    name: str
    length: int
    format: FixedFormat
    state: bool = False
    carried: bool = False


@dataclass(frozen=True)
class Gate:
    """One gate of a product."""

    product: str
    gate: int
    format: FixedFormat


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant vector: a bias or a peephole."""

    values: np.ndarray
    format: FixedFormat


@dataclass(frozen=True, eq=False)
class Term:
    """+-a*b + addend + bias; b may be a constant; an addend is a gate, or a value (which then takes
    a's place).
    """

    a: Value | None = None
    b: Value | Constant | None = None
    negative: bool = False
    addend: Gate | Value | None = None
    bias: Constant | None = None

    @property
    def product_frac(self) -> int | None:
        return None if self.a is None or self.b is None else self.a.format.frac + self.b.format.frac

    @property
    def fracs(self) -> list[int]:
        parts = [part.format.frac for part in (self.addend, self.bias) if part is not None]
        return parts if self.product_frac is None else [*parts, self.product_frac]


@dataclass(frozen=True, eq=False)
class Step:
    """req(sum of terms -> target), then `activation` (of them relu keeps the format); the result is
    the edge `name`.

    `keep`: written to the vector unit's memory.  `signal`: sent through the forward transform.
    `output`: sent out.
    """

    name: str
    length: int
    terms: tuple[Term, ...]
    target: FixedFormat
    activation: Activation | None = None
    keep: Value | None = None
    signal: str | None = None
    output: bool = False

    @property
    def frac(self) -> int:
        """Fraction bits of the exact sum: enough for every term and for the target."""
        return max([self.target.frac] + [frac for term in self.terms for frac in term.fracs])


@dataclass(frozen=True, eq=False)
class LayerStage:
    """Products that can start together, then the steps that use them."""

    layer: str
    products: tuple[Product, ...]
    steps: tuple[Step, ...]


def heights(stage: LayerStage) -> dict[tuple[str, int], int]:
    """Steps one after the other from a gate (product, number) to the end of the stage, the one that
    reads it among them."""
    after: list[int] = []
    for number, step in reversed(list(enumerate(stage.steps))):
        readers = [
            after[len(stage.steps) - 1 - later]
            for later in range(number + 1, len(stage.steps))
            if any(
                step.keep is not None and step.keep in (t.a, t.b, t.addend)
                for t in stage.steps[later].terms
            )
        ]
        after.append(1 + max(readers, default=0))
    found: dict[tuple[str, int], int] = {}
    for step, height in zip(stage.steps, reversed(after), strict=True):
        for gate in (term.addend for term in step.terms):
            if isinstance(gate, Gate):
                found[gate.product, gate.gate] = max(
                    height, found.get((gate.product, gate.gate), 0)
                )
    return found


@dataclass
class _Writer:
    """Collects the steps of one layer."""

    model: IntegerModel
    length: int
    steps: list[Step] = field(default_factory=list)

    def activation(
        self, name: str, function: Activation, *terms: Term, carried: bool = False
    ) -> Value:
        table = self.model.sigmoid if function == "sigmoid" else self.model.tanh
        value = Value(name, self.length, table.output, carried=carried)
        self.steps.append(
            Step(name, self.length, terms, self.model.activation_input, function, value)
        )
        return value

    def keep(self, value: Value, *terms: Term) -> Value:
        self.steps.append(Step(value.name, self.length, terms, value.format, keep=value))
        return value

    def signal(self, name: str, *terms: Term, keep: Value | None = None) -> None:
        signal = self.model.signal(name)
        final = self.model.output.name == name
        spectrum = name if signal.spectrum is not None else None
        self.steps.append(
            Step(
                name, signal.length, terms, signal.format, keep=keep, signal=spectrum, output=final
            )
        )

    def take(self) -> tuple[Step, ...]:
        steps, self.steps = tuple(self.steps), []
        return steps


def _gate(product: Product, gate: int) -> Gate:
    return Gate(product.name, gate, product.output)


def _lstm(model: IntegerModel, layer: IntegerLstm) -> list[LayerStage]:
    name, hidden, product = layer.name, layer.hidden_size, layer.gates
    writer = _Writer(model, hidden)
    cell = Value(f"{name}.c", hidden, layer.cell, state=True)

    def gate(index: int, letter: str, function: Activation, peephole: int | None) -> Value:
        bias = Constant(layer.bias[index], product.output)
        peep = None
        if (
            layer.peephole is not None
            and layer.peephole_format is not None
            and peephole is not None
        ):
            peep = Constant(layer.peephole[peephole], layer.peephole_format)
        term = Term(cell if peep else None, peep, addend=_gate(product, index), bias=bias)
        return writer.activation(f"{name}.{letter}", function, term)

    i = gate(0, "i", "sigmoid", 0)
    f = gate(1, "f", "sigmoid", 1)
    g = gate(2, "g", "tanh", None)
    writer.keep(cell, Term(f, cell), Term(i, g))
    o = gate(3, "o", "sigmoid", 2)
    t = writer.activation(f"{name}.t", "tanh", Term(addend=cell))
    writer.signal(layer.cell_output, Term(o, t))
    stages = [LayerStage(name, (product,), writer.take())]
    if layer.projection is not None:
        writer.signal(layer.output, Term(addend=_gate(layer.projection, 0)))
        stages.append(LayerStage(name, (layer.projection,), writer.take()))
    return stages


def _gru(model: IntegerModel, layer: IntegerGru) -> list[LayerStage]:
    name, hidden = layer.name, layer.hidden_size
    writer = _Writer(model, hidden)
    gates, candidate = layer.gates, layer.candidate
    h = Value(layer.output, hidden, model.signal(layer.output).format, state=True)

    def gate(index: int, letter: str, carried: bool = False) -> Value:
        term = Term(addend=_gate(gates, index), bias=Constant(layer.bias[index], gates.output))
        return writer.activation(f"{name}.{letter}", "sigmoid", term, carried=carried)

    r, z = gate(0, "r"), gate(1, "z", carried=layer.reset == "before")
    stages = []
    if layer.reset == "after":
        assert layer.candidate_input is not None and layer.candidate_bias is not None
        u = Value(f"{name}.u", hidden, candidate.output)
        writer.keep(
            u,
            Term(addend=_gate(candidate, 0), bias=Constant(layer.candidate_bias, candidate.output)),
        )
        source, reset = layer.candidate_input, (r, u)
    else:
        assert layer.reset_state is not None
        writer.signal(layer.reset_state, Term(r, h))
        stages.append(LayerStage(name, (gates,), writer.take()))
        source, reset = candidate, (None, None)
    bias = Constant(layer.bias[2], source.output)
    n = writer.activation(f"{name}.n", "tanh", Term(*reset, addend=_gate(source, 0), bias=bias))
    writer.signal(layer.output, Term(z, h), Term(z, n, negative=True), Term(addend=n), keep=h)
    products = layer.products if layer.reset == "after" else (candidate,)
    return [*stages, LayerStage(name, products, writer.take())]


def _linear(model: IntegerModel, layer: IntegerLinear) -> list[LayerStage]:
    writer = _Writer(model, layer.product.length)
    bias = Constant(layer.bias, layer.product.output)
    writer.signal(layer.output, Term(addend=_gate(layer.product, 0), bias=bias))
    return [LayerStage(layer.name, (layer.product,), writer.take())]


def _described(model: IntegerModel, layer: IntegerCell) -> list[LayerStage]:
    cell, name = layer.cell, layer.name
    values = {
        step: Value(
            f"{name}.{step}",
            layer.lengths[step],
            layer.format_of[step],
            state=step in cell.states,
            carried=step not in cell.states and cell.read_later(step),
        )
        for step in cell.kept
    }
    known = values | {
        vector: Constant(numbers, format)
        for vector, numbers, format in zip(
            cell.vectors, layer.vectors, layer.vector_formats, strict=True
        )
    }
    constants = {
        f"{named.name}.{gate}": Constant(bias, product.output)
        for named, product, biases in zip(cell.products, layer.products, layer.biases, strict=True)
        for gate, bias in enumerate([] if biases is None else biases)
    }
    stages = []
    for stage in cell.stages:
        steps = [_described_step(model, layer, step, known, constants) for step in stage.steps]
        products = tuple(layer.product(product.name)[0] for product in stage.products)
        stages.append(LayerStage(name, products, tuple(steps)))
    return stages


def _described_step(
    model: IntegerModel,
    layer: IntegerCell,
    step: CellStep,
    known: Mapping[str, Value | Constant],
    biases: Mapping[str, Constant],
) -> Step:
    """Its terms: products first, each with a gate beside it as far as there are both."""
    products, gates, values = [], [], []
    for term in step.terms:
        gate = layer.cell.gate(term.factors[0])
        if gate is not None:
            product, _ = layer.product(gate[0].name)
            gates.append((Gate(product.name, gate[1], product.output), biases.get(term.factors[0])))
        elif len(term.factors) == 2:
            products.append((*(known[factor] for factor in term.factors), term.negative))
        else:
            values.append(known[term.factors[0]])
    terms = []
    for index in range(max(len(products), len(gates))):
        a, b, negative = products[index] if index < len(products) else (None, None, False)
        gate, bias = gates[index] if index < len(gates) else (None, None)
        terms.append(Term(a, b, negative, gate, bias))
    terms += [Term(addend=value) for value in values]
    edge, length = f"{layer.name}.{step.name}", layer.lengths[step.name]
    table = step.activation in ("sigmoid", "tanh")
    target = model.activation_input if table else layer.format_of[step.name]
    keep = known[step.name] if step.name in layer.cell.kept else None
    assert keep is None or isinstance(keep, Value)
    spectrum = step.name in layer.cell.signals and model.signal(edge).spectrum is not None
    final = edge == model.output.name
    return Step(
        edge, length, tuple(terms), target, step.activation, keep, edge if spectrum else None, final
    )


def _stages_of(model: IntegerModel, layer: IntegerLayer) -> list[LayerStage]:
    match layer:
        case IntegerLstm():
            return _lstm(model, layer)
        case IntegerGru():
            return _gru(model, layer)
        case IntegerLinear():
            return _linear(model, layer)
        case IntegerCell():
            return _described(model, layer)
        case IntegerBidirectional():
            raise UserError(
                f"{layer.name} is bidirectional: hardware sees a frame before the next one exists "
                "and cannot run "
                "backwards in time; run it in software (golden), or train a one-way layer"
            )


def _require_one_width(model: IntegerModel) -> None:
    width = model.input.format.width
    for edge, format in edge_formats(model).items():
        if format.width != width:
            raise UserError(
                f"{edge} has {format.width} bits and the input {width}: the engine's data have one "
                "width; quantize "
                "without bits for single kinds of data, or run the network in software (golden)"
            )


def stages(model: IntegerModel) -> list[LayerStage]:
    """The network as stages, in order. Raises UserError for what the hardware refuses."""
    _require_one_width(model)
    for layer in model.layers:
        for what in ("initial_output", "initial_cell"):
            start = getattr(layer, what, None)
            if start is not None and np.any(start):
                raise UserError(
                    f"{layer.name} has a non-zero {what}: hardware starts a sequence from zero "
                    "state"
                )
    return [stage for layer in model.layers for stage in _stages_of(model, layer)]
