"""What the engine's vector unit does for each layer: steps of sums of products, one per named edge.

A step computes, lane by lane, req(sum of its terms) and then, if asked, an activation.  A term is
+-a*b + addend + bias, each part optional.  Formats follow the arithmetic stated in
`ernn.ir.integer_model`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ernn.errors import UserError
from ernn.ir.activations import Function
from ernn.ir.cell import CellStep
from ernn.ir.edges import edge_formats
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.ir.integer_parts import Product

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


def _layer_stages(model: IntegerModel, layer: IntegerLayer) -> list[LayerStage]:
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
    vectors = zip(cell.vectors, layer.vectors, layer.vector_formats, strict=True)
    known = values | {vector: Constant(numbers, form) for vector, numbers, form in vectors}
    constants = {
        f"{named.name}.{gate}": Constant(bias, product.output)
        for named, product, biases in zip(cell.products, layer.products, layer.biases, strict=True)
        for gate, bias in enumerate([] if biases is None else biases)
    }
    stages = []
    for stage in cell.stages:
        steps = [_step(model, layer, step, known, constants) for step in stage.steps]
        products = tuple(layer.product(product.name)[0] for product in stage.products)
        stages.append(LayerStage(name, products, tuple(steps)))
    return stages


def _step(
    model: IntegerModel,
    layer: IntegerLayer,
    step: CellStep,
    known: Mapping[str, Value | Constant],
    biases: Mapping[str, Constant],
) -> Step:
    edge, length = f"{layer.name}.{step.name}", layer.lengths[step.name]
    table = model.table(step.activation)
    target = layer.format_of[step.name] if table is None else table.input
    keep = known[step.name] if step.name in layer.cell.kept else None
    assert keep is None or isinstance(keep, Value)
    spectrum = step.name in layer.cell.signals and model.signal(edge).spectrum is not None
    return Step(
        edge,
        length,
        _terms(layer, step, known, biases),
        target,
        step.activation,
        keep,
        edge if spectrum else None,
        edge in model.outputs,
    )


def _terms(
    layer: IntegerLayer,
    step: CellStep,
    known: Mapping[str, Value | Constant],
    biases: Mapping[str, Constant],
) -> tuple[Term, ...]:
    """Products first, each with a gate beside it as far as there are both."""
    products, gates, values = [], [], []
    for term in step.terms:
        name = term.factors[0].name
        gate = layer.cell.gate(name)
        if gate is not None:
            product, _ = layer.product(gate[0].name)
            gates.append((Gate(product.name, gate[1], product.output), biases.get(name)))
        elif len(term.factors) == 2:
            products.append((*(known[read.name] for read in term.factors), term.negative))
        else:
            values.append(known[name])
    terms = []
    for index in range(max(len(products), len(gates))):
        a, b, negative = products[index] if index < len(products) else (None, None, False)
        gate, bias = gates[index] if index < len(gates) else (None, None)
        terms.append(Term(a, b, negative, gate, bias))
    alone = (Term(bias=v) if isinstance(v, Constant) else Term(addend=v) for v in values)
    return (*terms, *alone)


def _require_one_width(model: IntegerModel) -> None:
    width = model.input.format.width
    for edge, format in edge_formats(model).items():
        if format.width != width:
            raise UserError(
                f"{edge} has {format.width} bits and the input {width}: the engine's data have one "
                "width; quantize without bits for single kinds of data, or run the network in "
                "software (golden)"
            )


def _require_forward(model: IntegerModel) -> None:
    for layer in model.backward:
        raise UserError(
            f"{layer.name} runs backward in time: hardware sees a frame before the next one exists; "
            "run it in software (golden), or train a one-way layer"
        )


def stages(model: IntegerModel) -> list[LayerStage]:
    """The network as stages, in order. Raises UserError for what the hardware refuses."""
    _require_one_width(model)
    _require_forward(model)
    for layer in model.layers:
        for name, values in zip(layer.cell.remembered, layer.initial, strict=False):
            if values is not None and np.any(values):
                raise UserError(
                    f"{layer.name} has a non-zero initial {name}: hardware starts a sequence from "
                    "zero state"
                )
    return [stage for layer in model.layers for stage in _layer_stages(model, layer)]
