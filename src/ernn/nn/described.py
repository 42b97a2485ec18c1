"""A torch module for any described cell (`ernn.ir.cell`), called as torch.nn.GRU is.

Parameters are named as torch names them, so that plans find them: `weight_ih_{product}_l0` for what
a product multiplies the input with, `weight_hh_{product}_l0` for what it multiplies a step with
(gates stacked, (gates * hidden, columns)), `bias_{product}_l0`, and the cell's vectors as
`{vector}_l0`.  Every step is `hidden_size` long.
"""

from collections.abc import Mapping
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ernn.errors import UserError
from ernn.ir.cell import INPUT, Cell
from ernn.nn.parameters import weight_name
from ernn.nn.recurrent import run
from ernn.nn.table import remembered


class DescribedCell(nn.Module):
    """One layer of `cell`. `orthogonal`: the square recurrent matrices of single gates stay
    orthogonal in training.
    """

    num_layers = 1

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        batch_first: bool = False,
        orthogonal: bool = False,
    ) -> None:
        super().__init__()
        self.cell, self.input_size, self.hidden_size = cell, input_size, hidden_size
        self.batch_first, self.orthogonal = batch_first, orthogonal
        for product in cell.products:
            for read in product.reads:
                columns = input_size if read.name == INPUT else hidden_size
                self._add(weight_name(product, read), product.gates * hidden_size, columns)
            if product.bias:
                self._add(f"bias_{product.name}_l0", product.gates * hidden_size)
        for vector in cell.vectors:
            self._add(f"{vector}_l0", hidden_size)
        if orthogonal:
            self._keep_orthogonal()

    def _add(self, name: str, *shape: int) -> None:
        bound = 1 / sqrt(self.hidden_size)
        self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def _keep_orthogonal(self) -> None:
        names = [
            weight_name(p, r)
            for p in self.cell.products
            for r in p.reads
            if r.name != INPUT and p.gates == 1
        ]
        if not names:
            raise UserError(
                f"a {self.cell.title} has no square recurrent matrix that could be orthogonal"
            )
        for name in names:
            parametrizations.orthogonal(self, name)

    def extra_repr(self) -> str:
        kind = ", orthogonal" if self.orthogonal else ""
        sizes = f"{self.input_size}, {self.hidden_size}"
        return f"{self.cell.title}, {sizes}, batch_first={self.batch_first}{kind}"

    @property
    def states(self) -> tuple[str, ...]:
        """The steps that the next frame reads."""
        return tuple(remembered(self.cell))

    def forward(
        self, frames: Tensor, state: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Outputs, several one after another, and the last frame of each of `states`.

        state: as returned, (1, batch, hidden) each; None starts from 0. Raises UserError for frames
        or a state of something else.
        """
        if state is not None and set(state) != set(self.states):
            names, given = (", ".join(one) for one in (self.states, state))
            raise UserError(f"a state must have {names or 'nothing'}, not {given}")
        given = None if state is None else tuple(state[name] for name in self.states)
        outputs, ends = run(self, frames, given)
        return outputs, dict(zip(self.states, ends, strict=True))
