"""torch.nn.LSTM and torch.nn.GRU with faster training on the processor: same parameters, results
and arguments.

    model.lstm = LSTM(40, 512, proj_size=256)        instead of torch.nn.LSTM(40, 512,
    proj_size=256)

Where a weight has been made block-circulant by `ernn.compress.inside.enter`, its products are taken
in the frequency domain, forward and backward.  On other devices (cuDNN), in other number formats,
for packed sequences and under torch.compile, torch's own forward runs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from ernn.errors import UserError
from ernn.ir.cell import INPUT
from ernn.nn.explicit import explicit
from ernn.nn.loops import available
from ernn.nn.parameters import Parameters, parameters
from ernn.nn.stored import in_blocks
from ernn.nn.through import scanned

State = tuple[Tensor, ...]
Way = Callable[
    [Parameters, Mapping[str, Tensor], Mapping[str, Tensor]], tuple[list[Tensor], dict[str, Tensor]]
]
"""`ernn.nn.through.scanned` or `ernn.nn.explicit.explicit`."""


class LSTM(nn.LSTM):
    """torch.nn.LSTM, trained faster on the processor."""

    states = ("h", "c")

    def forward(self, input: Any, hx: Any = None) -> Any:  # type: ignore[override]
        """As torch.nn.LSTM's."""
        if not runs_here(self, input) or self._suits_onednn(input):
            with parametrize.cached():  # torch reads each weight more than once
                return super().forward(input, hx)
        outputs, (h, c) = run(self, input, hx)
        return outputs, (h, c)

    def _suits_onednn(self, frames: Tensor) -> bool:
        """Whether torch hands the layer to oneDNN and that is faster: without projection, dense or
        small.
        """
        if (
            self.proj_size
            or frames.dtype != torch.float32
            or not torch.backends.mkldnn.is_available()
        ):
            return False
        return not in_blocks(self)


class GRU(nn.GRU):
    """torch.nn.GRU, trained faster on the processor."""

    states = ("h",)

    def forward(self, input: Any, hx: Any = None) -> Any:  # type: ignore[override]
        """As torch.nn.GRU's."""
        if not runs_here(self, input):
            with parametrize.cached():
                return super().forward(input, hx)
        outputs, (h,) = run(self, input, None if hx is None else (hx,))
        return outputs, h


def runs_here(module: nn.Module, frames: Any) -> bool:
    """Whether the scans written here can run: plain tensors of single or double precision on the
    processor.
    """
    if type(frames) is not Tensor or frames.dim() not in (2, 3) or frames.numel() == 0:
        return False
    traced = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined]
    if traced or torch.is_autocast_enabled("cpu"):
        return False
    kinds = {(tensor.device.type, tensor.dtype) for tensor in (frames, *module.parameters())}
    return kinds in ({("cpu", torch.float32)}, {("cpu", torch.float64)}) and available()


def stack(module: Any, way: Way, frames: Tensor, states: State) -> tuple[Tensor, State]:
    """All layers and directions on frames (time, batch, inputs); states (layers * directions,
    batch, size).
    """
    suffixes = ("", "_reverse") if getattr(module, "bidirectional", False) else ("",)
    ends: list[State] = []
    for index in range(module.num_layers):
        if index > 0:
            frames = functional.dropout(frames, module.dropout, module.training)
        outputs = []
        for part, suffix in enumerate(suffixes):
            state = {
                name: kind[len(ends)] for name, kind in zip(module.states, states, strict=True)
            }
            there = frames.flip(0) if part else frames
            named = parameters(module, f"_l{index}{suffix}")
            found, end = way(named, {INPUT: there}, state)
            output = found[0] if len(found) == 1 else torch.cat(found, -1)
            outputs.append(output.flip(0) if part else output)
            ends.append(tuple(end[name] for name in module.states))
        frames = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    return frames, tuple(torch.stack(kind) for kind in zip(*ends, strict=True))


def run(
    module: Any, frames: Tensor, states: State | None, way: Way | None = None
) -> tuple[Tensor, State]:
    """`stack` with the layouts of torch: batch first or not, without a batch, zeros for states that
    are not given. `way`: by the scan where it can run, unless given. Raises UserError for frames of
    another size.
    """
    if not isinstance(module, nn.RNNBase):
        _check(module, frames)
    way = way or (scanned if runs_here(module, frames) else explicit)
    batched, axis = frames.dim() == 3, 0 if module.batch_first else 1
    frames = frames if batched else frames.unsqueeze(axis)
    if states is None:
        states = zeros(module, frames)
    elif not batched:
        states = tuple(state.unsqueeze(1) for state in states)
    if isinstance(module, nn.RNNBase):
        module.check_forward_args(frames, states if len(states) > 1 else states[0], None)  # type: ignore[arg-type]
    ordered = frames.transpose(0, 1) if module.batch_first else frames
    outputs, ends = stack(module, way, ordered, states)
    outputs = outputs.transpose(0, 1) if module.batch_first else outputs
    if batched:
        return outputs, ends
    return outputs.squeeze(axis), tuple(end.squeeze(1) for end in ends)


def _check(module: Any, frames: Tensor) -> None:
    if frames.dim() not in (2, 3) or frames.shape[-1] != module.input_size:
        shape = tuple(frames.shape)
        raise UserError(
            f"frames must be (time, [batch,] {module.input_size}), or batch first, not {shape}"
        )


def zeros(module: Any, frames: Tensor) -> State:
    """Initial states of 0 for frames with a batch."""
    rows = module.num_layers * (2 if getattr(module, "bidirectional", False) else 1)
    batch, hidden = frames.shape[0 if module.batch_first else 1], module.hidden_size
    sizes = {"h": getattr(module, "proj_size", 0) or hidden}
    return tuple(frames.new_zeros(rows, batch, sizes.get(name, hidden)) for name in module.states)
