"""A trained network's weights as a file: safetensors, which nothing in it can execute."""

from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ernn.errors import UserError, one_line
from ernn.files import write_atomic
from ernn.ground.reading import read_bytes
from ernn.nn.model import AcousticModel, require_memory
from ernn.nn.spec import ModelSpec


def save_weights(path: Path, module: nn.Module) -> Path:
    """Write all parameters and buffers, whole or not at all."""
    state = module.state_dict()
    return write_atomic(path, save({name: one.contiguous() for name, one in state.items()}))


def load_weights(path: Path) -> dict[str, Tensor]:
    """What `save_weights` wrote; UserError where the file is missing, damaged, or not finite."""
    content = read_bytes(path)
    try:
        state = load(content)
    except Exception as error:  # whatever a damaged file does to the parser
        raise UserError(f"{path} is damaged ({one_line(error)}): do again what made it") from error
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"{path} has a value in {name!r} that is not finite: do again what made it"
            )
    return state


def network(spec: ModelSpec, path: Path) -> AcousticModel:
    """The network that `spec` describes, with the weights of a file that holds exactly its own."""
    state = load_weights(path)
    require_memory(spec)
    with torch.device("meta"):
        wanted = AcousticModel(spec).state_dict()
    shapes, found = ({n: (t.shape, t.dtype) for n, t in one.items()} for one in (wanted, state))
    if shapes != found:
        raise UserError(f"{path} holds the weights of another network: do again what made it")
    module = AcousticModel(spec)
    module.load_state_dict(state)
    return module
