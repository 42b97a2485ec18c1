"""What a network costs before it is trained, from shapes alone: weights, bits, multiplications."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np

from ernn.compress.plan import CompressionPlan, Role
from ernn.ir.cell import INPUT
from ernn.ir.cells import COMPACT
from ernn.ir.structure import BLOCK_SIZES, block_size
from ernn.nn.described import weight_name
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.quantization.integer_fft import forward_transform

GATES = {"lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Shape:
    """One weight of an acoustic model: name in `named_parameters()`, role, (gates, rows, columns).

    reads: the vectors that it multiplies; one that several weights read is transformed once.
    returns: gates whose results go back through the inverse transform for this weight. What several
    weights add up to goes back once, so one of them counts it.
    """

    name: str
    role: Role
    shape: tuple[int, int, int]
    reads: tuple[str, ...]
    returns: int


def shapes(model: ModelSpec) -> Iterator[Shape]:
    """Every weight matrix of the `AcousticModel` that `model` asks for."""
    vector, inputs = "input", model.input_size
    if model.front is not None:
        yield Shape("front.weight", "output", (1, model.front, inputs), (vector,), 1)
        vector, inputs = "front", model.front
    for index, layer in enumerate(model.layers):
        name = f"recurrent.{index}"
        yield from (_compact if layer.cell in COMPACT else _usual)(name, layer, vector, inputs)
        vector, inputs = name, layer.output_size
    yield Shape("output.weight", "output", (1, model.outputs, inputs), (vector,), 1)


def _usual(name: str, layer: LayerSpec, vector: str, inputs: int) -> Iterator[Shape]:
    """A layer's output is the vector of its name."""
    gates, before = GATES[layer.cell], layer.cell == "gru" and layer.reset == "before"
    # A GRU's candidate has two products, which are transformed back separately.
    apart = int(layer.cell == "gru" and not before)
    own = (name, f"{name}.reset") if before else (name,)
    yield Shape(f"{name}.weight_ih_l0", "input", (gates, layer.hidden, inputs), (vector,), apart)
    yield Shape(
        f"{name}.weight_hh_l0", "recurrent", (gates, layer.hidden, layer.output_size), own, gates
    )
    if layer.projection is not None:
        shape = (1, layer.projection, layer.hidden)
        yield Shape(f"{name}.weight_hr_l0", "projection", shape, (f"{name}.unprojected",), 1)


def _compact(name: str, layer: LayerSpec, vector: str, inputs: int) -> Iterator[Shape]:
    cell = COMPACT[layer.cell]
    vectors = {INPUT: vector, cell.outputs[0]: name}
    for product in cell.products:
        for place, read in enumerate(product.reads):
            role, columns = ("input", inputs) if read.name == INPUT else ("recurrent", layer.hidden)
            shape, returns = (product.gates, layer.hidden, columns), 0 if place else product.gates
            reads = (vectors.get(read.name, f"{name}.{read.name}"),)
            yield Shape(f"{name}.{weight_name(product, read)}", role, shape, reads, returns)


@dataclass(frozen=True)
class Cost:
    """weights: numbers stored in matrices. bits: of these, biases, peepholes and states, on chip.

    multiplications: real ones a frame, in products (3 for a complex one) and in transforms.
    """

    weights: int
    bits: int
    multiplications: int


def cost(
    model: ModelSpec, plan: CompressionPlan, weight_bits: int = 12, data_bits: int = 16
) -> Cost:
    """Of one stream.  Raises UserError where the plan does not fit the model."""
    weights, products = 0, 0
    for one in shapes(model):
        structure = plan.structure(one.name, one.role)
        weights += structure.stored(one.shape)
        products += structure.multiplications(one.shape)
    constants = (
        sum(_constants(layer) for layer in model.layers) + model.outputs + (model.front or 0)
    )
    states = sum(_states(layer) for layer in model.layers)
    bits = weights * weight_bits + (constants + states) * data_bits
    return Cost(weights, bits, products + _turned(model, plan))


def savings(model: ModelSpec) -> dict[int, int]:
    """Multiplications a frame by block size of the recurrent layers, the output layer dense."""
    return {k: cost(model, CompressionPlan.blocks(k)).multiplications for k in BLOCK_SIZES}


def _constants(layer: LayerSpec) -> int:
    if layer.cell in COMPACT:
        cell = COMPACT[layer.cell]
        return layer.hidden * (sum(p.gates for p in cell.products if p.bias) + len(cell.vectors))
    # A GRU's candidate has two products with a bias each.
    apart = layer.cell == "gru" and layer.reset == "after"
    return layer.hidden * (GATES[layer.cell] + apart + 3 * layer.peepholes)


def _states(layer: LayerSpec) -> int:
    if layer.cell in COMPACT:
        cell = COMPACT[layer.cell]
        return layer.hidden * len([name for name in cell.remembered if name not in cell.inputs])
    return layer.output_size + (layer.hidden if layer.cell == "lstm" else 0)


def _turned(model: ModelSpec, plan: CompressionPlan) -> int:
    """Multiplications of the transforms: of each vector once a block size, and of results."""
    words: dict[tuple[str, int], int] = {}
    back = 0
    for one in shapes(model):
        k, (_, rows, columns) = block_size(plan.structure(one.name, one.role)), one.shape
        words |= {(vector, k): ceil(columns / k) for vector in one.reads}
        back += one.returns * ceil(rows / k) * rotations(k)
    return back + sum(count * rotations(k) for (_, k), count in words.items())


@cache
def rotations(k: int) -> int:
    """Real multiplications of one real FFT of size k, as the engine builds it."""
    stages = forward_transform(k, 12, 0).stages
    return sum(int(np.count_nonzero(stage.matrix[stage.shift > 0])) for stage in stages)
