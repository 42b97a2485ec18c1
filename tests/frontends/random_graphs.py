"""Random networks as lists of steps, and each of them as an ONNX graph and as a torch module."""

from dataclasses import dataclass

import numpy as np
import onnx
import torch
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional

KINDS = (
    "linear", "relu", "sigmoid", "tanh", "silu", "gru", "lstm", "rnn", "conv", "add", "mul", "cat",
    "slice", "scale", "flip of features", "heads", "softmax", "layer norm", "mean over time",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """An operation on values made before: their places, counted from the input, 0."""

    kind: str
    reads: tuple[int, int]
    size: int


@st.composite
def networks(draw: st.DrawFn) -> list[Step]:
    """One recurrent layer at least, and the last step reads the one before."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=7))
    kinds.insert(draw(st.integers(0, len(kinds))), draw(st.sampled_from(["gru", "lstm"])))
    return [
        Step(kind, (number, draw(st.integers(0, number))), draw(st.integers(2, 6)))
        for number, kind in enumerate(kinds)
    ]


class Module(nn.Module):
    """The steps in torch, batch first."""

    def __init__(self, steps: list[Step], inputs: int) -> None:
        super().__init__()
        self.steps, sizes = steps, [inputs]
        self.parts = nn.ModuleList()
        for step in steps:
            size, other = (sizes[place] for place in step.reads)
            self.parts.append(_part(step, size, other))
            sizes.append(_size(step, size, other))

    def forward(self, x):
        values = [x]
        for step, part in zip(self.steps, self.parts, strict=True):
            a, b = (values[place] for place in step.reads)
            values.append(_torch(step, part, a, b))
        return values[-1]


def _part(step: Step, size: int, other: int) -> nn.Module:
    match step.kind:
        case "linear":
            return nn.Linear(size, step.size)
        case "add" | "mul":
            return nn.Linear(other, size)
        case "gru" | "lstm" | "rnn":
            kind = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}[step.kind]
            return kind(size, step.size, batch_first=True)
        case "conv":
            return nn.Conv1d(size, step.size, 2, dilation=2)
        case "layer norm":
            return nn.LayerNorm(size, eps=0.1)  # less would blow rounding up where all are alike
        case "heads":
            return nn.Linear(size, step.size)
    return nn.Identity()


def _size(step: Step, size: int, other: int) -> int:
    if step.kind in ("linear", "gru", "lstm", "rnn", "conv"):
        return step.size
    if step.kind == "heads":
        return 2 * step.size
    return size + other if step.kind == "cat" else (size + 1) // 2 if step.kind == "slice" else size


def _torch(step: Step, part: nn.Module, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    match step.kind:
        case "gru" | "lstm" | "rnn":
            return part(a)[0]
        case "add":
            return a + part(b)
        case "mul":
            return a * part(b)
        case "cat":
            return torch.cat([b, a], -1)
        case "slice":
            return a[..., ::2]
        case "scale":
            return (a - 0.5) * 0.8
        case "flip of features":
            return a.flip(-1)
        case "conv":
            return part(functional.pad(a.transpose(1, 2), (2, 0))).transpose(1, 2)
        case "heads":
            return part(torch.stack([a, a.flip(-1)], 2)).flatten(2)
        case "softmax":
            return a.softmax(-1)
        case "mean over time":
            return a - a.mean(1, keepdim=True)
        case "relu" | "sigmoid" | "tanh":
            return getattr(torch, step.kind)(a)
        case "silu":
            return functional.silu(a)
    return part(a)


def to_onnx(module: Module, inputs: int) -> onnx.ModelProto:
    """The same in ONNX, of the module's weights."""
    graph = _Graph()
    values = ["x"]
    for step, part in zip(module.steps, module.parts, strict=True):
        a, b = (values[place] for place in step.reads)
        values.append(graph.step(step, part, a, b))
    x = helper.make_tensor_value_info("x", 1, [1, "time", inputs])
    y = helper.make_tensor_value_info(values[-1], 1, None)
    made = helper.make_graph(graph.nodes, "random", [x], [y], graph.weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, kind: str, *reads: str, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, reads, [name], **attributes))
        return name

    def constant(self, values) -> str:
        array = values.detach().numpy() if isinstance(values, torch.Tensor) else np.array(values)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        self.weights.append(numpy_helper.from_array(array, f"c{len(self.weights)}"))
        return self.weights[-1].name

    def linear(self, part: nn.Module, x: str) -> str:
        product = self.node("MatMul", x, self.constant(part.weight.T))
        return self.node("Add", product, self.constant(part.bias))

    def recurrent(self, kind: str, part: nn.Module, x: str) -> str:
        order = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2), "rnn": (0,)}[kind]
        hidden = part.hidden_size

        def turned(name: str) -> torch.Tensor:
            whole = getattr(part, name).reshape(len(order), hidden, -1)
            return whole[list(order)].reshape(1, len(order) * hidden, -1)

        bias = torch.cat([turned("bias_ih_l0")[..., 0], turned("bias_hh_l0")[..., 0]], 1)
        weights = (turned("weight_ih_l0"), turned("weight_hh_l0"), bias)
        options = {"linear_before_reset": 1} if kind == "gru" else {}
        first = self.node("Transpose", x, perm=[1, 0, 2])
        read = [first, *(self.constant(one) for one in weights)]
        made = self.node(kind.upper(), *read, hidden_size=hidden, **options)
        joined = self.node("Squeeze", made, self.constant([1]))
        return self.node("Transpose", joined, perm=[1, 0, 2])

    def step(self, step: Step, part: nn.Module, a: str, b: str) -> str:
        match step.kind:
            case "linear":
                return self.linear(part, a)
            case "gru" | "lstm" | "rnn":
                return self.recurrent(step.kind, part, a)
            case "add" | "mul":
                return self.node(step.kind.title(), a, self.linear(part, b))
            case "cat":
                return self.node("Concat", b, a, axis=-1)
            case "slice":
                ends = ([0], [2**31], [2], [2])
                return self.node("Slice", a, *(self.constant(one) for one in ends))
            case "flip of features":
                return self._flipped(a)
            case "scale":
                lower = self.node("Sub", a, self.constant(0.5))
                return self.node("Mul", lower, self.constant(0.8))
            case "conv":
                return self._convolution(part, a)
            case "heads":
                axis = self.constant([2])
                both = (self.node("Unsqueeze", one, axis) for one in (a, self._flipped(a)))
                made = self.linear(part, self.node("Concat", *both, axis=2))
                return self.node("Reshape", made, self.constant([0, 0, -1]))
            case "softmax":
                return self.node("Softmax", a, axis=-1)
            case "layer norm":
                given = (self.constant(one) for one in (part.weight, part.bias))
                return self.node("LayerNormalization", a, *given, epsilon=part.eps)
            case "mean over time":
                return self.node("Sub", a, self.node("ReduceMean", a, self.constant([1])))
            case "silu":
                return self.node("Mul", a, self.node("Sigmoid", a))
        return self.node(step.kind.title(), a)

    def _flipped(self, a: str) -> str:
        ends = ([-1], [-(2**31)], [2], [-1])
        return self.node("Slice", a, *(self.constant(one) for one in ends))

    def _convolution(self, part: nn.Module, a: str) -> str:
        turned = self.node("Transpose", a, perm=[0, 2, 1])
        padded = self.node("Pad", turned, self.constant([0, 0, 2, 0, 0, 0]))
        read = (self.constant(one) for one in (part.weight, part.bias))
        return self.node(
            "Transpose", self.node("Conv", padded, *read, dilations=[2]), perm=[0, 2, 1]
        )
