"""An ONNX file as a program of which any part can be run: ONNX Runtime on the part cut out."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper
from onnx.reference import ReferenceEvaluator

from ernn.errors import UserError, one_line

Array = np.ndarray
OLDEST = 11
LARGEST = 1 << 28
"""Values of an input: 1 GB of floats; what asks for more is damaged."""
KNOWN = frozenset(helper.get_all_tensor_dtypes())


class OnnxProgram:
    """The graph, its functions put in their places, and what it computes from what."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = inliner.inline_local_functions(model) if model.functions else model
        self.graph = self.model.graph
        self.nodes = [node for node in self.graph.node if any(node.output)]
        self.constants = {one.name: _values(one) for one in self.graph.initializer}
        self.inputs = [one for one in self.graph.input if one.name not in self.constants]
        self.outputs = [one.name for one in self.graph.output]

    @classmethod
    def load(cls, source: Any) -> "OnnxProgram":
        """A file, or a model that is there already; UserError where it is none."""
        try:
            model = source if isinstance(source, onnx.ModelProto) else onnx.load(Path(source))
        except FileNotFoundError as error:
            raise UserError(f"{source} is not there") from error
        except Exception as error:
            raise UserError(f"{source} is no ONNX file: {one_line(error)}") from error
        version = next(
            (one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0
        )
        if version < OLDEST:
            raise UserError(
                f"the file has operators of opset {version}: export it with {OLDEST} or later, or "
                "raise it with onnx.version_converter"
            )
        named = [name for node in model.graph.node for name in (*node.input, *node.output)]
        if unread := next((name for name in named if isinstance(name, bytes)), None):
            raise UserError(f"{source} is no ONNX file: the name {unread!r} is not in UTF-8")
        for one in model.graph.input:
            _possible(one)
        return cls(model)

    @cached_property
    def made_by(self) -> dict[str, onnx.NodeProto]:
        """The node that makes each tensor."""
        return {name: node for node in self.nodes for name in node.output if name}

    def compute(self, known: Mapping[str, Array], wanted: Sequence[str]) -> list[Array]:
        """The tensors `wanted`, where others are `known` already."""
        own = {name: known[name] for name in wanted if name in known}
        rest = tuple(dict.fromkeys(name for name in wanted if name not in known))
        if rest:
            session, names = self._session(frozenset(known), rest)
            given = {name: np.asarray(known[name], kind) for name, kind in names}
            own |= zip(rest, _run(session, given), strict=True)
        return [own[name] for name in wanted]

    @lru_cache(maxsize=8)  # noqa: B019  # a program lives as long as its model
    def _session(self, known: frozenset[str], wanted: tuple[str, ...]) -> Any:
        """A session for the nodes between, and what it is to be given: names and types."""
        nodes, read = self._between(known, wanted)
        types = self._types
        inputs = [helper.make_tensor_value_info(one, types.get(one, 1), None) for one in read]
        graph = helper.make_graph(
            nodes,
            "part",
            inputs,
            [onnx.ValueInfoProto(name=name) for name in wanted],
            [one for one in self.graph.initializer if one.name not in known],
        )
        part = helper.make_model(graph, opset_imports=self.model.opset_import)
        part.ir_version = min(self.model.ir_version, 10)
        session = _executor(part)
        kinds = {one: helper.tensor_dtype_to_np_dtype(types.get(one, 1)) for one in read}
        return session, tuple(kinds.items())

    def _between(
        self, known: frozenset[str], wanted: Sequence[str]
    ) -> tuple[list[onnx.NodeProto], list[str]]:
        """The nodes that lead from what is known to what is wanted, and what these read of it."""
        waiting, seen, read, chosen = list(wanted), set[str](), list[str](), set[int]()
        while waiting:
            name = waiting.pop()
            if name in seen or not name:
                continue
            seen.add(name)
            node = self.made_by.get(name)
            if name in known:
                read.append(name)
            elif node is not None:
                chosen.add(id(node))
                waiting += _reads(node)
        return [node for node in self.nodes if id(node) in chosen], read

    @cached_property
    def _types(self) -> dict[str, int]:
        """Element types by name, as far as they are said or follow."""
        try:
            inferred = onnx.shape_inference.infer_shapes(self.model).graph
        except Exception:  # what is said must do
            inferred = self.graph
        every = [*inferred.value_info, *inferred.input, *inferred.output]
        types = {one.name: one.type.tensor_type.elem_type for one in every}
        return {name: one for name, one in types.items() if one in KNOWN}


def _values(one: onnx.TensorProto) -> Array:
    """UserError where they do not fill the shape that is said."""
    try:
        return numpy_helper.to_array(one)
    except Exception as error:
        raise UserError(f"the weights {one.name} cannot be read: {one_line(error)}") from error


def _possible(one: onnx.ValueInfoProto) -> None:
    """UserError where an input has a type or a shape that no tensor has."""
    tensor = one.type.tensor_type
    if tensor.elem_type not in KNOWN:
        raise UserError(f"input {one.name} has a type that ONNX lacks: {tensor.elem_type}")
    sizes = [size.dim_value for size in tensor.shape.dim]
    if min(sizes, default=0) < 0 or prod(size or 1 for size in sizes) > LARGEST:
        raise UserError(f"input {one.name} has an impossible shape: {sizes}")


def _executor(part: onnx.ModelProto) -> Any:
    """ONNX Runtime, or onnx's reference where that does not take the operators."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        return onnxruntime.InferenceSession(
            part.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        try:
            return ReferenceEvaluator(part)
        except Exception:
            raise UserError(f"ONNX Runtime does not take the network: {one_line(error)}") from error


def _run(session: Any, given: Mapping[str, Array]) -> list[Array]:
    try:
        return session.run(None, given)
    except Exception as error:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in given.items())
        raise UserError(f"the network does not run on {shapes}: {one_line(error)}") from error


def _reads(node: onnx.NodeProto) -> list[str]:
    """What a node reads, its subgraphs too."""
    graphs = [one.g for one in node.attribute if one.type == onnx.AttributeProto.GRAPH]
    inner = [name for graph in graphs for one in graph.node for name in _reads(one)]
    own = {name for graph in graphs for one in graph.node for name in one.output}
    results = [one.name for graph in graphs for one in graph.output]
    return [*node.input, *(name for name in (*inner, *results) if name not in own)]
