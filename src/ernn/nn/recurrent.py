"""torch.nn.LSTM and torch.nn.GRU with faster training on the processor: same parameters, results
and arguments.

    model.lstm = LSTM(40, 512, proj_size=256)        instead of torch.nn.LSTM(40, 512,
    proj_size=256)

Where a weight has been made block-circulant by `ernn.compress.inside.enter`, its products are taken
in the frequency domain, forward and backward.  On other devices (cuDNN), in other number formats,
for packed sequences and under torch.compile, torch's own forward runs.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from ernn.nn import directions
from ernn.nn.columns import COLUMNS
from ernn.nn.stored import in_blocks

_SMALL = 128  # units up to which two threads of oneDNN with decoded weights are faster than products of spectra

State = tuple[Tensor, ...]
Direction = Callable[[Any, str, Tensor, State], tuple[Tensor, State]]


class LSTM(nn.LSTM):
    """torch.nn.LSTM, trained faster on the processor."""

    states = 2  # h and c

    def forward(self, input: Any, hx: Any = None) -> Any:  # type: ignore[override]
        """As torch.nn.LSTM's."""
        if not runs_here(self, input) or self._suits_onednn(input):
            with parametrize.cached():  # torch reads each weight more than once
                return super().forward(input, hx)
        outputs, (h, c) = run(self, directions.lstm, input, hx)
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
        if not in_blocks(self):
            return True
        batch = frames.shape[0 if self.batch_first else 1] if frames.dim() == 3 else 1
        whole = (
            torch.is_grad_enabled() and batch % COLUMNS == 0
        )  # `ernn.nn.lstm_whole`, which is faster yet
        return self.hidden_size <= _SMALL and torch.get_num_threads() > 1 and not whole


class GRU(nn.GRU):
    """torch.nn.GRU, trained faster on the processor."""

    states = 1

    def forward(self, input: Any, hx: Any = None) -> Any:  # type: ignore[override]
        """As torch.nn.GRU's."""
        if not runs_here(self, input):
            with parametrize.cached():
                return super().forward(input, hx)
        outputs, (h,) = run(self, directions.gru_after, input, None if hx is None else (hx,))
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
    return kinds in ({("cpu", torch.float32)}, {("cpu", torch.float64)})


def stack(module: Any, direction: Direction, frames: Tensor, states: State) -> tuple[Tensor, State]:
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
            state = tuple(kind[len(ends)] for kind in states)
            there = frames.flip(0) if part else frames
            output, end = direction(module, f"_l{index}{suffix}", there, state)
            outputs.append(output.flip(0) if part else output)
            ends.append(end)
        frames = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    return frames, tuple(torch.stack(kind) for kind in zip(*ends, strict=True))


def run(
    module: Any, direction: Direction, frames: Tensor, states: State | None
) -> tuple[Tensor, State]:
    """`stack` with the layouts of torch: batch first or not, without a batch, zeros for states that
    are not given.
    """
    batched, axis = frames.dim() == 3, 0 if module.batch_first else 1
    frames = frames if batched else frames.unsqueeze(axis)
    if states is None:
        states = zeros(module, frames)
    elif not batched:
        states = tuple(state.unsqueeze(1) for state in states)
    if isinstance(module, nn.RNNBase):
        module.check_forward_args(frames, states if len(states) > 1 else states[0], None)  # type: ignore[arg-type]
    outputs, ends = stack(
        module, direction, frames.transpose(0, 1) if module.batch_first else frames, states
    )
    outputs = outputs.transpose(0, 1) if module.batch_first else outputs
    return (
        (outputs, ends)
        if batched
        else (outputs.squeeze(axis), tuple(end.squeeze(1) for end in ends))
    )


def zeros(module: Any, frames: Tensor) -> State:
    """Initial states of 0 for frames with a batch: h, and for an LSTM c."""
    rows = module.num_layers * (2 if getattr(module, "bidirectional", False) else 1)
    batch = frames.shape[0 if module.batch_first else 1]
    output = getattr(module, "proj_size", 0) or module.hidden_size
    sizes = (output, module.hidden_size) if module.states == 2 else (output,)
    return tuple(frames.new_zeros(rows, batch, size) for size in sizes)
