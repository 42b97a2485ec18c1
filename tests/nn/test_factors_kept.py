"""Factors that were trained on a grid are what is lowered and stored, not others of the same
product.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from ernn.compress import inside
from ernn.compress.grids import Uniform
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.methods.quantized import Quantized
from ernn.compress.methods.tensor_train import TensorTrain
from ernn.compress.methods.tucker import Tucker
from ernn.compress.plan import CompressionPlan, structures
from ernn.frontends.torch import import_torch
from ernn.ir import serialization as codec
from ernn.ir.fixed_point import dequantize
from ernn.ir.integer_model import IntegerModel
from ernn.ir.kronecker import RepeatedMatrix
from ernn.ir.network import Network
from ernn.ir.reference import run
from ernn.ir.structure import Structure
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import random_frames

BITS = 5
INNER: dict[str, tuple[Structure, Structure]] = {
    "low rank": (LowRank(3), LowRank(4)),
    "stacked": (LowRank(3, stacked=True), LowRank(4, stacked=True)),
    "tucker": (Tucker(4, 3), Tucker(3, 5)),
    "tensor train": (TensorTrain((3, 4), (4, 2), 3), TensorTrain((3, 4), (4, 3), 2)),
}


def trained_inside(kind: str) -> tuple[AcousticModel, CompressionPlan, dict[str, list[np.ndarray]]]:
    """A model whose factors were moved as training moves them, and what of each weight lies on the
    grid.
    """
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(8, (LayerSpec("gru", 12),), 5)).eval()
    into, back = (Quantized(inner, Uniform(BITS)) for inner in INNER[kind])
    plan = CompressionPlan(input=into, recurrent=back)
    inside.enter(model, plan)
    on_grid: dict[str, list[np.ndarray]] = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "parametrizations" in name:
                parameter += 0.3 * parameter.abs().mean() * torch.randn_like(parameter)
                on_grid.setdefault(name.split(".")[-2], []).append(
                    Uniform(BITS).nearest(parameter).numpy()
                )
    inside.leave(model)
    return model, plan, on_grid


def imported(model: AcousticModel, plan: CompressionPlan) -> Network:
    return import_torch(model, torch.zeros(1, 8, 8), structures=structures(model, plan)).network


def stored(model: IntegerModel) -> list[np.ndarray]:
    """Real values of every gate's weights in the first layer's products."""
    (layer, *_) = model.layers
    values = []
    for product in layer.products:
        for matrix in (operand.matrix for operand in product.operands):
            numbers = matrix.core if isinstance(matrix, RepeatedMatrix) else matrix.weights
            real = dequantize(numbers, matrix.format)
            if product.exponents is not None:
                real = real / 2.0 ** product.exponents[..., None, None]
            values += list(real)
    return values


@pytest.mark.parametrize("kind", INNER)
def test_what_was_trained_is_what_is_stored(kind: str, tmp_path: Path) -> None:
    model, plan, on_grid = trained_inside(kind)
    network = codec.load(codec.save(tmp_path / "network", imported(model, plan)), Network)
    integers = quantize(
        network, [random_frames(np.random.default_rng(1), network)], QuantizeSpec(BITS, 18)
    )
    found = {tuple(np.sort(numbers.ravel())) for numbers in stored(integers)}
    trained = [
        gate
        for arrays in on_grid.values()
        for array in arrays
        for gate in (array if array.ndim > 2 else [array])
    ]
    assert {tuple(np.sort(gate.ravel()).astype(float)) for gate in trained} == found


def test_a_projection_keeps_its_factors() -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(8, (LayerSpec("lstm", 12),), 5)).eval()
    structure = Quantized(LowRank(3), Uniform(BITS))
    plan = CompressionPlan(input=structure, recurrent=structure)
    inside.project_once(model, plan)
    network = imported(model, plan)
    integers = quantize(
        network, [random_frames(np.random.default_rng(1), network)], QuantizeSpec(BITS, 18)
    )
    for numbers in stored(integers):
        assert len(np.unique(numbers)) <= 1 << BITS


def test_factors_of_other_weights_are_forgotten() -> None:
    model, plan, _ = trained_inside("low rank")
    layer = model.recurrent[0]
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if name.startswith("weight"):
                weight.mul_(1.5)
    network = imported(model, plan)
    frames = np.random.default_rng(0).normal(size=(9, 8))
    with torch.no_grad():
        expected = model(torch.tensor(frames, dtype=torch.float32)[None])
    found = (expected[0] if isinstance(expected, tuple) else expected)[0].double().numpy()
    np.testing.assert_allclose(run(network, frames)[0], found, atol=1e-4)
