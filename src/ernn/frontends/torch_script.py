"""Modules of TorchScript (`torch.jit.script`, `torch.jit.trace`, `torch.jit.load`), run in Python.

TorchScript runs in an interpreter of its own, where nothing can be watched.  Here its graph is run
operation by operation, by torch's own operations, so that whoever watches these sees each.
"""

import operator
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any

import torch
from torch import Tensor, nn

from ernn.errors import UserError

Values = dict[str, Any]
"""What has been computed, by the name that the graph gives it."""


class _Part(nn.Module):
    """A submodule: its parameters and buffers as they are, all else from `original`."""

    def __init__(self, original: torch.jit.ScriptModule) -> None:
        super().__init__()
        # no part of this, or it would have every name twice
        self.__dict__ |= {"original": original, "changed": {}}
        for name, tensor in original.named_parameters(recurse=False):
            self.register_parameter(name, nn.Parameter(tensor.detach(), requires_grad=False))
        for name, tensor in original.named_buffers(recurse=False):
            self.register_buffer(name, tensor)
        for name, child in original.named_children():
            self.add_module(name, _Part(child))  # type: ignore[arg-type]  # a ScriptModule's

    def get(self, name: str) -> Any:
        """An attribute as its code sees it."""
        if name in self.__dict__["changed"]:
            return self.__dict__["changed"][name]
        own = name == "training" or any(
            name in some for some in (self._parameters, self._buffers, self._modules)
        )
        return getattr(self if own else self.__dict__["original"], name)


class Scripted(_Part):
    """A module of TorchScript as one of Python."""

    def __init__(self, original: torch.jit.ScriptModule) -> None:
        super().__init__(original)
        self._graph = original.inlined_graph
        self._places = [one.debugName() for one in self._graph.inputs()]
        method: Any = original.forward
        arguments = method.schema.arguments[1:]
        self.forward = _Forward(self._called, Signature([_parameter(one) for one in arguments]))

    def _called(self, *arguments: Any) -> Any:
        values = dict(zip(self._places, (self, *arguments), strict=True))
        (result,) = _run(self._graph, values)
        return result


class _Forward:
    """`forward` with the names and defaults of TorchScript's."""

    def __init__(self, call: Callable[..., Any], signature: Signature) -> None:
        self.call, self.__signature__ = call, signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        return self.call(*bound.arguments.values())


def _parameter(argument: Any) -> Parameter:
    default = argument.default_value if argument.has_default_value() else Parameter.empty
    return Parameter(argument.name, Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _run(block: Any, values: Values) -> list[Any]:
    """What a graph or a block of it gives."""
    for node in block.nodes():
        given = [values[one.debugName()] for one in node.inputs()]
        for one, value in zip(node.outputs(), _made(node, given, values), strict=True):
            values[one.debugName()] = value
    return [values[one.debugName()] for one in block.outputs()]


def _made(node: Any, given: list[Any], values: Values) -> Sequence[Any]:
    """What a node gives, an item an output."""
    kind = node.kind()
    match kind:
        case "prim::Constant":
            return [node.output().toIValue()]
        case "prim::GetAttr":
            return [given[0].get(node.s("name"))]
        case "prim::SetAttr":
            given[0].__dict__["changed"][node.s("name")] = given[1]
            return []
        case "prim::If":
            return _run(list(node.blocks())[0 if given[0] else 1], values)
        case "prim::Loop":
            return _loop(next(iter(node.blocks())), given, values)
        case "prim::TupleUnpack" | "prim::ListUnpack":
            return given[0]
        case "prim::RaiseException":
            raise ValueError(given[0])
        case _ if kind in _PRIMITIVE:
            return [_PRIMITIVE[kind](*given)]
    found = _operation(node, given)
    if node.outputsSize() == 1:
        return [found]
    return found if node.outputsSize() else []


def _loop(block: Any, given: list[Any], values: Values) -> list[Any]:
    """At most so many times, as long as it says so; carried values from turn to turn."""
    most, going, *carried = given
    names = [one.debugName() for one in block.inputs()]
    turn = 0
    while going and turn < most:
        values |= dict(zip(names, (turn, *carried), strict=True))
        going, *carried = _run(block, values)
        turn += 1
    return carried


def _operation(node: Any, given: list[Any]) -> Any:
    """Python's on what is no tensor, else torch's."""
    space, _, name = node.kind().partition("::")
    if name in _ANY or (name in _PLAIN and not (given and isinstance(given[0], Tensor))):
        return (_ANY | _PLAIN)[name](*given)
    packet = getattr(getattr(torch.ops, space), name, None)
    if packet is None or space == "prim" or "(" not in node.schema():
        raise UserError(
            f"the module is TorchScript and has {node.kind()}, which only TorchScript runs: import "
            "the module that it was made from, or its ONNX file"
        )
    schema = torch._C.parse_schema(node.schema())
    named = {
        argument.name: value
        for argument, value in zip(schema.arguments, given, strict=True)
        if argument.kwarg_only
    }
    call = getattr(packet, schema.overload_name or "default")
    return call(*given[: len(given) - len(named)], **named)


def _appended(items: list[Any], item: Any) -> list[Any]:
    items.append(item)
    return items


_PRIMITIVE: dict[str, Callable[..., Any]] = {
    "prim::TupleConstruct": lambda *items: items,
    "prim::ListConstruct": lambda *items: list(items),
    "prim::DictConstruct": lambda *items: dict(zip(items[::2], items[1::2], strict=True)),
    "prim::TupleIndex": operator.getitem,
    "prim::unchecked_cast": lambda item: item,
    "prim::Uninitialized": lambda: None,
    "prim::NumToTensor": torch.tensor,
    "prim::dtype": lambda tensor: tensor.dtype,
    "prim::device": lambda tensor: tensor.device,
    "prim::data": lambda tensor: tensor.data,
    "prim::min": min,
    "prim::max": max,
}
_PLAIN: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "remainder": operator.mod,
    "neg": operator.neg,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "len": len,
    "list": list,
    "format": str.format,
    "append": _appended,
    "keys": list,
    "slice": lambda items, start, end, step: items[start:end:step],
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "__not__": operator.not_,
}
"""On numbers, texts, lists."""
_ANY: dict[str, Callable[..., Any]] = {
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "Int": int,
    "Float": float,
    "Bool": bool,
    "IntImplicit": int,
    "FloatImplicit": float,
    "ScalarImplicit": lambda tensor: tensor.item(),
    "warn": lambda *_: None,
}
"""On tensors, too."""
