"""A network however its user has it: a torch module, an ONNX file."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ernn.data.given import recordings, sequences
from ernn.frontends.imported import Imported

Array = np.ndarray


def opened(
    network: Any,
    frames: Array,
    structures: Any,
    batch_first: bool,
    given: Mapping[str, Any],
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> Imported:
    """A torch module or the path of an ONNX file, imported.

    frames: an example of one sequence (time, ...).  structures, batch_first: of a torch module.
    given: other inputs by name: what they always are (ONNX), or an example of them (torch).
    beside: an example of them, in any case.
    Raises UserError as `import_torch` and `import_onnx` do.
    """
    if isinstance(network, str | Path) or hasattr(network, "opset_import"):
        from ernn.frontends.onnx import import_onnx

        return import_onnx(network, frames, **given)
    import torch

    from ernn.frontends.torch import import_torch
    from ernn.frontends.torch_exported import as_module, fitted

    network = as_module(network)
    parameters = network.parameters() if isinstance(network, torch.nn.Module) else ()
    like = next(iter(parameters), torch.zeros(0))
    tensors = [torch.as_tensor(one) for one in (frames, *{**beside, **given}.values())]
    example, *others = [one.to(like) if one.is_floating_point() else one for one in tensors]

    def batched(one: torch.Tensor) -> torch.Tensor:
        return one[None] if batch_first else one[:, None]

    framed = [one.dim() == example.dim() and len(one) == len(example) for one in others]
    beside_it = [batched(one) if own else one for one, own in zip(others, framed, strict=True)]
    first = fitted(network, batched(example), int(batch_first))
    return import_torch(network, (first, *beside_it), structures=structures)


def streamed(imported: Imported | None, utterances: Any, inputs: int | None = None) -> list[Array]:
    """What the accelerator is given of each utterance that has a frame.

    imported: None where utterances are just that, `inputs` values a frame.
    """
    if imported is None:
        return recordings(utterances, inputs)
    pairs = sequences(utterances)
    return [imported.frames(frames, **beside) for frames, beside in pairs if len(frames)]
