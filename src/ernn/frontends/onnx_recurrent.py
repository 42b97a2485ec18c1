"""ONNX's LSTM, GRU and RNN as layers: gates put into torch's order, biases joined.

ONNX has i, o, f, c of an LSTM, its peepholes i, o, f, and z, r, h of a GRU.
https://onnx.ai/onnx/operators/
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ernn.ir.activations import BOUNDED, Function
from ernn.ir.cell import CellStep
from ernn.ir.cells import RNN
from ernn.ir.layers import gru, lstm
from ernn.ir.network import Layer, Matrix

Array = np.ndarray

_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_PEEPHOLES = (0, 2, 1)
_USUAL = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
_FUNCTIONS: Mapping[str, Function] = {
    "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "softplus": "softplus"
}  # fmt: skip


def refusal(kind: str, attributes: Mapping[str, Any]) -> str:
    """Why the host must compute it; empty where it need not."""
    if attributes.get("clip") is not None:
        return "clips what its functions are taken of"
    if attributes.get("input_forget"):
        return "couples input and forget gates"
    names = _names(attributes)
    count = len(_USUAL[kind])
    if len({tuple(names[at : at + count]) for at in range(0, len(names), count)}) > 1:
        return "has other functions backward than forward"
    own = names[:count] or _USUAL[kind]
    if any(name not in _FUNCTIONS for name in own) or (
        kind == "LSTM" and own[1] != own[2] and own != _USUAL[kind]
    ):
        return f"has the functions {', '.join(own)}"
    return ""


def _names(attributes: Mapping[str, Any]) -> list[str]:
    return [one.decode().lower() for one in attributes.get("activations", [])]


def layer(
    kind: str, attributes: Mapping[str, Any], arrays: Sequence[Array | None], direction: int
) -> Layer:
    """One direction of an ONNX layer.

    arrays: W, R, B and P as ONNX has them.
    """
    into, back, bias, peephole = (
        None if a is None else np.asarray(a[direction], float) for a in arrays
    )
    assert into is not None and back is not None
    order = list(_ORDER[kind])
    gates = len(order)
    w, r = (one.reshape(gates, -1, one.shape[1])[order] for one in (into, back))
    b = np.zeros((2, gates, w.shape[1])) if bias is None else bias.reshape(2, gates, -1)[:, order]
    if kind == "LSTM":
        p = None if peephole is None else peephole.reshape(3, -1)[list(_PEEPHOLES)]
        made = lstm(Matrix(w), Matrix(r), b[0] + b[1], peephole=p)
    elif kind == "GRU":
        reset = "after" if attributes.get("linear_before_reset") else "before"
        made = gru(Matrix(w), Matrix(r), b[0], b[1], reset=reset)
    else:
        made = Layer(RNN, ((Matrix(w), Matrix(r)),), (b[0] + b[1],))
    names = _names(attributes)[: len(_USUAL[kind])]
    return _with_functions(made, dict(zip(_USUAL[kind], names, strict=False)))


def _with_functions(made: Layer, functions: Mapping[str, str]) -> Layer:
    """The layer with other functions in the place of its own."""
    stages = tuple(
        replace(stage, steps=tuple(_step(step, functions) for step in stage.steps))
        for stage in made.cell.stages
    )
    return replace(made, cell=replace(made.cell, stages=stages))


def _step(step: CellStep, functions: Mapping[str, str]) -> CellStep:
    own = step.activation and _FUNCTIONS[functions.get(step.activation, step.activation)]
    bounded = step.bounded and all(one in BOUNDED for one in functions.values())
    return replace(step, activation=own, bounded=bounded)
