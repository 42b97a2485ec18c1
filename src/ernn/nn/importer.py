"""A user's torch module to a `Network`: exactly, or refused with one line that names the module and
the rule.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ernn.errors import UserError
from ernn.ir.network import Network
from ernn.ir.reference import run_all
from ernn.nn.follow import Chain, first_line, follow
from ernn.nn.layers import LayerReader, Structures

TOLERANCE = 1e-5
"""Largest difference allowed between module and network, relative to the largest output where that
exceeds 1.
"""

_SEED = 0
_LONGEST = 32  # frames of the check: rounding of float32 grows with time, mistakes show at once


def import_torch(
    module: nn.Module, example: Tensor | tuple[Any, ...], *, structures: Structures | None = None
) -> Network:
    """The network that `module` computes, every layer as a frozen value.

    module: a torch.nn.LSTM or GRU, an `AcousticModel`, or any module whose forward is a chain of
    LSTM, GRU, Linear and Dropout, giving every step or the last (`out[:, -1]`, `h_n[-1]`). It is
    put in evaluation mode for the import. example: frames as the module takes them, (batch, time,
    inputs) or (time, batch, inputs) or (time, inputs), or the tuple of the module's arguments
    beginning with the frames. Only shape, type and device of the frames matter. structures: what
    each matrix is, e.g. {"lstm.weight_ih_l0": BlockCirculant(8)}; it must be so already.

    The import checks itself: module and network run on random frames, at two lengths. Raises
    UserError where they differ by more than `TOLERANCE`, or where the module does what a network
    cannot (docs/how-to/own-network.md).
    """
    arguments = (
        example
        if isinstance(example, tuple) and not isinstance(example, PackedSequence)
        else (example,)
    )
    arguments = (_checked_frames(module, arguments[0] if arguments else None), *arguments[1:])
    with _evaluating(module), torch.no_grad():
        chain = follow(module, arguments)
        network = _network(module, chain, structures)
        for extra in (0, 3):
            _check(module, network, chain, arguments, extra)
    return network


def _checked_frames(module: nn.Module, frames: Any) -> Tensor:
    """A copy of the example's frames: the module may write to it."""
    if not isinstance(module, nn.Module):
        raise UserError(
            f"the module must be a torch.nn.Module, not {type(module).__name__}: make one of your "
            "class first, give "
            "it the saved weights (module.load_state_dict)"
        )
    if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
        raise UserError(
            "a scripted or compiled module hides its layers: import the module it was made from"
        )
    if isinstance(frames, PackedSequence):
        raise UserError(
            "the example is a packed sequence: give frames of one length, (batch, time, inputs)"
        )
    if not isinstance(frames, Tensor) or frames.dim() not in (2, 3) or 0 in frames.shape:
        shape = tuple(frames.shape) if isinstance(frames, Tensor) else type(frames).__name__
        raise UserError(
            "the example must be a tensor of frames, (time, inputs) or with a batch axis, not "
            f"{shape}"
        )
    return frames.clone()


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards each part as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "LSTM with projections is not supported with oneDNN"
            )  # only slower
            yield
    finally:
        for part in training:
            part.training = True


def _network(module: nn.Module, chain: Chain, structures: Structures | None) -> Network:
    reader = LayerReader(structures)
    for call in chain.calls:
        reader.add(call)
    reader.check_names(module)
    return Network(tuple(reader.layers), chain.last_step, reader.outputs)


def _check(
    module: nn.Module, network: Network, chain: Chain, arguments: tuple[Any, ...], extra: int
) -> None:
    frames = _random_frames(arguments[0], chain.time_axis, extra)
    expected, again = (_outputs(module, (frames, *arguments[1:])) for _ in range(2))
    name = type(module).__name__
    if not _difference(again, expected) <= TOLERANCE:
        raise UserError(
            f"{name} gives another output for the same input when called again: it keeps a state "
            "between calls or "
            "draws random numbers; let each call start from a constant state, and to go on from an "
            "earlier call, "
            "give the state to ernn.ir.reference.run"
        )
    difference = _difference(_run(network, chain, frames), expected)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{name} and the network imported from it differ by {difference:.2g} on random frames "
            f"(allowed: {TOLERANCE:g}): something acts that its layers do not show, as a hook or a "
            "branch on the length"
        )


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference, relative to the largest value where that exceeds 1; infinite for other
    shapes.
    """
    if ours.shape != theirs.shape:
        return np.inf
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))


def _random_frames(frames: Tensor, time_axis: int, extra: int) -> Tensor:
    shape = list(frames.shape)
    shape[time_axis] = min(shape[time_axis], _LONGEST) + extra
    generator = torch.Generator().manual_seed(_SEED)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(frames)


def _outputs(module: nn.Module, arguments: tuple[Any, ...]) -> np.ndarray:
    try:
        result = module(*arguments)
    except Exception as error:
        shape = tuple(arguments[0].shape)
        raise UserError(
            f"{type(module).__name__} runs on the example, but not on frames of shape {shape}: "
            f"{first_line(error)}; "
            "a network must run at any length"
        ) from error
    outputs = result[0] if isinstance(result, tuple | list) else result
    return outputs.double().cpu().numpy()


def _run(network: Network, chain: Chain, frames: Tensor) -> np.ndarray:
    """The network's outputs, axes as the module's."""
    utterances = frames.transpose(0, 1 - chain.time_axis) if frames.dim() == 3 else frames[None]
    outputs = np.stack(run_all(network, list(utterances.double().cpu().numpy())))
    if chain.last_step:
        outputs = outputs[:, 0]
    if frames.dim() == 2:
        return outputs[0]
    time_first = not chain.last_step and chain.swapped == bool(chain.time_axis)
    return outputs.swapaxes(0, 1) if time_first else outputs
