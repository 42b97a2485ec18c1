"""Random networks, in torch and in ONNX: imported equal, integers near, hardware the integers'."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.frontends.imported import Imported
from ernn.frontends.onnx import import_onnx
from ernn.frontends.torch import import_torch
from ernn.golden.sequence import executed
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.scheduling.design import Design
from tests.equivalence.test_cells_hardware import check
from tests.frontends.random_graphs import Module, Step, networks, to_onnx

INPUTS = 3


def both(steps: list[Step], seed: int) -> tuple[Imported, Imported, np.ndarray]:
    torch.manual_seed(seed)
    module = Module(steps, INPUTS).eval()
    frames = torch.randn(7, INPUTS)
    return (
        import_torch(module, frames[None]),
        import_onnx(to_onnx(module, INPUTS), frames.numpy()),
        frames.numpy(),
    )


@settings(max_examples=25, deadline=None)
@given(networks(), st.integers(0, 2**31))
def test_both_front_ends_give_the_original(steps: list[Step], seed: int) -> None:
    """Each import has compared itself with torch, or ONNX Runtime; here with one another."""
    first, second, frames = both(steps, seed)
    results = [one.results(frames, {}, one.execute_float) for one in (first, second)]
    np.testing.assert_allclose(*map(np.squeeze, results), atol=2e-5)
    assert first.share == pytest.approx(second.share)


EVERYTHING = [
    Step("conv", (0, 0), 4),
    Step("relu", (1, 0), 4),
    Step("gru", (2, 0), 4),
    Step("cat", (3, 2), 4),
    Step("linear", (4, 0), 6),
    Step("sigmoid", (5, 0), 6),
    Step("mul", (6, 3), 6),
    Step("slice", (7, 0), 6),
    Step("lstm", (8, 0), 4),
    Step("add", (9, 2), 4),
    Step("scale", (10, 0), 4),
    Step("heads", (11, 0), 3),
    Step("silu", (12, 0), 3),
]


def test_all_that_streams_in_simulated_hardware() -> None:
    _, imported, frames = both(EVERYTHING, 0)
    assert imported.plain and imported.share == 1.0
    model = quantize(imported.network, [np.tile(frames, (4, 1))], QuantizeSpec(12, 14))
    outputs, _ = executed(model, frames, {})
    expected = imported.execute_float(frames, {})[0]
    assert np.abs(outputs - expected).max() < 0.02 * np.abs(expected).max()
    check(model, Design(2, 2, 1, overlap=2), 3)
