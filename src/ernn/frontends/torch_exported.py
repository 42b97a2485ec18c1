"""What torch's own tools make of a module, as a module whose operations can be watched."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from ernn.errors import UserError
from ernn.frontends.torch_script import Scripted


def as_module(network: Any) -> Any:
    """A module of Python of an exported program or of TorchScript; anything else as it is."""
    if isinstance(network, ExportedProgram):
        return network.module(check_guards=False)
    if isinstance(network, torch.jit.ScriptModule):
        return scripted(network)
    return network


def scripted(network: torch.jit.ScriptModule) -> Scripted:
    """UserError where it can't be run, as `nn.LSTM` alone."""
    if not hasattr(network, "inlined_graph"):
        raise UserError(
            f"{network.original_name} as TorchScript has no forward: import the module that it was "
            "made from"
        )
    return Scripted(network)


@contextmanager
def in_python(module: nn.Module) -> Iterator[None]:
    """Meanwhile nothing in a module is compiled, and parts of TorchScript are modules of Python."""
    found = [
        (part, name, child)
        for part in module.modules()
        if not isinstance(part, torch.jit.ScriptModule)
        for name, child in part.named_children()
        if isinstance(child, torch.jit.ScriptModule)
    ]
    try:
        for part, name, child in found:
            part._modules[name] = scripted(child)
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for part, name, child in found:
            part._modules[name] = child


def fixed_sizes(module: Any, rank: int) -> list[int | None]:
    """The sizes of its first input that an exported program fixes; None where any will do."""
    nodes = module.graph.nodes if isinstance(module, fx.GraphModule) else ()
    first = next((one.meta.get("val") for one in nodes if one.op == "placeholder"), None)
    names = [str(size) for size in getattr(first, "shape", ())]  # one that is not fixed is a symbol
    sizes = [int(name) if name.isdecimal() else None for name in names]
    return sizes if len(sizes) == rank else [None] * rank


def require_one_sequence(module: Any, rank: int, batch: int | None) -> None:
    """UserError for an exported program of a fixed batch of several."""
    size = None if batch is None else fixed_sizes(module, rank)[batch]
    if size not in (None, 1):
        raise UserError(
            f"the exported program takes {size} sequences at once: export the module with a batch "
            "of 1, or of any size (dynamic_shapes)"
        )


def fitted(module: Any, frames: Tensor, time: int) -> Tensor:
    """An example cut, or begun anew, to the length that an exported program has.

    frames: with a batch axis.  time: the axis of time, 0 or 1.
    """
    require_one_sequence(module, frames.dim(), 1 - time)
    length = fixed_sizes(module, frames.dim())[time]
    if length is None:
        return frames
    return frames.index_select(time, torch.arange(length) % frames.shape[time])
