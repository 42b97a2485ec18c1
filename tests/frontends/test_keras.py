"""Keras's own LSTM and GRU against ONNX graphs as exporters write them, from Keras's arrays.

Orders of gates and biases: keras.layers.LSTM (i, f, c, o) and GRU (z, r, h); tf2onnx's rewriters.
"""

import os

import numpy as np
import pytest
from onnx import helper, numpy_helper

os.environ["KERAS_BACKEND"] = "torch"  # Keras chooses when it is imported
import keras

from ernn.frontends.onnx import import_onnx
from ernn.ir.reference import run

INPUTS, UNITS, FRAMES = 5, 4, 9


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


LAYERS = {
    "LSTM": (keras.layers.LSTM, {}),
    "GRU": (keras.layers.GRU, {}),
    "GRU, reset_after=False": (keras.layers.GRU, {"reset_after": False}),
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_gate_order_and_reset(name: str, last: bool) -> None:
    rng = np.random.default_rng(0)
    kind, options = LAYERS[name]
    layer = kind(UNITS, return_sequences=not last, **options)
    layer.build((None, FRAMES, INPUTS))
    layer.set_weights([0.5 * rng.normal(size=one.shape) for one in layer.get_weights()])
    x = rng.normal(size=(FRAMES, INPUTS))
    expected = np.asarray(layer(x[None].astype(np.float32)).detach())[0]
    kernel, recurrent, bias = layer.get_weights()
    into, back = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    order = (0, 3, 1, 2) if name == "LSTM" else (0, 1, 2)
    attributes = {"linear_before_reset": 1} if name == "GRU" else {}
    model = exported(name[:4].rstrip(","), kernel, recurrent, into, back, order, last, **attributes)
    network = import_onnx(model, x).network
    np.testing.assert_allclose(run(network, x)[0].reshape(expected.shape), expected, atol=1e-5)
    assert network.last_step == last
