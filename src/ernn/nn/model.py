"""The acoustic model that a `ModelSpec` asks for, as a torch module."""

import os

import torch
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.ir.cells import COMPACT
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell
from ernn.nn.recurrent import GRU, LSTM
from ernn.nn.spec import LayerSpec, ModelSpec

Recurrent = LSTM | GRU | PeepholeLSTM | ResetBeforeGRU | DescribedCell


TRAINED_BYTES = 16  # of a float32 weight: itself, its gradient and AdamW's two averages


class AcousticModel(nn.Module):
    """Recurrent layers, dropout after each, one Linear: frames (batch, time, inputs) to (batch,
    time, outputs).

    With `spec.front` another Linear stands before them.
    Time only runs forward, so frames that pad the end of an utterance never reach the outputs
    before them: a padded batch needs no packing, only a loss that knows the lengths.  Cells are
    torch's where they suffice, trained faster (`ernn.nn.recurrent`), ours for peepholes, the reset
    before and compact cells.  Parameters: `recurrent.{n}.weight_ih_l0`, ..., `output.weight`,
    `output.bias` (and `front.weight`, `front.bias`).
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.front = None if spec.front is None else nn.Linear(spec.input_size, spec.front)
        sizes = (spec.front or spec.input_size, *[layer.output_size for layer in spec.layers])
        self.recurrent = nn.ModuleList(
            recurrent(layer, size) for layer, size in zip(spec.layers, sizes, strict=False)
        )
        self.dropout = nn.Dropout(spec.dropout)
        self.output = nn.Linear(sizes[-1], spec.outputs)

    def forward(self, frames: Tensor) -> Tensor:
        if self.front is not None:
            frames = self.front(frames)
        for layer in self.recurrent:
            frames = self.dropout(layer(frames)[0])
        return self.output(frames)


def require_memory(spec: ModelSpec) -> None:
    """UserError where training the model takes more memory than this machine has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        with torch.device("meta"):
            weights = sum(parameter.numel() for parameter in AcousticModel(spec).parameters())
    except (RuntimeError, ValueError, TypeError, OverflowError):  # torch counts bytes in 64 bits
        sizes = ", ".join(f"{layer.hidden:,}" for layer in spec.layers)
        raise UserError(
            f"layers of {sizes} units are more than torch can count: choose fewer units"
        ) from None
    if weights * TRAINED_BYTES > memory:
        raise UserError(
            f"a network of {weights:,} weights takes {weights * TRAINED_BYTES / 2**30:,.0f} GiB to "
            "train, this machine "
            f"has {memory / 2**30:,.0f}: choose fewer units or layers"
        )


def recurrent(spec: LayerSpec, input_size: int) -> Recurrent:
    """One recurrent layer, batch first."""
    if spec.cell in COMPACT:
        return DescribedCell(
            COMPACT[spec.cell],
            input_size,
            spec.hidden,
            batch_first=True,
            orthogonal=spec.orthogonal,
        )
    match spec:
        case LayerSpec(cell="lstm", peepholes=True):
            return PeepholeLSTM(
                input_size, spec.hidden, batch_first=True, proj_size=spec.projection or 0
            )
        case LayerSpec(cell="lstm"):
            return LSTM(input_size, spec.hidden, batch_first=True, proj_size=spec.projection or 0)
        case LayerSpec(reset="before"):
            return ResetBeforeGRU(input_size, spec.hidden, batch_first=True)
        case _:
            return GRU(input_size, spec.hidden, batch_first=True)
