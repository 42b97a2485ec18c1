"""The float reference against cells we did not write: torch.nn.LSTM, torch.nn.GRU and ONNX
Runtime's operators.
"""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from ernn.errors import UserError
from ernn.ir.layers import bidirectional as both_ways
from ernn.ir.layers import gru, linear, lstm, reading
from ernn.ir.network import NETWORK, Layer, Matrix, Network, Source
from ernn.ir.reference import initial_state, observe, run, run_all

TOLERANCE = 1e-5
SIZES = st.integers(1, 9)
TIMES = st.integers(1, 12)
SEEDS = st.integers(0, 2**31)


def _lstm(rng, inputs, hidden, projected=0, peepholes=False, states=False) -> Layer:
    outputs = projected or hidden
    return lstm(
        Matrix(rng.normal(size=(4, hidden, inputs))),
        Matrix(rng.normal(size=(4, hidden, outputs))),
        rng.normal(size=(4, hidden)),
        peephole=rng.normal(size=(3, hidden)) if peepholes else None,
        projection=Matrix(rng.normal(size=(1, projected, hidden))) if projected else None,
        initial_output=rng.normal(size=outputs) if states else None,
        initial_cell=rng.normal(size=hidden) if states else None,
    )


def _gru(rng, inputs, hidden, reset="after", states=False) -> Layer:
    return gru(
        Matrix(rng.normal(size=(3, hidden, inputs))),
        Matrix(rng.normal(size=(3, hidden, hidden))),
        rng.normal(size=(3, hidden)),
        rng.normal(size=(3, hidden)),
        reset=reset,
        initial_output=rng.normal(size=hidden) if states else None,
    )


def _linear(rng, inputs, outputs) -> Layer:
    return linear(Matrix(rng.normal(size=(1, outputs, inputs))), rng.normal(size=outputs))


def _weights(layer: Layer) -> tuple[np.ndarray, ...]:
    """Input and recurrent weights (gates, rows, columns) and biases as torch has them."""
    into, back = (layer.matrix("gates", read).value for read in ("x", "h@1"))
    bias = layer.bias("gates")
    if layer.cell.title == "LSTM":
        return into, back, 0.25 * bias, 0.75 * bias
    after = layer.cell.title == "GRU, reset after"
    name, read = ("candidate_input", "h@1") if after else ("candidate", "s")
    into = np.concatenate([into, layer.matrix(name, "x").value])
    back = np.concatenate([back, layer.matrix("candidate", read).value])
    own, other = layer.bias(name), layer.bias("candidate") if after else np.zeros_like(bias[:1])
    return into, back, np.concatenate([bias, own]), np.concatenate([0 * bias, other])


def _set(module: torch.nn.Module, suffix: str, layer: Layer) -> None:
    """Write a layer's weights into one layer and direction of a torch.nn.LSTM or GRU."""
    names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
    values = dict(zip(names, _weights(layer), strict=True))
    if len(layer.weights) == 2:
        values["weight_hr"] = layer.matrix("projection", "m").value
    with torch.no_grad():
        for name, value in values.items():
            parameter = getattr(module, name + suffix)
            parameter.copy_(torch.from_numpy(value).reshape(parameter.shape))


@settings(max_examples=40, deadline=None)
@given(
    SEEDS,
    SIZES,
    SIZES,
    TIMES,
    st.integers(1, 3),
    st.sampled_from(["lstm", "gru"]),
    st.booleans(),
    st.data(),
)
def test_equals_torch(seed, inputs, hidden, time, layers, cell, bidirectional, data):
    rng = np.random.default_rng(seed)
    projected = (
        data.draw(st.integers(1, hidden - 1))
        if cell == "lstm" and hidden > 1 and data.draw(st.booleans())
        else 0
    )
    kind = torch.nn.LSTM if cell == "lstm" else torch.nn.GRU
    options = {"proj_size": projected} if projected else {}
    module = kind(
        inputs, hidden, layers, bidirectional=bidirectional, dtype=torch.float64, **options
    )
    stack, sources, sizes = [], [NETWORK], [inputs]
    for index in range(layers):
        parts, width = [], sum(sizes)
        for suffix in ("", "_reverse") if bidirectional else ("",):
            part = (
                _lstm(rng, width, hidden, projected) if cell == "lstm" else _gru(rng, width, hidden)
            )
            _set(module, f"_l{index}{suffix}", part)
            parts.append(replace(reading(part, sources, sizes), backward=suffix != ""))
        sources = [Source(len(stack) + number) for number in range(len(parts))]
        sizes = [part.output_size for part in parts]
        stack += parts
    frames = rng.normal(size=(time, inputs))
    expected = module(torch.from_numpy(frames))[0].detach().numpy()
    outputs, _ = run(Network(tuple(stack), outputs=tuple(sources)), frames)
    np.testing.assert_allclose(outputs, expected, atol=TOLERANCE)


def _onnx(operator: str, shapes: dict, outputs: int, **attributes) -> onnxruntime.InferenceSession:
    """A model of one recurrent operator, every tensor an input."""
    state = ["initial_h", "initial_c", "P"] if operator == "LSTM" else ["initial_h"]
    order = ["X", "W", "R", "B", "", *state]
    names = [name if name in shapes else "" for name in order]
    node = helper.make_node(
        operator, names, ["Y", *[f"last_{n}" for n in range(outputs)]], **attributes
    )
    given_inputs = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()
    ]
    ranks = {name: 4 if name == "Y" else 3 for name in node.output}
    results = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * r) for n, r in ranks.items()
    ]
    graph = helper.make_graph([node], "cell", given_inputs, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def _run_onnx(
    operator: str, tensors: dict[str, np.ndarray], outputs: int, **attributes
) -> list[np.ndarray]:
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    session = _onnx(
        operator, {name: value.shape for name, value in tensors.items()}, outputs, **attributes
    )
    return [np.asarray(value) for value in session.run(None, tensors)]


def _gates(values: np.ndarray, order: list[int]) -> np.ndarray:
    """(gates, hidden, ...) in ONNX's order of gates, rows joined, behind an axis of one
    direction.
    """
    return values[order].reshape(1, -1, *values.shape[2:])


@settings(max_examples=25, deadline=None)
@given(SEEDS, SIZES, SIZES, TIMES)
def test_lstm_with_peepholes_equals_onnx_runtime(seed, inputs, hidden, time):
    rng = np.random.default_rng(seed)
    layer = _lstm(rng, inputs, hidden, peepholes=True, states=True)
    frames = rng.normal(size=(time, inputs))
    i_o_f_g = [0, 3, 1, 2]
    into, back, *_ = _weights(layer)
    bias = _gates(layer.bias("gates"), i_o_f_g)
    tensors = {
        "X": frames[:, None],
        "W": _gates(into, i_o_f_g),
        "R": _gates(back, i_o_f_g),
        "B": np.concatenate([bias, np.zeros_like(bias)], axis=1),
        "initial_h": layer.initial_value("h")[None, None],
        "initial_c": layer.initial_value("c")[None, None],
        "P": _gates(np.array(layer.vectors), [0, 2, 1]),
    }
    every, last_h, last_c = _run_onnx("LSTM", tensors, 2, hidden_size=hidden)
    outputs, (state,) = run(Network((layer,)), frames)
    np.testing.assert_allclose(outputs, every[:, 0, 0], atol=TOLERANCE)
    np.testing.assert_allclose(state["h"][0], last_h[0, 0], atol=TOLERANCE)
    np.testing.assert_allclose(state["c"][0], last_c[0, 0], atol=TOLERANCE)


@settings(max_examples=25, deadline=None)
@given(SEEDS, SIZES, SIZES, TIMES, st.sampled_from(["before", "after"]))
def test_gru_of_either_reset_equals_onnx_runtime(seed, inputs, hidden, time, reset):
    rng = np.random.default_rng(seed)
    layer = _gru(rng, inputs, hidden, reset, states=True)
    frames = rng.normal(size=(time, inputs))
    z_r_n = [1, 0, 2]
    into, back, bias, back_bias = _weights(layer)
    tensors = {
        "X": frames[:, None],
        "W": _gates(into, z_r_n),
        "R": _gates(back, z_r_n),
        "B": np.concatenate([_gates(bias, z_r_n), _gates(back_bias, z_r_n)], axis=1),
        "initial_h": layer.initial_value("h")[None, None],
    }
    every, last = _run_onnx(
        "GRU", tensors, 1, hidden_size=hidden, linear_before_reset=int(reset == "after")
    )
    outputs, (state,) = run(Network((layer,)), frames)
    np.testing.assert_allclose(outputs, every[:, 0, 0], atol=TOLERANCE)
    np.testing.assert_allclose(state["h"][0], last[0, 0], atol=TOLERANCE)


def _stack(rng, last_step: bool = False) -> Network:
    layers = (
        _lstm(rng, 5, 6, projected=4, peepholes=True, states=True),
        _linear(rng, 4, 3),
        _gru(rng, 3, 5, "before"),
        _gru(rng, 5, 4, "after", states=True),
        _linear(rng, 4, 2),
    )
    return Network(layers, last_step)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_chunks_equal_the_whole(seed, chunks):
    rng = np.random.default_rng(seed)
    network = _stack(rng)
    frames = rng.normal(size=(sum(chunks), 5))
    whole, end = run(network, frames)
    state, parts = initial_state(network), []
    for chunk in np.split(frames, np.cumsum(chunks)[:-1]):
        part, state = run(network, chunk, state)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-12)
    for ours, theirs in zip(state, end, strict=True):
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            np.testing.assert_allclose(values, theirs[name], atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.lists(TIMES, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_many_utterances_equal_one_by_one(seed, lengths, last_step, bidirectional):
    rng = np.random.default_rng(seed)
    both = (
        *both_ways(_gru(rng, 5, 3, states=True), _lstm(rng, 5, 2, states=True), NETWORK),
        reading(_linear(rng, 5, 2), [Source(0), Source(1)], [3, 2]),
    )
    network = Network(both, last_step) if bidirectional else _stack(rng, last_step)
    utterances = [rng.normal(size=(length, 5)) for length in lengths]
    for outputs, frames in zip(run_all(network, utterances), utterances, strict=True):
        assert outputs.shape == (1 if last_step else len(frames), 2)
        np.testing.assert_allclose(outputs, run(network, frames)[0], atol=1e-12)


def test_last_step_is_the_last_row():
    rng = np.random.default_rng(1)
    layers = _stack(rng).layers
    frames = rng.normal(size=(7, 5))
    whole, _ = run(Network(layers), frames)
    last, _ = run(Network(layers, last_step=True), frames)
    np.testing.assert_array_equal(last, whole[-1:])


def _observed(network, utterances) -> dict[str, np.ndarray]:
    seen: dict[str, list[np.ndarray]] = {}
    observe(network, utterances, lambda edge, values: seen.setdefault(edge, []).append(values))
    return {key: np.concatenate(values) for key, values in seen.items()}


def test_every_edge_is_observed_at_every_frame():
    rng = np.random.default_rng(2)
    rows = _observed(_stack(rng), [rng.normal(size=(length, 5)) for length in (3, 7)])
    of_layer = [{edge[3:] for edge in rows if edge.startswith(f"l{i}.")} for i in range(5)]
    inputs = {f"{gate} input" for gate in "ifgot"}
    assert of_layer[0] == {"gates", "projection", *"ifgcotmh", *inputs}
    assert of_layer[1] == of_layer[4] == {"product", "h"}
    inputs = {f"{gate} input" for gate in "rzn"}
    assert of_layer[2] == {"gates", "candidate", *"rzsnh", *inputs}
    assert of_layer[3] == {"gates", "candidate_input", "candidate", *"rzunh", *inputs}
    assert all(len(values) == 10 for values in rows.values())  # 3 + 7 frames, none of the padding
    assert rows["l0.gates"].shape == (10, 4, 6) and rows["l2.gates"].shape == (10, 2, 5)
    assert rows["x"].shape == (10, 5)


def test_observed_edges_satisfy_the_equations():
    rng = np.random.default_rng(2)
    network = _stack(rng)
    rows = _observed(network, rng.normal(size=(7, 5)))
    first, _, _, after, output = network.layers
    projection, into = first.matrix("projection", "m"), after.matrix("candidate_input", "x")
    np.testing.assert_allclose(rows["l0.m"] @ projection.value[0].T, rows["l0.h"], atol=1e-12)
    biased = rows["l4.product"][:, 0] + output.bias("product")[0]
    np.testing.assert_allclose(biased, rows["l4.h"], atol=1e-12)
    candidate = rows["l3.candidate_input"][:, 0]
    np.testing.assert_allclose(candidate, rows["l2.h"] @ into.value[0].T, atol=1e-12)
    np.testing.assert_allclose(np.tanh(rows["l3.n input"]), rows["l3.n"], atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n, x: run(n, x[:, :4]), r"frames must be \(time, 5\), not \(3, 4\)"),
        (lambda n, x: run(n, x, ()), r"the state must hold arrays of shapes"),
        (lambda n, x: run_all(n, []), r"there is no utterance to run"),
        (
            lambda n, x: run(Network(n.layers, last_step=True), x[:0]),
            r"a network that gives its last step's output needs at least one frame",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    rng = np.random.default_rng(4)
    with pytest.raises(UserError, match=message):
        call(_stack(rng), np.zeros((3, 5)))


def test_a_state_is_refused_by_backward_layers():
    rng = np.random.default_rng(5)
    network = Network(both_ways(_gru(rng, 2, 3), _gru(rng, 2, 3), NETWORK))
    _, state = run(network, np.zeros((3, 2)))
    with pytest.raises(UserError, match="a backward layer needs the whole utterance at once"):
        run(network, np.zeros((3, 2)), state)
