"""Described cells: float against explicit loops, integers near the float, the compiled machine
equal to the plain.
"""

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden.boundary import dequantize_output
from ernn.golden.compiled import Compiled
from ernn.golden.headroom import saturation
from ernn.golden.run import run, trace
from ernn.golden.streaming import Stream
from ernn.ir import serialization as codec
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read
from ernn.ir.cells import COMPACT
from ernn.ir.fixed_point import quantize as to_integers
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.reference import run as run_float
from ernn.ir.reference import run_all
from ernn.ir.structure import BlockCirculant
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.cells import LOOPS, random_cell
from tests.models import DENSE, random_frames, random_gru, random_linear


def network(name: str, seed: int = 0, block: int = 1) -> Network:
    """A compact cell, a GRU, the cell again, a linear layer: blocks do not divide the sizes."""
    rng, structure = (
        np.random.default_rng(seed),
        DENSE if block == 1 else BlockCirculant(block, pad=True),
    )
    first = random_cell(rng, COMPACT[name], 7, 10, structure, 0.7)
    second = random_cell(rng, COMPACT[name], 9, 11, structure, 0.7)
    return Network((first, random_gru(rng, 10, 9, structure), second, random_linear(rng, 11, 5)))


@pytest.mark.parametrize("name", COMPACT)
def test_the_reference_is_the_papers_loop(name: str) -> None:
    rng = np.random.default_rng(1)
    layer, frames = random_cell(rng, COMPACT[name], 5, 6), rng.normal(size=(12, 5))
    outputs, state = run_float(Network((layer,)), frames)
    np.testing.assert_allclose(outputs, LOOPS[name](layer, frames), atol=1e-12)
    first, middle = run_float(Network((layer,)), frames[:5])
    then, end = run_float(Network((layer,)), frames[5:], middle)
    np.testing.assert_array_equal(np.concatenate([first, then]), outputs)
    assert [s.keys() for s in end] == [s.keys() for s in state]
    both = run_all(Network((layer,)), [frames, frames[:4]])
    np.testing.assert_allclose(both[1], outputs[:4], atol=1e-12)


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("name", COMPACT)
def test_integers_follow_the_float(name: str, block: int) -> None:
    made, rng = network(name, block=block), np.random.default_rng(2)
    frames = [random_frames(rng, made) for _ in range(3)]
    model = quantize(made, frames, QuantizeSpec(weight_bits=16, data_bits=18, segment_bits=10))
    given = to_integers(frames[0], model.input.format)
    found = dequantize_output(model, run(model, given))
    expected, _ = run_float(made, frames[0])
    assert np.abs(found - expected).max() < 0.01 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("name", COMPACT)
def test_compiled_is_plain_on_every_edge(name: str, block: int, tmp_path) -> None:
    made, rng = network(name, block=block), np.random.default_rng(3)
    model = quantize(made, [random_frames(rng, made)], QuantizeSpec(data_bits=12, weight_bits=9))
    model = codec.load(codec.save(tmp_path / "model", model), IntegerModel)
    high = 1 << 11
    frames = rng.integers(-high, high, size=(9, 7))  # saturating too
    plain, fast = trace(model, frames), trace(model, frames, Compiled)
    assert plain.keys() == fast.keys()
    for edge, values in plain.items():
        np.testing.assert_array_equal(fast[edge], values, err_msg=edge)
    stream = Stream(model)
    parts = [stream.push(part) for part in (frames[:4], frames[4:])]
    np.testing.assert_array_equal(np.concatenate(parts), run(model, frames))
    assert f"l0.{'c' if name in ('cifg', 'sru', 'qrnn') else 'h'}" in saturation(model, [frames])


def test_relu_is_zero_below_zero() -> None:
    model = quantize(
        network("indrnn"), [random_frames(np.random.default_rng(0), network("indrnn"))]
    )
    frames = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, size=(9, 7))
    found = trace(model, frames)["l0.h"]
    assert found.min() == 0 and found.max() > 0


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ((CellStep("a", "gates.0"), CellStep("h", "h@1*a - a")), "only products can be taken away"),
        ((CellStep("h", "gates.0*h@1"),), "a gate cannot be multiplied"),
        ((CellStep("h", "v*h@1"),), "a vector is added, or the second factor"),
        ((CellStep("h", " + ".join(["gates.0"] * 5)),), r"8 addends \(a bias is one\)"),
        ((CellStep("h", "gates.2"),), "neither a step, an input, a gate nor a vector"),
        ((CellStep("a", "gates.0"), CellStep("h", "h@1*v")), "nothing reads a"),
        ((CellStep("h", "gates.0 h"),), "not a sum of names"),
        ((CellStep("g", "gates.0"),), "no step 'h' for its output"),
    ],
)
def test_descriptions_that_cannot_run_are_refused(steps: tuple[CellStep, ...], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Cell("a test", (CellStage((CellProduct("gates", 2, (Read("x"),)),), steps),), ("v",))
