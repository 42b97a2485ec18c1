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
from torch.nn import functional
from torch.nn.utils import parametrizations

from ernn.errors import UserError
from ernn.ir.cell import INPUT, Cell, CellProduct, CellStep
from ernn.nn.cell_scan import CellScan
from ernn.nn.recurrent import runs_here

_FUNCTIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


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
                columns = input_size if read == INPUT else hidden_size
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
            if r != INPUT and p.gates == 1
        ]
        if not names:
            raise UserError(
                f"a {self.cell.title} has no square recurrent matrix that could be orthogonal"
            )
        for name in names:
            parametrizations.orthogonal(self, name)

    def extra_repr(self) -> str:
        kind = ", orthogonal" if self.orthogonal else ""
        return f"{self.cell.title}, {self.input_size}, {self.hidden_size}, batch_first={self.batch_first}{kind}"

    def forward(self, frames: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs and the last one, (1, batch, hidden); states are zero before the first frame."""
        if state is not None:
            raise UserError(f"a {self.cell.title} starts from zero: leave the state out")
        if frames.dim() not in (2, 3) or frames.shape[-1] != self.input_size:
            shape = tuple(frames.shape)
            raise UserError(
                f"frames must be (time, [batch,] {self.input_size}), or batch first, not {shape}"
            )
        ordered = frames.transpose(0, 1) if self.batch_first and frames.dim() == 3 else frames
        outputs = self._through(ordered if frames.dim() == 3 else ordered[:, None])
        last = outputs[-1:]
        if frames.dim() == 2:
            return outputs[:, 0], last[:, 0]
        return (outputs.transpose(0, 1) if self.batch_first else outputs), last

    def _through(self, frames: Tensor) -> Tensor:
        """Outputs (time, batch, hidden) of frames (time, batch, inputs)."""
        names = [
            weight_name(product, read) for product in self.cell.products for read in product.reads
        ]
        weights = {name: getattr(self, name) for name in names}  # once: they may be parametrized
        if not runs_here(self, frames):
            return explicit(self, frames, weights)
        vectors = [getattr(self, f"{name}_l0") for name in self.cell.vectors]
        stacked = torch.stack(vectors) if vectors else frames.new_empty(0, self.hidden_size)
        back = [
            weights[weight_name(p, read)]
            for p in self.cell.products
            for read in p.reads
            if read != INPUT
        ]
        return CellScan.apply(self.cell, self._of_input(frames, weights), stacked, *back)  # type: ignore[no-any-return]

    def _of_input(self, frames: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """What the gates of all products have of the input, biases included: (time, batch, gates *
        hidden).
        """
        into, biases = [], []
        for product in self.cell.products:
            rows, reads = product.gates * self.hidden_size, INPUT in product.reads
            into.append(
                weights[weight_name(product, INPUT)]
                if reads
                else frames.new_zeros(rows, self.input_size)
            )
            biases.append(
                getattr(self, f"bias_{product.name}_l0") if product.bias else frames.new_zeros(rows)
            )
        return functional.linear(frames, torch.cat(into), torch.cat(biases))


def explicit(owner: DescribedCell, frames: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """`CellScan` as the description says, one step after the other in torch's operations.

    What runs on other devices and number formats, and what the scan is tested against.
    """
    cell = owner.cell
    from_input = {p.name: _of_input(owner, p, frames, weights) for p in cell.products}
    vectors = {name: getattr(owner, f"{name}_l0") for name in cell.vectors}
    zero = frames.new_zeros(frames.shape[1], owner.hidden_size)
    values = {step.name: zero for step in cell.steps}
    outputs = []
    for t in range(len(frames)):
        for stage in cell.stages:
            gates: dict[str, Tensor] = {}
            for product in stage.products:
                total = from_input[product.name][t]
                for read in product.reads:
                    if read != INPUT:
                        total = total + functional.linear(
                            values[read], weights[weight_name(product, read)]
                        )
                parts = total.chunk(product.gates, dim=-1)
                gates |= {f"{product.name}.{gate}": part for gate, part in enumerate(parts)}
            for step in stage.steps:
                total = sum_of(step, gates | vectors | values)
                values[step.name] = _FUNCTIONS[step.activation](total) if step.activation else total
        outputs.append(values[cell.output])
    return torch.stack(outputs)


def _of_input(
    owner: DescribedCell, product: CellProduct, frames: Tensor, weights: Mapping[str, Tensor]
) -> Tensor:
    """The part of a product that all frames have at once: of the input, and the bias."""
    bias = getattr(owner, f"bias_{product.name}_l0") if product.bias else None
    if INPUT in product.reads:
        return functional.linear(frames, weights[weight_name(product, INPUT)], bias)
    rows = frames.new_zeros(product.gates * owner.hidden_size) if bias is None else bias
    return rows.expand(*frames.shape[:2], -1)


def weight_name(product: CellProduct, read: str) -> str:
    """The parameter that multiplies `read`; a product that reads two steps names both."""
    if read == INPUT:
        return f"weight_ih_{product.name}_l0"
    several = sum(name != INPUT for name in product.reads) > 1
    return f"weight_hh_{product.name}_{read}_l0" if several else f"weight_hh_{product.name}_l0"


def sum_of(step: CellStep, values: Mapping[str, Tensor]) -> Tensor:
    """The sum of a step's terms, before its activation."""
    total: Tensor | None = None
    for term in step.terms:
        first, *others = (values[name] for name in term.factors)
        value = first * others[0] if others else first
        value = -value if term.negative else value
        total = value if total is None else total + value
    assert total is not None
    return total
