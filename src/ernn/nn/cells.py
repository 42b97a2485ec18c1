"""The recurrent cells that torch lacks, called as torch.nn.LSTM and torch.nn.GRU are (REFERENCE.md section 2).

`PeepholeLSTM` (Sak et al. 2014) and `ResetBeforeGRU` (the GRU of the E-RNN paper).  The input's product is one
matrix product over the whole sequence; only the recurrent product is a loop over time.  Parameters are named, shaped
and initialised as torch's; order of gates i, f, g, o and r, z, n.  Packed sequences and two directions: not here.
"""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from ernn.errors import UserError


class _Stack(nn.Module):
    """What both cells share: sizes, parameters, stacking, layouts. `gates` and `_scan` are the cell's own."""

    gates: int

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int, batch_first: bool, dropout: float, proj_size: int
    ) -> None:
        super().__init__()
        if not 0 <= proj_size < hidden_size:
            raise UserError(f"proj_size must be at least 0 and below hidden_size = {hidden_size}, not {proj_size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout, self.proj_size = batch_first, dropout, proj_size
        for index in range(num_layers):
            self._add_layer(index)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / sqrt(hidden_size), 1 / sqrt(hidden_size))

    @property
    def output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def _add_layer(self, index: int) -> None:
        rows = self.gates * self.hidden_size
        columns = self.input_size if index == 0 else self.output_size
        self._add(f"weight_ih_l{index}", rows, columns)
        self._add(f"weight_hh_l{index}", rows, self.output_size)
        self._add(f"bias_ih_l{index}", rows)
        self._add(f"bias_hh_l{index}", rows)

    def _add(self, name: str, *shape: int) -> None:
        self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    def weight(self, name: str, index: int) -> Tensor:
        """Parameter `name` of layer `index`, through its parametrization where it has one."""
        return getattr(self, f"{name}_l{index}")

    def extra_repr(self) -> str:
        shown = ("num_layers", "batch_first", "dropout", "proj_size")
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *[f"{n}={getattr(self, n)}" for n in shown]])

    def _run(self, frames: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """`states`: one tensor a kind of state, (layers, batch, size); as for `frames`, unbatched without `batch`."""
        if frames.dim() not in (2, 3) or frames.shape[-1] != self.input_size:
            shape = tuple(frames.shape)
            raise UserError(f"frames must be (time, [batch,] {self.input_size}), or batch first, not {shape}")
        if frames.dim() == 2:
            outputs, ends = self._run_time_first(frames[:, None], tuple(state[:, None] for state in states))
            return outputs[:, 0], tuple(end[:, 0] for end in ends)
        if not self.batch_first:
            return self._run_time_first(frames, states)
        outputs, ends = self._run_time_first(frames.transpose(0, 1), states)
        return outputs.transpose(0, 1), ends

    def _run_time_first(self, frames: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        ends: list[tuple[Tensor, ...]] = []
        for index in range(self.num_layers):
            if index > 0:
                frames = functional.dropout(frames, self.dropout, self.training)
            bias = self.weight("bias_ih", index) + self.weight("bias_hh", index)  # no gate needs them apart
            products = functional.linear(frames, self.weight("weight_ih", index), bias)
            frames, end = self._scan(index, products, tuple(state[index] for state in states))
            ends.append(end)
        return frames, tuple(torch.stack(layers) for layers in zip(*ends, strict=True))

    def _scan(self, index: int, products: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Products (time, batch, gates * hidden), biases included, to outputs (time, batch, output) and end state."""
        raise NotImplementedError

    def _zeros(self, frames: Tensor, size: int) -> Tensor:
        batch = () if frames.dim() == 2 else (frames.shape[0 if self.batch_first else 1],)
        return frames.new_zeros((self.num_layers, *batch, size))


class PeepholeLSTM(_Stack):
    """torch.nn.LSTM with peepholes: `peephole_l{n}` (3, hidden), the rows of i, f and o (o looks at the new cell)."""

    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        proj_size: int = 0,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, batch_first, dropout, proj_size)

    def _add_layer(self, index: int) -> None:
        super()._add_layer(index)
        self._add(f"peephole_l{index}", 3, self.hidden_size)
        if self.proj_size:
            self._add(f"weight_hr_l{index}", self.proj_size, self.hidden_size)

    def forward(
        self, frames: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs and (h_n, c_n), shapes as torch.nn.LSTM's."""
        if state is None:
            state = self._zeros(frames, self.output_size), self._zeros(frames, self.hidden_size)
        outputs, (h, c) = self._run(frames, state)
        return outputs, (h, c)

    def _scan(self, index: int, products: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        y, c = state
        recurrent = self.weight("weight_hh", index).t()
        # Spread over the batch once, so that the gradient is summed over it once, not at every step.
        p_i, p_f, p_o = self.weight("peephole", index)[:, None].expand(-1, len(c), -1).unbind(0)
        projection = self.weight("weight_hr", index).t() if self.proj_size else None
        outputs = []
        for product in products.unbind(0):
            i, f, g, o = torch.addmm(product, y, recurrent).chunk(4, dim=1)
            i = torch.sigmoid(torch.addcmul(i, p_i, c))
            f = torch.sigmoid(torch.addcmul(f, p_f, c))
            c = torch.addcmul(f * c, i, torch.tanh(g))
            m = torch.sigmoid(torch.addcmul(o, p_o, c)) * torch.tanh(c)
            y = m if projection is None else m @ projection
            outputs.append(y)
        return torch.stack(outputs), (y, c)


class ResetBeforeGRU(_Stack):
    """torch.nn.GRU with n = tanh(W_in x + b_in + W_hn (r * h) + b_hn): the reset gate before the recurrent product."""

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, batch_first, dropout, proj_size=0)

    def forward(self, frames: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs and h_n, shapes as torch.nn.GRU's."""
        outputs, (h,) = self._run(frames, (self._zeros(frames, self.hidden_size) if state is None else state,))
        return outputs, h

    def _scan(self, index: int, products: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        (h,) = state
        weight, gates = self.weight("weight_hh", index), 2 * self.hidden_size
        for_gates, for_candidate = weight[:gates].t(), weight[gates:].t()
        outputs = []
        for product in products.unbind(0):
            from_input = product.split(gates, dim=1)
            r, z = torch.sigmoid(torch.addmm(from_input[0], h, for_gates)).chunk(2, dim=1)
            n = torch.tanh(torch.addmm(from_input[1], r * h, for_candidate))
            h = torch.lerp(n, h, z)
            outputs.append(h)
        return torch.stack(outputs), (h,)
