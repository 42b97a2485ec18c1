"""The recurrent cells that torch lacks, called as torch.nn.LSTM and torch.nn.GRU are.

Equations: docs/explanation/equations.md.

`PeepholeLSTM` (Sak et al. 2014) and `ResetBeforeGRU` (the GRU of the E-RNN paper).  Parameters are
named, shaped and initialised as torch's; order of gates i, f, g, o and r, z, n.  Packed sequences:
not here.
"""

from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.ir.cell import Cell
from ernn.ir.cells import GRU_BEFORE
from ernn.nn.parameters import lstm
from ernn.nn.recurrent import run


class _Stack(nn.Module):
    """What both cells share. gates: of which a weight has the rows. states: steps that last."""

    gates: int
    states: tuple[str, ...]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= proj_size < hidden_size:
            raise UserError(
                f"proj_size must be at least 0 and below hidden_size = {hidden_size}, not "
                f"{proj_size}"
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        self.proj_size = proj_size
        for index in range(num_layers):
            for suffix in ("", "_reverse") if bidirectional else ("",):
                self._add_layer(
                    f"_l{index}{suffix}", input_size if index == 0 else self.output_size
                )
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / sqrt(hidden_size), 1 / sqrt(hidden_size))

    @property
    def output_size(self) -> int:
        """Of all directions together."""
        return (self.proj_size or self.hidden_size) * (2 if self.bidirectional else 1)

    def _add_layer(self, suffix: str, columns: int) -> None:
        rows = self.gates * self.hidden_size
        self._add(f"weight_ih{suffix}", rows, columns)
        self._add(f"weight_hh{suffix}", rows, self.proj_size or self.hidden_size)
        self._add(f"bias_ih{suffix}", rows)
        self._add(f"bias_hh{suffix}", rows)

    def _add(self, name: str, *shape: int) -> None:
        self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    def extra_repr(self) -> str:
        shown = ("num_layers", "batch_first", "dropout", "bidirectional", "proj_size")
        return ", ".join(
            [f"{self.input_size}, {self.hidden_size}", *[f"{n}={getattr(self, n)}" for n in shown]]
        )


class PeepholeLSTM(_Stack):
    """torch.nn.LSTM with peepholes: `peephole_l{n}` (3, hidden), the rows of i, f and o (o looks at
    the new cell).
    """

    gates, states = 4, ("h", "c")

    @property
    def cell(self) -> Cell:
        return lstm(True, bool(self.proj_size))

    def _add_layer(self, suffix: str, columns: int) -> None:
        super()._add_layer(suffix, columns)
        self._add(f"peephole{suffix}", 3, self.hidden_size)
        if self.proj_size:
            self._add(f"weight_hr{suffix}", self.proj_size, self.hidden_size)

    def forward(
        self, frames: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs and (h_n, c_n), shapes as torch.nn.LSTM's."""
        outputs, (h, c) = run(self, frames, state)
        return outputs, (h, c)


class ResetBeforeGRU(_Stack):
    """torch.nn.GRU with n = tanh(W_in x + b_in + W_hn (r * h) + b_hn): the reset gate before the
    recurrent product. It has no projection.
    """

    cell, gates, states = GRU_BEFORE, 3, ("h",)

    def __init__(self, *sizes: Any, **options: Any) -> None:
        super().__init__(*sizes, **options)
        if self.proj_size:
            raise UserError(f"a GRU has no projection: leave out proj_size = {self.proj_size}")

    def forward(self, frames: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs and h_n, shapes as torch.nn.GRU's."""
        outputs, (h,) = run(self, frames, None if state is None else (state,))
        return outputs, h
