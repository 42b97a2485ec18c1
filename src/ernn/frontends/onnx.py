"""An ONNX file to a network and what stays on the host."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from math import sqrt
from typing import Any

import numpy as np
from onnx import NodeProto, ValueInfoProto, helper

from ernn.errors import UserError, one_line
from ernn.frontends.check import checked
from ernn.frontends.imported import Imported, Traced, finished
from ernn.frontends.inputs import Axes, Inputs, ways
from ernn.frontends.onnx_operators import VIEWS, Operators
from ernn.frontends.onnx_program import OnnxProgram
from ernn.frontends.recorder import OnHost, Recorder

Array = np.ndarray

_EXAMPLE = 8  # frames that labels are made for


def import_onnx(source: Any, frames: Array, **given: Array) -> Imported:
    """The network in an ONNX file.

    source: path of the file, or the model.  frames: an example (time, ...) of the first input, of
    one sequence, without its axis of the batch.  given: other inputs by name, what they always are.
    Inputs that are left out begin with zeros.

    The import checks itself: file and network run on random frames, at two lengths. Raises
    UserError where they differ, where nothing of the network streams, and where the file is none.
    """
    program = OnnxProgram.load(source)
    if not frames.size:
        raise UserError(f"an example needs a frame, not {frames.shape}")
    if not program.inputs:
        raise UserError("the network has no input")
    first, *others = program.inputs
    dims = _dims(first)
    rest = {one.name: given.get(one.name, _zeros(one)) for one in others}
    if unknown := sorted(given.keys() - rest.keys()):
        raise UserError(f"the network has no input {', '.join(unknown)} beside {first.name}")
    traced: list[tuple[Traced, Inputs]] = []
    ways_ = list(ways(first.name, dims, frames.shape))
    for grounded, axes in product((False, True), ways_):
        example = _of_length(dims[axes.time], frames)
        timed = {one.name: way for one in others if (way := _timed(one, first, axes)) is not None}
        static = {name: values for name, values in rest.items() if name not in timed}
        inputs = Inputs(first.name, axes, static, frames.shape[1:], timed)
        with _file_blamed(program, inputs, example):
            traced.append((_Trace(program, inputs, example, given, grounded).traced(), inputs))
        if traced[-1][0].streams:
            break
    best, inputs = traced[-1] if traced[-1][0].streams else traced[0]
    fixed = dims[inputs.axes.time]
    with _file_blamed(program, inputs, _of_length(fixed, frames)):
        imported = finished(best, program, inputs)
    return checked("the file", imported, frames, [fixed] if fixed else [_EXAMPLE, _EXAMPLE + 3])


def _of_length(time: int | None, frames: Array) -> Array:
    """An example cut, or begun anew, to the length that a file fixes, or to a few frames."""
    return np.resize(frames, (time or _EXAMPLE, *frames.shape[1:]))


@contextmanager
def _file_blamed(program: OnnxProgram, inputs: Inputs, frames: Array) -> Iterator[None]:
    """What fails inside is a UserError, if the file does not run on these frames either."""
    try:
        yield
    except UserError:
        raise
    except Exception:
        given = inputs.given(frames, **inputs.zeros(len(frames)))
        program.compute(given, program.outputs)
        raise


def _dims(one: ValueInfoProto) -> list[int | None]:
    return [size.dim_value or None for size in one.type.tensor_type.shape.dim]


def _timed(
    one: ValueInfoProto, first: ValueInfoProto, axes: Axes
) -> tuple[Axes, tuple[int, ...]] | None:
    """Axes and shape of another input whose axis of time has the first one's name."""
    names = [size.dim_param for size in one.type.tensor_type.shape.dim]
    time = first.type.tensor_type.shape.dim[axes.time].dim_param
    if not time or names.count(time) != 1:
        return None
    place, dims = names.index(time), _dims(one)
    batch = next((at for at, size in enumerate(dims) if at != place and size in (None, 1)), None)
    batch = batch if axes.batch is not None else None
    rest = [size or 1 for at, size in enumerate(dims) if at not in (place, batch)]
    return Axes(place, batch), tuple(rest)


def _zeros(one: ValueInfoProto) -> Array:
    kind = helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)
    return np.zeros([size or 1 for size in _dims(one)], kind)


class _Trace:
    """Labels through the graph, node by node."""

    def __init__(
        self,
        program: OnnxProgram,
        inputs: Inputs,
        frames: Array,
        bound: Mapping[str, Array],
        grounded: bool,
    ) -> None:
        self.program = program
        self.example = inputs.given(frames, **inputs.zeros(len(frames)))
        self.recorder = Recorder()
        self.operators = Operators(self.recorder, program.model.opset_import)
        self.grounded = grounded
        self.constants: dict[str, Array] = {**program.constants, **bound}
        self.labels: dict[str, Array] = {}
        self.tensors: dict[str, Array] = {}
        self.views: dict[str, Array] = {}
        self.numbers: dict[str, Array] | None = None
        for name, value in self.example.items():
            if name not in bound:
                self.recorder.where = f"input {name}"
                axes = {inputs.name: inputs.axes} | {n: one for n, (one, _) in inputs.timed.items()}
                time = axes[name].time if name in axes else None
                self._keep(name, self.recorder.outside(value.shape, time, None))

    def traced(self) -> Traced:
        for node in self.program.nodes:
            self._node(node)
        results = {name: self.labels.get(name) for name in self.program.outputs}
        return Traced(self.recorder, self.tensors, results, self.views)

    def _keep(self, name: str, labels: Array) -> None:
        self.labels[name] = self.tensors[name] = labels

    def _node(self, node: NodeProto) -> None:
        self.recorder.where = f"{node.op_type} {node.name or next(filter(None, node.output))!r}"
        labels = [self.labels.get(name) for name in node.input]
        constants = [self.constants.get(name) for name in node.input]
        if node.op_type in ("Shape", "Size") and labels[0] is not None:
            whole = np.zeros(labels[0].shape, np.int8)
            self.constants |= zip(node.output, self.operators.evaluate(node, [whole]), strict=True)
        elif all(one is None for one in labels) and _known(node, constants):
            self.constants |= zip(node.output, self._constant(node, constants), strict=True)
        else:
            self._record(node, labels, constants)

    def _constant(self, node: NodeProto, constants: list[Array | None]) -> list[Array]:
        try:
            return self.operators.evaluate(node, constants)
        except Exception as error:
            raise UserError(
                f"{self.recorder.where} cannot be computed: {one_line(error)}"
            ) from error

    def _gelu(self, node: NodeProto) -> str:
        """What x is where a product is x * (1 + erf(x / sqrt 2)) / 2, written out; else empty."""
        if node.op_type != "Mul":
            return ""
        names = Counter(self._factors(node.output[0], 3))
        half = [name for name in names if _is(self.constants.get(name), 0.5)]
        sums = [name for name in names if (made := self._made(name, "Add")) and self._erf(made)]
        rest = names - Counter(half[:1]) - Counter(sums[:1])
        if len(half) != 1 or len(sums) != 1 or rest.total() != 1:
            return ""
        (x,) = rest
        return x if self._erf(self._made(sums[0], "Add")) == x else ""

    def _factors(self, name: str, depth: int) -> list[str]:
        """What is multiplied with one another."""
        node = self._made(name, "Mul")
        if node is None or not depth:
            return [name]
        return [one for part in node.input for one in self._factors(part, depth - 1)]

    def _erf(self, node: NodeProto | None) -> str:
        """x, where a sum is 1 + erf(x / sqrt 2)."""
        if node is None or not any(_is(self.constants.get(name), 1.0) for name in node.input):
            return ""
        made = [one for name in node.input if (one := self._made(name, "Erf"))]
        inner = made[0].input[0] if made else ""
        for kind, scale in (("Div", sqrt(2)), ("Mul", 1 / sqrt(2))):
            scaled = self._made(inner, kind)
            if scaled is not None and _is(self.constants.get(scaled.input[1]), scale):
                return scaled.input[0]
        return ""

    def _made(self, name: str, kind: str) -> NodeProto | None:
        """The operation that makes a tensor, if it is of a kind."""
        node = self.program.made_by.get(name)
        return node if node is not None and node.op_type == kind else None

    def _record(
        self, node: NodeProto, labels: list[Array | None], constants: list[Array | None]
    ) -> None:
        if self.grounded:
            self.operators.grounded = lambda x, time: self._from_host(node.input[0], x, time)
        try:
            if x := self._gelu(node):
                labels, constants = [self.labels.get(x)], [None]
                node = helper.make_node("Gelu", [x], node.output, node.name)
            found = self.operators.record(node, labels, constants)
        except UserError:
            raise
        except (
            Exception
        ) as why:  # written otherwise than is known here; the host says what is wrong
            if node.op_type in ("LSTM", "GRU", "RNN"):
                self.recorder.refuse(str(why))
            said = str(why) if isinstance(why, OnHost) else "is written in a form that is not known"
            self._on_host(node, labels, said)
            return
        for name, made in zip(node.output, found, strict=False):
            self.labels[name] = made
            (self.views if node.op_type in VIEWS else self.tensors)[name] = made

    def _from_host(self, name: str, labels: Array, time: int) -> Array:
        """A tensor that the host shall compute, whatever it is made of."""
        made = self.recorder.outside(labels.shape, time, None, labels)
        self.tensors[f"{name}"] = made
        return made

    def _on_host(self, node: NodeProto, labels: list[Array | None], why: str) -> None:
        """Its results are the host's: axes that are as long as the input's time are time."""
        read = [one for one in labels if one is not None]
        for name in filter(None, node.output):
            shape = self._number(name).shape
            work = self._work(node, shape) if name == node.output[0] else 0
            self._keep(name, self.recorder.on_host(shape, read, why, work))

    def _work(self, node: NodeProto, shape: tuple[int, ...]) -> int:
        """Multiplications by weights, of which each value of a result takes its share."""
        weights = [self.constants.get(name) for name in node.input]
        sizes = [0 if one is None else one.size for one in weights]
        match node.op_type:
            case "LSTM" | "GRU" | "RNN":
                return self._number(node.input[0]).shape[0] * sum(sizes[1:3])
            case "Conv" | "Gemm" | "MatMul" if len(sizes) > 1 and weights[1] is not None:
                rows = len(weights[1]) if node.op_type == "Conv" else shape[-1]
                return int(np.prod(shape)) * sizes[1] // max(rows, 1)
        return 0

    def _number(self, name: str) -> Array:
        """A tensor's values on the example."""
        if self.numbers is None:
            names = [one for node in self.program.nodes for one in node.output if one]
            values = self.program.compute(self.example, names)
            self.numbers = dict(zip(names, map(np.asarray, values), strict=True)) | self.example
        return self.numbers[name]


def _is(constant: Array | None, value: float) -> bool:
    """Whether it is this number, as float32 has it."""
    return constant is not None and constant.size == 1 and abs(constant.item() - value) < 1e-6


def _known(node: NodeProto, constants: list[Array | None]) -> bool:
    """Whether it is a constant of the network."""
    inner = any(one.HasField("g") for one in node.attribute)
    pairs = zip(node.input, constants, strict=True)
    return not inner and all(one is not None or not name for name, one in pairs)
