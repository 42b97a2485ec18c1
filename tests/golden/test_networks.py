"""Networks that are no chains, in integers: near the floats, compiled as plain, state kept."""

from typing import get_args

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import Compiled, Stream, Streams, dequantize_output, quantize_input, run, trace
from ernn.golden.machine import Plain
from ernn.ir.activations import Function
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep, Read
from ernn.ir.cells import COMPACT
from ernn.ir.layers import added, conv1d, reading
from ernn.ir.network import NETWORK, Layer, Matrix, Network, Source
from ernn.ir.reference import run as run_float
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.cells import random_cell
from tests.models import (
    random_frames,
    random_gru,
    random_linear,
    random_lstm,
    random_matrix,
    structure_of,
)

FINE = QuantizeSpec(weight_bits=16, data_bits=18, segment_bits=10)


def skips(block: int) -> Network:
    """A dilated convolution, an LSTM and a QRNN with initial values, a sum, a layer of two inputs;
    two outputs, one of them an LSTM's.
    """
    rng, structure = np.random.default_rng(block), structure_of(block)
    taps = [random_matrix(rng, 1, 8, 5, structure) for _ in range(3)]
    first = conv1d(taps, rng.normal(size=8), dilation=2)
    second = random_lstm(rng, 8, 8, structure, peepholes=True, states=True)
    third = random_cell(rng, COMPACT["qrnn"], 8, 8, structure, initial=True)
    total = added(8, [Source(1), Source(2)])
    joined = reading(random_gru(rng, 16, 8, structure), [Source(3), Source(0)], [8, 8])
    last = random_linear(rng, 8, 3)
    layers = (first, second, replace_inputs(third, Source(1)), total, joined, last)
    return Network(layers, outputs=(Source(5), Source(1)))


def replace_inputs(layer: Layer, *sources: Source) -> Layer:
    return reading(layer, sources, layer.input_sizes)


def every_function(function: str) -> Network:
    """A step that reads the network's input, one and two frames old, and ends with a function."""
    cell = Cell(
        f"{function} of a product and of what was",
        (
            CellStage(
                (CellProduct("p", 1, (Read("x"), Read("h", 3))),),
                (
                    CellStep("f", "p.0 + x@1*v", function),  # type: ignore[arg-type]
                    CellStep("h", "f*x + w"),
                ),
            ),
        ),
        ("v", "w"),
    )
    rng = np.random.default_rng(3)
    matrices = tuple(Matrix(rng.normal(size=(1, 6, 6)) / 3) for _ in range(2))
    initial = tuple(rng.normal(size=6) for _ in cell.remembered)
    vectors = rng.normal(size=6), rng.normal(size=6) / 4
    return Network((Layer(cell, (matrices,), (rng.normal(size=(1, 6)),), vectors, initial),))


NETWORKS = {
    **{f"skips, blocks of {block}": skips(block) for block in (1, 4)},
    **{function: every_function(function) for function in get_args(Function)},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_integers_follow_the_float(name: str) -> None:
    network, rng = NETWORKS[name], np.random.default_rng(0)
    utterances = [random_frames(rng, network, 25) for _ in range(3)]
    model = quantize(network, utterances, FINE)
    found = dequantize_output(model, run(model, quantize_input(model, utterances[0])))
    expected, _ = run_float(network, utterances[0])
    assert np.abs(found - expected).max() < 0.01 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("spec", [QuantizeSpec(9, 12), QuantizeSpec(12, 18)], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_is_plain_on_every_edge(name: str, spec: QuantizeSpec) -> None:
    network, rng = NETWORKS[name], np.random.default_rng(1)
    model = quantize(network, [random_frames(rng, network)], spec)
    low, high = model.input.format.low, model.input.format.high
    frames = rng.integers(low, high, size=(9, network.input_size))  # saturating too
    plain, found = trace(model, frames), trace(model, frames, Compiled)
    assert plain.keys() == found.keys()
    for edge, values in plain.items():
        np.testing.assert_array_equal(found[edge], values, err_msg=edge)


@pytest.mark.parametrize("implementation", [Plain, Compiled])
def test_a_state_goes_from_stream_to_stream(implementation) -> None:
    network, rng = NETWORKS["skips, blocks of 4"], np.random.default_rng(2)
    model = quantize(network, [random_frames(rng, network)])
    frames = quantize_input(model, random_frames(rng, network, 20))
    whole = run(model, frames)
    first = Stream(model, implementation)
    np.testing.assert_array_equal(first.push(frames[:7]), whole[:7])
    state = first.state
    assert state["l0.x"].shape == (4, 5) and {"l1.c", "l1.h", "l2.c", "l2.x"} < state.keys()
    np.testing.assert_array_equal(state["l0.x"], frames[6:2:-1])
    np.testing.assert_array_equal(state["l1.h"][0], whole[6, 3:])
    second = Stream(model, implementation, state)
    np.testing.assert_array_equal(second.push(frames[7:]), whole[7:])
    second.reset()
    np.testing.assert_array_equal(second.push(frames), whole)
    for wrong, message in (
        ({"l9.h": state["l0.x"]}, "the network does not remember l9.h: it remembers l0.x, "),
        (
            {"l0.x": state["l0.x"][:1]},
            r"the state of l0.x must be int64 \(4, 5\), not int64 \(1, 5\)",
        ),
        ({"l0.x": state["l0.x"] + (1 << 20)}, "the state of l0.x is outside -32768..32767"),
    ):
        with pytest.raises(UserError, match=message):
            second.reset(wrong)


def test_streams_of_such_a_network_do_not_see_each_other() -> None:
    network, rng = NETWORKS["skips, blocks of 4"], np.random.default_rng(4)
    model = quantize(network, [random_frames(rng, network)])
    frames = np.stack([quantize_input(model, random_frames(rng, network, 9)) for _ in range(9)], 1)
    outputs = Streams(model, 9).push(frames)
    for stream in range(9):
        np.testing.assert_array_equal(outputs[:, stream], run(model, frames[:, stream]))


def test_the_input_may_be_read_by_several_layers() -> None:
    rng = np.random.default_rng(5)
    layers = [replace_inputs(random_gru(rng, 4, 3), NETWORK) for _ in range(2)]
    network = Network(tuple(layers), outputs=(Source(1), Source(0), Source(1)))
    model = quantize(network, [random_frames(rng, network)], FINE)
    frames = random_frames(rng, network)
    outputs = run(model, quantize_input(model, frames), Compiled)
    assert outputs.shape == (len(frames), 9)
    np.testing.assert_array_equal(outputs[:, :3], outputs[:, 6:])
    found = dequantize_output(model, outputs)
    np.testing.assert_allclose(found, run_float(network, frames)[0], atol=1e-3)
