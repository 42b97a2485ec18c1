"""What a network costs before it is trained: weights, bits on chip, multiplications, all from shapes alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np

from ernn.compress.plan import CompressionPlan, Role
from ernn.spec import LayerSpec, ModelSpec
from ernn.structure import BLOCK_SIZES, block_size, real_multiplications, stored_numbers
from ernn.transform import forward_transform

GATES = {"lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Shape:
    """One weight of an acoustic model: its name in `named_parameters()`, its role, and (gates, rows, columns)."""

    name: str
    role: Role
    shape: tuple[int, int, int]


def shapes(model: ModelSpec) -> Iterator[Shape]:
    """Every weight matrix of the `AcousticModel` that `model` asks for."""
    inputs = model.input_size
    if model.front is not None:
        yield Shape("front.weight", "output", (1, model.front, inputs))
        inputs = model.front
    for index, layer in enumerate(model.layers):
        name, gates = f"recurrent.{index}", GATES[layer.cell]
        yield Shape(f"{name}.weight_ih_l0", "input", (gates, layer.hidden, inputs))
        yield Shape(f"{name}.weight_hh_l0", "recurrent", (gates, layer.hidden, layer.output_size))
        if layer.projection is not None:
            yield Shape(f"{name}.weight_hr_l0", "projection", (1, layer.projection, layer.hidden))
        inputs = layer.output_size
    yield Shape("output.weight", "output", (1, model.outputs, inputs))


@dataclass(frozen=True)
class Cost:
    """weights: numbers stored in matrices. bits: on chip, of those, the biases and peepholes, and the states.

    multiplications: real ones a frame, in products (3 for a complex one) and in the transforms' rotations.
    """

    weights: int
    bits: int
    multiplications: int


def cost(model: ModelSpec, plan: CompressionPlan, weight_bits: int = 12, data_bits: int = 16) -> Cost:
    """Of one stream.  Raises UserError where the plan does not fit the model."""
    weights, products = 0, 0
    for one in shapes(model):
        structure = plan.structure(one.name, one.role)
        weights += stored_numbers(structure, one.shape)
        products += real_multiplications(structure, one.shape)
    constants = sum(_constants(layer) for layer in model.layers) + model.outputs + (model.front or 0)
    states = sum(_states(layer) for layer in model.layers)
    turned = sum(_rotations(one, plan) for one in shapes(model))
    return Cost(weights, weights * weight_bits + (constants + states) * data_bits, products + turned)


def savings(model: ModelSpec) -> dict[int, int]:
    """Multiplications a frame by block size of the recurrent layers, the output layer dense."""
    return {k: cost(model, CompressionPlan.blocks(k)).multiplications for k in BLOCK_SIZES}


def _constants(layer: LayerSpec) -> int:
    biases = GATES[layer.cell] * layer.hidden + (layer.hidden if layer.cell == "gru" else 0)
    return biases + (3 * layer.hidden if layer.peepholes else 0)


def _states(layer: LayerSpec) -> int:
    return layer.output_size + (layer.hidden if layer.cell == "lstm" else 0)


def _rotations(one: Shape, plan: CompressionPlan) -> int:
    """Multiplications of the transforms that go with a weight: of its input, and of its results once.

    An input and a recurrent product of one gate are summed before the inverse transform, so only the recurrent one
    counts it; a candidate gate whose two products are kept apart (GRU) adds one gate's.
    """
    k = block_size(plan.structure(one.name, one.role))
    gates, rows, columns = one.shape
    backward = 0 if one.role == "input" else gates * ceil(rows / k)
    backward += ceil(rows / k) if one.role == "input" and gates == GATES["gru"] else 0
    return rotations(k) * (ceil(columns / k) + backward)


@cache
def rotations(k: int) -> int:
    """Real multiplications of one real FFT of size k, as the engine builds it."""
    stages = forward_transform(k, 12, 0).stages
    return sum(int(np.count_nonzero(stage.matrix[stage.shift > 0])) for stage in stages)
