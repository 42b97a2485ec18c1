"""ONNX's operators on labels: which signal comes of which, or that only the host knows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from ernn.frontends import onnx_recurrent
from ernn.frontends.functions import Functions, Two
from ernn.frontends.graph import Vector
from ernn.frontends.linear import convolution, over_axes
from ernn.frontends.recorder import OnHost, Recorder
from ernn.ir.network import Layer

Array = np.ndarray

VIEWS = frozenset({
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Gather", "Concat", "Split", "Expand",
    "Pad", "Flatten", "Tile", "Identity", "GatherElements", "GatherND", "DepthToSpace",
    "SpaceToDepth", "ReverseSequence",
})  # fmt: skip
"""Operators that only move elements: done on labels as they are on numbers."""


class Operators:
    """One node at a time, on what it reads: labels of tensors, and constants."""

    def __init__(self, recorder: Recorder, opsets: Sequence[onnx.OperatorSetIdProto]) -> None:
        self.recorder = recorder
        self.functions = Functions(recorder)
        self.opsets = opsets
        self.grounded: Callable[[Array, int], Array] | None = None
        """A tensor that is read is taken from the host, time along an axis."""

    def evaluate(self, node: onnx.NodeProto, given: Sequence[Array | None]) -> list[Array]:
        """A node on arrays, by onnx's reference."""
        names = [name for name, one in zip(node.input, given, strict=True) if one is not None]
        arrays = [one for one in given if one is not None]
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(one.dtype), None)
            for name, one in dict(zip(names, arrays, strict=True)).items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "one", inputs, outputs)
        model = helper.make_model(graph, opset_imports=self.opsets)
        found = iter(ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True))))
        return [np.asarray(next(found)) if name else np.zeros(0) for name in node.output]

    def record(
        self,
        node: onnx.NodeProto,
        labels: Sequence[Array | None],
        constants: Sequence[Array | None],
    ) -> list[Array]:
        """Labels of a node's results. Raises OnHost.

        labels, constants: of what it reads, each in its place; None where it is the other, or left
            out.
        """
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        kind = node.op_type
        if node.domain not in ("", "ai.onnx"):
            raise OnHost(f"is of the domain {node.domain}")
        if kind in VIEWS:
            return self._view(node, attributes, labels, constants)
        if kind in ("LSTM", "GRU", "RNN"):
            return self._recurrent(kind, attributes, labels, constants)
        made = self._computed(kind, attributes, labels, constants)
        if made is None:
            raise OnHost("has no form that gives a frame for a frame" if _known(kind) else "")
        return [made]

    def _view(
        self,
        node: onnx.NodeProto,
        attributes: Mapping[str, Any],
        labels: Sequence[Array | None],
        constants: Sequence[Array | None],
    ) -> list[Array]:
        given = [c if x is None else x for x, c in zip(labels, constants, strict=True)]
        if node.op_type == "Concat":
            given = [
                x if x is not None else _zeros(c) for x, c in zip(labels, constants, strict=True)
            ]
        elif any(x is not None for x in labels[1:]):
            raise OnHost("is steered by what is computed")
        elif labels[0] is None:
            raise OnHost("looks up a table")
        if node.op_type == "Pad":
            value = constants[2] if len(constants) > 2 else None
            if attributes.get("mode", b"constant") == b"constant":
                if value is not None and value.any():
                    raise OnHost("pads with a number that is not zero")
                return self._padded(node, given)
        return self.evaluate(node, given)

    def _padded(self, node: onnx.NodeProto, given: Sequence[Array | None]) -> list[Array]:
        """Zeros are labels of -1, as pads are after they are moved by one."""
        assert given[0] is not None
        moved: list[Array | None] = [given[0] + 1, given[1], np.array(0, np.int64), *given[3:]]
        while len(moved) > len(node.input):
            moved.pop()
        if len(moved) > 2 and not node.input[2]:
            moved[2] = None
        return [one - 1 for one in self.evaluate(node, moved)]

    def _computed(
        self,
        kind: str,
        attributes: Mapping[str, Any],
        labels: Sequence[Array | None],
        constants: Sequence[Array | None],
    ) -> Array | None:
        f, x = self.functions, labels[0] if labels else None
        match kind:
            case "MatMul":
                return self._matmul(labels, constants)
            case "Gemm":
                return self._gemm(attributes, labels, constants)
            case "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Sum" if len(labels) > 1:
                return self._several(kind, labels, constants)
            case "Relu":
                return f.apply(x, "relu")
            case "Sigmoid":
                return f.apply(x, "sigmoid")
            case "Tanh":
                return f.apply(x, "tanh")
            case "Softplus":
                return f.apply(x, "softplus")
            case "Neg":
                return f.affine(x, -1, 0)
            case "Abs":
                return f.sum(f.apply(x, "relu"), f.apply(f.affine(x, -1, 0), "relu"))
            case "HardSigmoid":
                alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
                return f.hard_sigmoid(x, _exact(alpha), _exact(beta))
            case "HardSwish":
                return f.times(x, f.apply(x, "hard_sigmoid"))
            case "Swish" if attributes.get("alpha", 1.0) == 1.0:
                return f.apply(x, "silu")
            case "Mish":
                return f.times(x, f.apply(f.apply(x, "softplus"), "tanh"))
            case "Gelu" if attributes.get("approximate", b"none") == b"none":
                return f.apply(x, "gelu")
            case "LeakyRelu":
                return f.leaky(x, attributes.get("alpha", 0.01))
            case "PRelu" if constants[1] is not None:
                return f.leaky(x, constants[1])
            case "Clip":
                return self._clip(attributes, x, constants)
            case "Pow" if constants[1] is not None and constants[1].size == 1:
                power = float(constants[1].ravel()[0])
                return f.times(x, x) if power == 2 else x if power == 1 else None
            case "Dropout" | "Cast" | "CastLike":
                return x if kind == "Dropout" or attributes.get("to", 1) in _FLOATS else None
            case "BatchNormalization":
                return self._batch_norm(attributes, x, constants)
            case "Conv":
                return self._convolution(attributes, x, constants)
            case "ReduceMean" | "ReduceSum" | "GlobalAveragePool":
                return self._reduced(kind, attributes, x, constants)
        return None

    def _matmul(
        self, labels: Sequence[Array | None], constants: Sequence[Array | None]
    ) -> Array | None:
        (x, other), (first, weight) = labels, constants
        if x is not None and weight is not None and weight.ndim == 2:
            return self.recorder.product(x, weight.T, None)
        if other is not None and first is not None and first.ndim == 2 and other.ndim > 1:
            made = self.recorder.product(np.swapaxes(other, -1, -2), first, None)
            return None if made is None else np.swapaxes(made, -1, -2)
        raise OnHost("multiplies two signals as matrices")

    def _gemm(
        self,
        attributes: Mapping[str, Any],
        labels: Sequence[Array | None],
        constants: Sequence[Array | None],
    ) -> Array | None:
        x, weight = labels[0], constants[1]
        if x is None or weight is None:
            raise OnHost("multiplies two signals as matrices")
        x = x.T if attributes.get("transA") else x
        weight = weight if attributes.get("transB") else weight.T
        made = self.recorder.product(x, attributes.get("alpha", 1.0) * weight, None)
        if len(constants) > 2 and (labels[2] is not None or constants[2] is not None):
            shift = None if constants[2] is None else attributes.get("beta", 1.0) * constants[2]
            if shift is None:
                return self.functions.sum(
                    made, self.functions.affine(labels[2], attributes.get("beta", 1.0), 0)
                )
            return self.functions.affine(made, 1, shift)
        return made

    def _several(
        self, kind: str, labels: Sequence[Array | None], constants: Sequence[Array | None]
    ) -> Array | None:
        """Two operands or more, one after another."""
        x, c = labels[0], constants[0]
        for y, d in zip(labels[1:], constants[1:], strict=True):
            x, c = self.functions.two(_TWO[kind], x, c, y, d), None
        return x

    def _clip(
        self, attributes: Mapping[str, Any], x: Array | None, constants: Sequence[Array | None]
    ) -> Array | None:
        given = [*constants[1:], None, None][:2]
        ends = [
            default if one is None else float(one)
            for one, default in zip(
                given,
                (attributes.get("min", -np.inf), attributes.get("max", np.inf)),
                strict=True,
            )
        ]
        return self.functions.clip(x, *ends)

    def _batch_norm(
        self, attributes: Mapping[str, Any], x: Array | None, constants: Sequence[Array | None]
    ) -> Array | None:
        scale, shift, mean, variance = constants[1:5]
        if scale is None or shift is None or attributes.get("training_mode"):
            return None
        epsilon = attributes.get("epsilon", 1e-5)
        return self.functions.batch_norm(x, scale, shift, mean, variance, epsilon)

    def _convolution(
        self, attributes: Mapping[str, Any], x: Array | None, constants: Sequence[Array | None]
    ) -> Array | None:
        weight = constants[1]
        if x is None or weight is None:
            return None
        space = x.ndim - 2
        strides = attributes.get("strides", [1] * space)
        dilations = attributes.get("dilations", [1] * space)
        sizes = [d * (k - 1) + 1 for d, k in zip(dilations, weight.shape[2:], strict=True)]
        pads = _pads(attributes, x.shape[2:], strides, sizes)
        bias = constants[2] if len(constants) > 2 else None
        return convolution(
            self.recorder, x, weight, bias, pads, strides, dilations, attributes.get("group", 1)
        )

    def _reduced(
        self,
        kind: str,
        attributes: Mapping[str, Any],
        x: Array | None,
        constants: Sequence[Array | None],
    ) -> Array | None:
        if x is None:
            return None
        if kind == "GlobalAveragePool":
            return over_axes(self.recorder, x, range(2, x.ndim), True, True)
        given = constants[1] if len(constants) > 1 else attributes.get("axes")
        if given is None and attributes.get("noop_with_empty_axes"):
            return x
        axes = range(x.ndim) if given is None else [int(axis) for axis in given]
        keep = bool(attributes.get("keepdims", 1))
        return over_axes(self.recorder, x, axes, kind == "ReduceMean", keep)

    def _recurrent(
        self,
        kind: str,
        attributes: Mapping[str, Any],
        labels: Sequence[Array | None],
        constants: Sequence[Array | None],
    ) -> list[Array]:
        batch_first = bool(attributes.get("layout"))
        x, *starts = (_turned(_at(labels, place), batch_first) for place in (0, 5, 6))
        constant = [_turned(_at(constants, place), batch_first) for place in (5, 6)]
        arrays = [_at(constants, place) for place in (1, 2, 3, 7)]
        if x is None or arrays[0] is None or arrays[1] is None:
            raise OnHost("has weights that are computed")
        if _at(constants, 4) is not None or _at(labels, 4) is not None:
            raise OnHost("is given the lengths of its sequences")
        if why := onnx_recurrent.refusal(kind, attributes):
            raise OnHost(why)
        found, last = [], []
        for index in range(len(arrays[0])):
            layer = onnx_recurrent.layer(kind, attributes, arrays, index)
            backward = attributes.get("direction") == b"reverse" or index == 1
            names = ("h", "c")[: 2 if kind == "LSTM" else 1]
            known, states = self._starts(names, starts, constant, index)
            initial = tuple(known.get(name) for name in layer.cell.remembered)
            layer = replace(layer, backward=backward, initial=initial)
            found.append(self._run(x, layer, states, names[1:]))
            last.append(0 if backward else -1)
        every = np.stack([one[0] for one in found], axis=1)
        ends = [
            np.stack([one[at] for one, at in zip(way, last, strict=True)])
            for way in zip(*found, strict=True)
        ]
        if batch_first:
            return [every.transpose(2, 0, 1, 3), *(np.swapaxes(one, 0, 1) for one in ends)]
        return [every, *ends]

    def _starts(
        self,
        names: Sequence[str],
        labels: Sequence[Array | None],
        constants: Sequence[Array | None],
        index: int,
    ) -> tuple[dict[str, Array | None], list[tuple[str, Vector]]]:
        """Initial states of one direction by name: constants, and those that come from outside."""
        known, given = {}, []
        for name, start, constant in zip(names, labels, constants, strict=False):
            if constant is not None:
                known[name] = _one_state(constant[index])
            elif start is not None:
                begun = self.recorder.state(start[index])
                if begun is None:
                    raise OnHost("begins with a state that is no input of the network")
                given.append((name, begun))
        return known, given

    def _run(
        self, x: Array, layer: Layer, states: Sequence[tuple[str, Vector]], others: Sequence[str]
    ) -> list[Array]:
        """A layer over (time, batch, values), from the host if its frames are seen nowhere."""
        made = self.recorder.recurrent(x, layer, states, others)
        if made is None and self.grounded is not None and x.shape[0] > 1 == x.shape[1]:
            made = self.recorder.recurrent(self.grounded(x, 0), layer, states, others)
        if made is None:
            raise OnHost("does not run along the time of the frames")
        return made


_FLOATS = (1, 10, 11, 16)
_TWO: Mapping[str, Two] = {
    "Add": "add", "Sum": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Max": "max", "Min": "min"
}  # fmt: skip


def _known(kind: str) -> bool:
    return kind in ("MatMul", "Gemm", "Conv", "ReduceMean", "ReduceSum", "Add", "Mul", "Sub")


def _at(items: Sequence[Array | None], place: int) -> Array | None:
    return items[place] if place < len(items) else None


def _exact(value: float) -> float:
    """A number that the file rounded to float32: 1/6 is meant, not 0.16666667."""
    return 1 / 6 if abs(value - 1 / 6) < 1e-7 else value


def _turned(array: Array | None, batch_first: bool) -> Array | None:
    """Axes 0 and 1 exchanged, where the batch comes first."""
    return np.swapaxes(array, 0, 1) if batch_first and array is not None else array


def _zeros(constant: Array | None) -> Array:
    if constant is None or constant.any():
        raise OnHost("joins numbers that are not zero to a signal")
    return np.full(constant.shape, -1, np.int64)


def _one_state(rows: Array) -> Array | None:
    """The state of all sequences of a batch; None where it is zero."""
    if not (rows == rows[0]).all():
        raise OnHost("starts each sequence of the batch from another state")
    return rows[0].astype(float) if rows[0].any() else None


def _pads(
    attributes: Mapping[str, Any],
    shape: Sequence[int],
    strides: Sequence[int],
    sizes: Sequence[int],
) -> list[tuple[int, int]]:
    """Zeros before and after each axis, of kernels that reach over `sizes`."""
    way = attributes.get("auto_pad", b"NOTSET").decode()
    if way in ("NOTSET", "VALID"):
        flat = (
            attributes.get("pads", [0] * 2 * len(shape))
            if way == "NOTSET"
            else [0] * 2 * len(shape)
        )
        return list(zip(flat[: len(shape)], flat[len(shape) :], strict=True))
    found = []
    for length, stride, size in zip(shape, strides, sizes, strict=True):
        total = max(0, (-(-length // stride) - 1) * stride + size - length)
        small = total // 2
        found.append((small, total - small) if way == "SAME_UPPER" else (total - small, small))
    return found
