"""ONNX files whose bytes are changed, or the nodes and weights inside a file that is whole."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ernn.frontends.onnx import import_onnx
from tests.frontends.onnx_graphs import FORMS
from tests.fuzz.harness import Kind
from tests.fuzz.making import changed
from tests.fuzz.mutate import damaged

FRAMES = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
NAMES = ("LSTM, peepholes", "GRU, reset after", "Gemm around views", "batch norm")
OPERATORS = ("LSTM", "GRU", "MatMul", "Add", "Relu", "Reshape", "Transpose", "Loop", "If", "Slice")
NUMBERS = (0, -1, 1, 3, 2**31, 2**62)


def of_onnx(folder: Path) -> Kind:
    models = [FORMS[name].model() for name in NAMES]
    whole = [model.SerializeToString() for model in models]
    ways = [partial(damaged, one) for one in whole] + [partial(edited, one) for one in models] * 2
    return Kind("onnx", whole, ways, lambda path: import_onnx(path, FRAMES))


def edited(model: onnx.ModelProto, chance: random.Random) -> bytes:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for _ in range(chance.randint(1, 2)):
        chance.choice((_weight, _operator, _wire, _attribute, _shape, _node))(made.graph, chance)
    return made.SerializeToString()


def _weight(graph: onnx.GraphProto, chance: random.Random) -> None:
    if not graph.initializer:
        return
    one = chance.choice(graph.initializer)
    try:
        one.CopyFrom(numpy_helper.from_array(changed(numpy_helper.to_array(one), chance), one.name))
    except (TypeError, ValueError):  # was damaged before, or of a type that ONNX lacks
        one.ClearField("dims")


def _operator(graph: onnx.GraphProto, chance: random.Random) -> None:
    chance.choice(graph.node).op_type = chance.choice(OPERATORS)


def _wire(graph: onnx.GraphProto, chance: random.Random) -> None:
    """An input or output gets the name of another tensor, or none."""
    node = chance.choice(graph.node)
    names = [name for one in graph.node for name in (*one.input, *one.output)]
    ends = chance.choice((node.input, node.output))
    if ends:
        ends[chance.randrange(len(ends))] = chance.choice([*names, "", "x", "nowhere"])


def _attribute(graph: onnx.GraphProto, chance: random.Random) -> None:
    node = chance.choice(graph.node)
    if not node.attribute:
        return
    one = chance.choice(node.attribute)
    match chance.randrange(4):
        case 0:
            one.i = chance.choice(NUMBERS)
        case 1:
            one.ints[:] = [chance.choice(NUMBERS) for _ in one.ints]
        case 2:
            one.name = chance.choice(("direction", "hidden_size", "axis", "perm", "?"))
        case _:
            node.attribute.remove(one)


def _shape(graph: onnx.GraphProto, chance: random.Random) -> None:
    """What is said of an input or an output."""
    tensor = chance.choice((*graph.input, *graph.output)).type.tensor_type
    match chance.randrange(3):
        case 0 if tensor.shape.dim:
            chance.choice(tensor.shape.dim).dim_value = chance.choice(NUMBERS)
        case 1:
            tensor.elem_type = chance.randrange(20)
        case _:
            tensor.ClearField("shape")


def _node(graph: onnx.GraphProto, chance: random.Random) -> None:
    node = chance.choice(graph.node)
    if chance.random() < 0.5:
        graph.node.remove(node)
    else:
        graph.node.add().CopyFrom(node)
    if not graph.node:
        graph.node.add()
