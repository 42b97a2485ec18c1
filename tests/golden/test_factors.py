"""Factored matrices become products of products."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ernn.compress.grids import Uniform
from ernn.compress.inside import project_once
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.methods.quantized import Quantized
from ernn.compress.methods.tiles import Tiles
from ernn.compress.plan import CompressionPlan, structures
from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.golden.boundary import dequantize_output
from ernn.golden.compiled import Compiled
from ernn.golden.run import run, trace
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read
from ernn.ir.circulant import project
from ernn.ir.fixed_point import dequantize
from ernn.ir.layers import bidirectional, linear
from ernn.ir.network import NETWORK, Factored, Layer, Matrix, Network
from ernn.ir.reference import run as run_float
from ernn.ir.structure import BlockCirculant, Structure
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.quantization.integer_fft import packed_rfft
from ernn.quantization.lowering import lowered
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import (
    random_frames,
    random_gru,
    random_linear,
    random_lstm,
    restructured,
)


def low_rank(network: Network, structure: Structure, recurrent: Structure | None = None) -> Network:
    """All matrices of it projected, recurrent ones to `recurrent`."""

    return restructured(
        network, lambda read, _: recurrent if recurrent and read.delay else structure
    )


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru", "before", "mixed"])
def test_low_rank_is_two_products(kind: str, stacked: bool) -> None:
    rng, structure = np.random.default_rng(6), LowRank(3, stacked)
    layers = {
        "lstm": lambda: (
            random_lstm(rng, 6, 10, structure, projection=7, peepholes=True),
            random_linear(rng, 7, 5, structure),
        ),
        "gru": lambda: (random_gru(rng, 6, 10, structure), random_linear(rng, 10, 5, structure)),
        "before": lambda: (random_gru(rng, 6, 10, structure, reset="before"),),
        "mixed": lambda: (random_gru(rng, 6, 10, structure), random_lstm(rng, 10, 8, structure)),
    }[kind]()
    network = Network(layers)
    factored = lowered(network)
    assert all("with factors" in layer.cell.title for layer in factored.layers)
    again = (
        3 * 10 if kind == "before" and stacked else 0
    )  # h and r*h are both multiplied with the shared factor
    assert factored.stored_weights == network.stored_weights + again
    frames = random_frames(rng, network)
    expected = run_float(network, frames)[0]
    np.testing.assert_allclose(run_float(factored, frames)[0], expected, atol=1e-9)
    model = quantize(network, [frames], QuantizeSpec(weight_bits=16, data_bits=18, segment_bits=10))
    stored = sum(
        o.matrix.weights.size for layer in model.layers for p in layer.products for o in p.operands
    )
    assert stored == factored.stored_weights
    given = np.round(frames * 2.0**model.input.format.frac).astype(np.int64)
    found = dequantize_output(model, run(model, given))
    assert np.abs(found - expected).max() < 0.01 * max(1.0, np.abs(expected).max())
    wild = rng.integers(-(1 << 17), 1 << 17, size=(7, 6))
    for edge, values in trace(model, wild).items():
        np.testing.assert_array_equal(trace(model, wild, Compiled)[edge], values, err_msg=edge)


def test_ranks_may_differ() -> None:
    rng = np.random.default_rng(8)
    network = low_rank(Network((random_lstm(rng, 6, 9),)), LowRank(2), LowRank(4, stacked=True))
    frames = random_frames(rng, network)
    np.testing.assert_allclose(
        run_float(lowered(network), frames)[0], run_float(network, frames)[0], atol=1e-9
    )


def test_a_shared_factor_is_multiplied_again_where_its_vector_has_changed() -> None:
    """The first product reads the frame before's h, the second, with the same right factor, the one
    just written.
    """
    cell = Cell(
        "twice",
        (
            CellStage(
                (CellProduct("first", 1, (Read("x"), Read("h", 1)), bias=False),),
                (CellStep("h", "first.0", "tanh"),),
            ),
            CellStage(
                (CellProduct("second", 1, (Read("h"),), bias=False),), (CellStep("y", "second.0"),)
            ),
        ),
        outputs=("y",),
    )
    rng = np.random.default_rng(3)
    right, lefts = (
        Matrix(rng.normal(size=(1, 2, 6))),
        [Matrix(rng.normal(size=(1, 6, 2))) for _ in range(2)],
    )
    both = [Factored(left.value @ right.value, LowRank(2), factors=(left, right)) for left in lefts]
    layer = Layer(cell, ((Matrix(rng.normal(size=(1, 6, 4))), both[0]), (both[1],)), (None, None))
    frames = rng.normal(size=(5, 4))
    expected = run_float(Network((layer,)), frames)[0]
    np.testing.assert_allclose(
        run_float(lowered(Network((layer,))), frames)[0], expected, atol=1e-12
    )


def test_only_what_is_factored_changes() -> None:
    rng = np.random.default_rng(7)
    gru = random_gru(rng, 6, 8)
    (into, back), *others = gru.weights
    matrix = Matrix(project(into.value, LowRank(2)), LowRank(2))
    mixed = replace(gru, weights=((matrix, back), *others))
    last = random_linear(rng, 8, 4)
    made = lowered(Network((mixed, last)))
    assert made.layers[1].cell == last.cell and len(made.layers[0].cell.stages) == 2
    frames = random_frames(rng, made)
    np.testing.assert_allclose(
        run_float(made, frames)[0], run_float(Network((mixed, last)), frames)[0], atol=1e-9
    )


def test_initial_states_and_both_directions_are_kept() -> None:
    rng = np.random.default_rng(0)
    ways = bidirectional(
        random_lstm(rng, 4, 6, states=True), random_gru(rng, 4, 6, states=True), NETWORK
    )
    network = low_rank(Network(ways), LowRank(2))
    frames = random_frames(rng, network)
    expected, found = (run_float(made, frames)[0] for made in (network, lowered(network)))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_other_structures_are_refused_by_name() -> None:
    last = random_linear(np.random.default_rng(0), 8, 8)
    structure = Tiles(0.5, 2, 2)
    weight = Matrix(structure.nearest(last.matrices[0].value), structure)
    network = Network((random_gru(np.random.default_rng(0), 4, 8), linear(weight, np.zeros(8))))
    with pytest.raises(UserError, match="this network has Tiles"):
        quantize(network, [np.zeros((2, 4))])


@pytest.mark.parametrize("bits", [6, 8, 12])
def test_the_engine_stores_what_was_trained_on_the_grid(bits: int) -> None:
    """Spectra on a grid of as many bits as the engine's weights: rounding them once more changes
    nothing.
    """
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(8, (LayerSpec("lstm", 16),), 5)).double().eval()
    structure = Quantized(BlockCirculant(4, pad=True), Uniform(bits), spectra=True)
    plan = CompressionPlan(input=structure, recurrent=structure)
    project_once(model, plan)
    network = import_torch(
        model, torch.zeros(1, 8, 8, dtype=torch.float64), structures=structures(model, plan)
    ).network
    frames = [random_frames(np.random.default_rng(1), network) for _ in range(2)]
    integers = quantize(network, frames, QuantizeSpec(weight_bits=bits, data_bits=18))
    lstm = lowered(network).layers[0]
    for operand, matrix in zip(integers.layers[0].products[0].operands, lstm.matrices, strict=True):
        trained = packed_rfft(_blocks(matrix))
        stored = dequantize(operand.matrix.weights, operand.matrix.format)
        np.testing.assert_allclose(stored, trained, atol=1e-9)


def test_factors_on_a_grid_are_imported_as_what_they_are_known_to_be() -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(8, (LayerSpec("gru", 12),), 5)).eval()
    plan = CompressionPlan(
        input=Quantized(LowRank(3), Uniform(6)), recurrent=Quantized(LowRank(2), Uniform(5))
    )
    with pytest.raises(UserError, match="compress the module before"):
        import_torch(model, torch.zeros(1, 8, 8), structures=structures(model, plan))
    project_once(model, plan)
    network = import_torch(model, torch.zeros(1, 8, 8), structures=structures(model, plan)).network
    frames = random_frames(np.random.default_rng(1), network)
    assert isinstance(lowered(network).layers[0], Layer)
    assert run(quantize(network, [frames]), np.zeros((3, 8), np.int64)).shape == (3, 5)
    onto = CompressionPlan(recurrent=Quantized(BlockCirculant(4), Uniform(5)))
    project_once(model, CompressionPlan(recurrent=BlockCirculant(4)))
    with pytest.raises(UserError, match="is not Quantized"):
        import_torch(model, torch.zeros(1, 8, 8), structures=structures(model, onto))


def _blocks(matrix: Matrix) -> np.ndarray:
    assert isinstance(matrix.structure, BlockCirculant)
    rows = matrix.value.reshape(len(matrix.value), matrix.rows // 4, 4, matrix.columns // 4, 4)
    return rows[:, :, :, :, 0].transpose(0, 1, 3, 2)
