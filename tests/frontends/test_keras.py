"""Keras's LSTM and GRU: their equations in NumPy, and ONNX graphs as exporters write them.

Orders of gates and biases: keras.layers.LSTM (i, f, c, o) and GRU (z, r, h); tf2onnx's rewriters.
"""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from ernn.frontends.onnx import import_onnx
from ernn.ir.reference import run

INPUTS, UNITS, FRAMES = 5, 4, 9


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, recurrent, bias):
    """keras.layers.LSTM(return_sequences=True), as its cell computes it."""
    h = c = np.zeros(UNITS)
    outputs = []
    for frame in x:
        z = frame @ kernel + h @ recurrent + bias
        i, f, g, o = np.split(z, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


def gru(x, kernel, recurrent, bias, reset_after):
    """keras.layers.GRU(return_sequences=True), as its cell computes it."""
    h, outputs = np.zeros(UNITS), []
    into, back = bias if reset_after else (bias, np.zeros(3 * UNITS))
    for frame in x:
        x_z, x_r, x_h = np.split(frame @ kernel + into, 3)
        r_z, r_r, r_h = np.split(h @ recurrent + back, 3)
        z, r = sigmoid(x_z + r_z), sigmoid(x_r + r_r)
        inner = r * r_h if reset_after else (r * h) @ recurrent[:, 2 * UNITS :]
        h = z * h + (1 - z) * np.tanh(x_h + inner)
        outputs.append(h)
    return np.array(outputs)


def exported(kind, kernel, recurrent, into, back, order, last, **attributes):
    """What an exporter makes of a layer's arrays: gates in ONNX's order, time first inside."""

    def turned(array):
        gates = np.split(array.T, len(order), axis=0)
        return np.concatenate([gates[one] for one in order])[None].astype(np.float32)

    bias = np.concatenate([turned(one[None])[0].ravel() for one in (into, back)])[None]
    arrays = {"W": turned(kernel), "R": turned(recurrent), "B": bias, "one": np.array([1])}
    arrays["zero"] = np.array([0])
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node(kind, ["t", "W", "R", "B"], ["Y", "h"], hidden_size=UNITS, **attributes),
    ]
    if last:
        nodes.append(helper.make_node("Squeeze", ["h", "zero"], ["y"]))
    else:
        nodes.append(helper.make_node("Squeeze", ["Y", "one"], ["s"]))
        nodes.append(helper.make_node("Transpose", ["s"], ["y"], perm=[1, 0, 2]))
    given = [helper.make_tensor_value_info("x", 1, ["n", "steps", INPUTS])]
    results = [helper.make_tensor_value_info("y", 1, None)]
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "keras", given, results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "GRU, reset_after=False"])
def test_gate_order_and_reset(name: str, last: bool) -> None:
    rng = np.random.default_rng(0)
    gates = 4 if name == "LSTM" else 3
    kernel, recurrent = (rng.normal(size=(rows, gates * UNITS)) * 0.5 for rows in (INPUTS, UNITS))
    bias, zero = rng.normal(size=(2, gates * UNITS)), np.zeros(gates * UNITS)
    x = rng.normal(size=(FRAMES, INPUTS))
    match name:
        case "LSTM":
            expected = lstm(x, kernel, recurrent, bias[0])
            model = exported("LSTM", kernel, recurrent, bias[0], zero, (0, 3, 1, 2), last)
        case "GRU":
            expected = gru(x, kernel, recurrent, bias, True)
            order, options = (0, 1, 2), {"linear_before_reset": 1}
            model = exported("GRU", kernel, recurrent, *bias, order, last, **options)
        case _:
            expected = gru(x, kernel, recurrent, bias[0], False)
            model = exported("GRU", kernel, recurrent, bias[0], zero, (0, 1, 2), last)
    network = import_onnx(model, x).network
    ours = run(network, x)[0]
    np.testing.assert_allclose(ours, expected[-1:] if last else expected, atol=1e-5)
    assert network.last_step == last
