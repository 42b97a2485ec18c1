"""Signed matrices become plain ones that read turned signals."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.compress.inside import project_once
from ernn.compress.plan import CompressionPlan, structures
from ernn.frontends.torch import import_torch
from ernn.golden.boundary import dequantize_output, quantize_input
from ernn.golden.run import run
from ernn.ir.network import Matrix, Network
from ernn.ir.reference import run as run_float
from ernn.ir.serialization import load, save
from ernn.ir.structure import BlockCirculant, Dense, Signed, Structure
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.quantization.lowering import lowered
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import random_frames, restructured
from tests.networks import networks

EIGHTS = Signed(BlockCirculant(8, pad=True))
STACKS = {
    "gru": (LayerSpec("gru", 24),) * 2,
    "mixed": (LayerSpec("lstm", 24, 16, peepholes=True), LayerSpec("gru", 16, reset="before")),
    "compact": (LayerSpec("qrnn", 16), LayerSpec("mgu", 16)),
}


def compressed(stack: str, output: int = 1) -> Network:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(20, STACKS[stack], 10, 0.0))
    plan = CompressionPlan.blocks(8, output=output, signed=True)
    project_once(model, plan)
    imported = import_torch(model, torch.zeros(1, 4, 20), structures=structures(model, plan))
    return imported.network


@settings(max_examples=25, deadline=None)
@given(networks(), st.integers(0, 1 << 20))
def test_any_network_is_the_same_without_signs(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def choose(_: object, matrix: Matrix) -> Structure:
        return Signed(matrix.structure, int(rng.integers(2))) if rng.random() < 0.5 else Dense()

    signed = restructured(network, choose)
    frames = rng.normal(size=(9, network.input_size))
    with np.errstate(all="ignore"):
        expected, found = (run_float(one, frames)[0] for one in (signed, lowered(signed)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("output", [1, 8])
@pytest.mark.parametrize("stack", STACKS)
def test_integers_are_near_the_floats(stack: str, output: int) -> None:
    network, rng = compressed(stack, output), np.random.default_rng(3)
    assert {type(m.structure) for one in network.layers for m in one.matrices} <= {Signed, Dense}
    frames = random_frames(rng, network)
    model = quantize(network, [frames], QuantizeSpec(weight_bits=16, data_bits=18))
    assert model.block == 8
    found = dequantize_output(model, run(model, quantize_input(model, frames)))
    expected = run_float(network, frames)[0]
    assert np.abs(found - expected).max() < 0.005 * np.abs(expected).max()


def test_a_signal_is_turned_once_for_all_that_read_it() -> None:
    """One step more a layer, whose result the dense output layer reads, too, and one of the input:
    as many transforms as without signs.
    """
    layers = lowered(compressed("gru")).layers
    steps = [[step.name for step in layer.cell.steps if "turned" in step.name] for layer in layers]
    assert steps == [["x_turned", "h_turned"], ["h_turned"], []]
    assert all("turned" in name for layer in layers for name in layer.cell.multiplied | {"turned"})
    assert layers[-1].inputs[0].output == "h_turned"


def test_a_network_with_signs_is_saved_and_loaded(tmp_path) -> None:
    network = compressed("gru")
    again = load(save(tmp_path / "network.safetensors", network), Network)
    assert again.layers[0].matrices[0].structure == EIGHTS
