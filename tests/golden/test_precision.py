"""What a quantization says of itself: errors edge by edge, states that saturate, inputs clipped."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import ernn
from ernn.cli.console import warnings_in_lines
from ernn.errors import PrecisionWarning
from ernn.golden import dequantize_output, precision, quantize_input, run, trace
from ernn.golden.compiled import Compiled
from ernn.golden.faults import with_upsets
from ernn.golden.headroom import saturating_states
from ernn.ir import cells, reference, serialization
from ernn.ir.activations import Function
from ernn.ir.cell import Cell
from ernn.ir.layers import lstm
from ernn.ir.network import Layer, Matrix, Network
from ernn.ir.precision import MOST_DECIBELS, Error
from ernn.ir.structure import Dense
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import random_network
from tests.networks import any_network


def climbing() -> Network:
    """An LSTM of one unit whose cell adds up its input for as long as that lasts."""
    inputs, recurrent = np.zeros((4, 1, 1)), np.zeros((4, 1, 1))
    inputs[2] = 1.0  # g, the candidate
    gates = np.array([[8.0], [8.0], [0.0], [8.0]])  # i, f and o are open
    dense = Dense()
    return Network((lstm(Matrix(inputs, dense), Matrix(recurrent, dense), gates),))


def climb(frames: int) -> np.ndarray:
    return np.concatenate([np.full((frames, 1), 0.5), np.full((frames, 1), -0.5)])


def test_a_state_that_saturates_is_said() -> None:
    network = climbing()
    model = quantize(network, [climb(10)])
    assert precision(network, model, [climb(10)]).concern() == ""
    error = precision(network, model, [climb(300)])
    assert error.saturating == ("l0.c",) and len(error.over_time) == 300
    assert "states at the ends of their formats: l0.c (" in error.concern()
    shares = saturating_states(model, [quantize_input(model, climb(300))])
    assert [edge for edge, _ in shares] == ["l0.c"] and 0.5 < shares[0][1] < 1
    with pytest.warns(PrecisionWarning, match=r"l0\.c .* choose formats with frames that reach"):
        ernn.convert(network, [climb(10)], held_out=[climb(300)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ernn.convert(network, [climb(30)] * 2)


def elman(function: Function, weight: float, initial: float = 0.0) -> Network:
    """A unit that reads its input, and itself."""
    (stage,) = cells.RNN.stages
    (step,) = stage.steps
    cell = Cell("test", (replace(stage, steps=(replace(step, activation=function),)),))
    weights = ((Matrix(np.ones((1, 1, 1))), Matrix(np.full((1, 1, 1), weight))),)
    layer = Layer(cell, weights, (np.zeros((1, 1)),), initial=(np.array([initial]),))
    return Network((layer,))


@pytest.mark.parametrize("function", ["relu", "softplus", "silu", "gelu"])
def test_a_state_behind_an_unbounded_function_is_said_too(function: Function) -> None:
    """Such a table's values were taken for ones that never saturate, as a sigmoid's."""
    network = elman(function, 1.0)
    model = quantize(network, [climb(10)])
    assert precision(network, model, [climb(5)]).saturating == ()
    assert precision(network, model, [climb(300)]).saturating == ("l0.h",)


@pytest.mark.parametrize("function", ["tanh", "sigmoid", "silu"])
def test_what_a_table_gives_begins_where_the_network_does(function: Function) -> None:
    """A state before the first frame that the function never reaches was clipped."""
    network = elman(function, 0.1, initial=5.0)
    model = quantize(network, [climb(10)])
    assert precision(network, model, [climb(10)]).rms < 1e-3


@pytest.mark.parametrize("function", ["softplus", "silu", "gelu"])
def test_a_table_that_reads_far_is_as_fine_as_one_that_does_not(function: Function) -> None:
    """Its 256 segments were spread over all that it reads, half a unit each."""
    network = elman(function, 0.1)
    frames = [40 * np.random.default_rng(0).normal(size=(200, 1)) ** 3 / 15 for _ in range(2)]
    model = quantize(network, frames)
    assert (table := model.table(function)) is not None and table.segment_bits > 8
    assert precision(network, model, frames).rms < 3e-4


def test_inputs_beyond_calibration_are_counted() -> None:
    model = ernn.convert(climbing(), [climb(10)])
    loud = climb(10) * [[1.0]] + np.eye(1, 20, 3).T * 40
    with pytest.warns(PrecisionWarning, match=r"^1 of 20 input values .* as far as 40.5 times"):
        model.predict(loud)
    with pytest.warns(PrecisionWarning, match="^2 of 40 input values"):
        model.quantized([loud, loud])


def test_a_warning_is_a_line_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings_in_lines():
        ernn.convert(climbing(), [climb(10)]).predict(climb(10) * 100)
    assert capsys.readouterr().err.startswith("ernn: warning: 20 of 20 input values lie beyond")


def test_the_limit_is_the_callers() -> None:
    speech = [np.random.default_rng(0).normal(size=(40, 4)) for _ in range(5)]
    few, module = QuantizeSpec(6, 8), torch.nn.GRU(4, 8, batch_first=True)
    with pytest.warns(PrecisionWarning, match=r"rms off the floats, more than 1\.00%, most at l0"):
        ernn.convert(module, speech, spec=few)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ernn.convert(module, speech, spec=few, limit=0.5)
    assert model.integers.error == model.error(speech[-1:])


@pytest.mark.parametrize("seed", range(6))
def test_errors_are_those_of_the_edges(seed: int) -> None:
    """Against the outputs alone, and with every edge of the trace that the floats have, too."""
    network = any_network(seed, 4)
    rng = np.random.default_rng(seed)
    frames = [rng.normal(size=(30, network.input_size)) for _ in range(3)]
    model = quantize(network, frames, QuantizeSpec(18, 18))
    error = precision(network, model, frames)
    floats = np.concatenate([reference.run(network, one)[0] for one in frames])
    integers = [run(model, quantize_input(model, one), Compiled) for one in frames]
    apart = dequantize_output(model, np.concatenate(integers)) - floats
    assert error.rms == pytest.approx(np.linalg.norm(apart) / np.linalg.norm(floats))
    assert error.largest == pytest.approx(np.abs(apart).max()) and error.frames == 90
    assert {edge.edge for edge in error.edges} == set(
        trace(model, quantize_input(model, frames[0]))
    )
    assert error.worst is not None and all(e.rms <= error.worst.rms for e in error.edges)
    assert all(edge.rms < 0.1 for edge in error.edges)


@pytest.mark.parametrize("last_step", [False, True])
def test_both_directions_are_compared_in_the_order_of_the_frames(last_step: bool) -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng, bidirectional=True, hidden=8, layers=2)
    network = replace(network, last_step=last_step)
    frames = [rng.normal(size=(20, network.input_size)) for _ in range(2)]
    error = precision(network, quantize(network, frames), frames)
    assert error.frames == (2 if last_step else 40) and error.rms < 0.01
    assert all(edge.rms < 0.01 for edge in error.edges) and len(error.over_time) == 20


def test_a_file_carries_its_error_and_an_upset_takes_it_away(tmp_path: object) -> None:
    speech = [np.random.default_rng(0).normal(size=(40, 4)) for _ in range(5)]
    model = ernn.convert(torch.nn.GRU(4, 8, batch_first=True), speech)
    kept = ernn.Model.load(model.save(f"{tmp_path}/model.safetensors")).integers
    assert kept.error == model.integers.error and kept.error is not None
    assert serialization.digest(kept) == serialization.digest(model.integers)
    assert with_upsets(kept, 1, seed=0).error is None


def test_equal_is_said_in_decibels_that_are_a_number() -> None:
    assert Error(0.0, 0.0, 1).snr == MOST_DECIBELS and Error(0.01, 0.0, 1).snr == 40
