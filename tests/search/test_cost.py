"""Costs from shapes, counted by hand and held to the numbers that
integers of the same network keep.
"""

from math import ceil
from typing import get_args

import numpy as np
import pytest

from ernn.compress.plan import CompressionPlan
from ernn.ir.cells import COMPACT
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Layer, Network
from ernn.ir.structure import BlockCirculant
from ernn.nn.spec import Cell, LayerSpec, ModelSpec
from ernn.quantization.quantize import quantize
from ernn.search.cost import cost, shapes
from tests.cells import random_cell
from tests.models import random_frames, random_gru, random_linear, random_lstm


@pytest.mark.parametrize(
    ("layer", "blocks", "rotated", "constants", "states"),
    [
        # blocks of weights; words of x, h (and m), results of a product that go back; per unit
        (
            LayerSpec("lstm", 24, 16, True),
            24 + 24 + 6,
            2 + (2 + 4 * 3) + (3 + 2),
            (4 + 3) * 24,
            16 + 24,
        ),
        (LayerSpec("gru", 24), 18 + 27, (2 + 3) + (3 + 3 * 3), (3 + 1) * 24, 24),
        (LayerSpec("ligru", 24), 12 + 18, (2 + 2 * 3) + 3, 2 * 24, 24),
        (LayerSpec("cifg", 24), 18 + 27, (2 + 3 * 3) + 3, 3 * 24, 2 * 24),
    ],
)
def test_a_layer_in_blocks_of_eight(
    layer: LayerSpec, blocks: int, rotated: int, constants: int, states: int
) -> None:
    """Of 16 inputs; a block of 8 is 11 multiplications, a transform of a word 4."""
    found = cost(
        ModelSpec(16, (layer,), 7), CompressionPlan.blocks(8), weight_bits=10, data_bits=14
    )
    output = 7 * layer.output_size
    assert found.weights == 8 * blocks + output
    assert found.multiplications == 11 * blocks + 4 * rotated + output
    assert found.bits == found.weights * 10 + (constants + 7 + states) * 14


def kept(model: IntegerModel) -> int:
    """Biases, peepholes and vectors, and what is carried from frame to frame but for spectra."""
    found = 0
    for layer in model.layers:
        found += sum(one.size for one in (*layer.biases, *layer.vectors) if one is not None)
        steps = (name for name in layer.cell.remembered if name not in layer.cell.inputs)
        found += sum(layer.lengths[name] for name in steps)
    return found


@pytest.mark.parametrize(
    "cell", ["lstm", "peepholes", "projection", "gru", "reset before", *COMPACT]
)
def test_bits_are_those_of_the_integers(cell: str) -> None:
    rng = np.random.default_rng(0)
    layer, spec = {
        "lstm": lambda: (random_lstm(rng, 6, 8), LayerSpec("lstm", 8)),
        "peepholes": lambda: (
            random_lstm(rng, 6, 8, peepholes=True),
            LayerSpec("lstm", 8, peepholes=True),
        ),
        "projection": lambda: (random_lstm(rng, 6, 8, projection=4), LayerSpec("lstm", 8, 4)),
        "gru": lambda: (random_gru(rng, 6, 8), LayerSpec("gru", 8)),
        "reset before": lambda: (
            random_gru(rng, 6, 8, reset="before"),
            LayerSpec("gru", 8, reset="before"),
        ),
    }.get(cell, lambda: (random_cell(rng, COMPACT[cell], 6, 8), LayerSpec(cell, 8)))()  # type: ignore[arg-type]
    front, output = random_linear(rng, 5, 6), random_linear(rng, layer.output_size, 3)
    network = Network((front, layer, output))
    model = quantize(network, [random_frames(rng, network)])
    found = cost(ModelSpec(5, (spec,), 3, front=6), CompressionPlan())
    assert found.weights == found.multiplications == network.stored_weights
    assert found.bits == 12 * found.weights + 16 * kept(model)


@pytest.mark.parametrize("cell", ["lstm", "projection", "gru", "reset before", *COMPACT])
def test_transforms_are_those_of_the_integers(cell: str) -> None:
    """Two layers and an output layer in blocks of 8: a vector that several
    weights read is transformed once.
    """
    rng, blocks = np.random.default_rng(0), BlockCirculant(8, pad=True)
    spec = {
        "projection": LayerSpec("lstm", 16, 8),
        "reset before": LayerSpec("gru", 16, reset="before"),
        **{name: LayerSpec(name, 16) for name in get_args(Cell)},
    }[cell]

    def layer(size: int) -> Layer:
        if cell in COMPACT:
            return random_cell(rng, COMPACT[cell], size, 16, blocks)
        if spec.cell == "lstm":
            return random_lstm(rng, size, 16, blocks, projection=spec.projection or 0)
        return random_gru(rng, size, 16, blocks, reset=spec.reset)

    first = layer(5)
    second = layer(first.output_size)
    network = Network((first, second, random_linear(rng, second.output_size, 9, blocks)))
    model = quantize(network, [random_frames(rng, network)])
    words = sum(ceil(signal.length / 8) for signal in model.signals if signal.spectrum is not None)
    results = sum(
        operands[0].matrix.weights.shape[0] * operands[0].matrix.weights.shape[1]
        for operands in (product.operands for layer in model.layers for product in layer.products)
    )
    asked, plan = ModelSpec(5, (spec, spec), 9), CompressionPlan.blocks(8, output=8)
    weights = sum(
        plan.structure(one.name, one.role).multiplications(one.shape) for one in shapes(asked)
    )
    assert cost(asked, plan).multiplications - weights == 4 * (words + results)
