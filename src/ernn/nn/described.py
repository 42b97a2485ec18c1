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
from ernn.ir.cell import INPUT, Cell, CellProduct, CellStep, Read
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
            if read.name != INPUT
        ]
        return CellScan.apply(self.cell, self._of_input(frames, weights), stacked, *back)  # type: ignore[no-any-return]

    def _of_input(self, frames: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """What the gates of all products have of the input, biases included: (time, batch, gates *
        hidden).
        """
        parts = [_of_input(self, product, frames, weights) for product in self.cell.products]
        return torch.cat([part.expand(*frames.shape[:2], -1) for part in parts], -1)


def explicit(owner: DescribedCell, frames: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """`CellScan` as the description says, one step after the other in torch's operations.

    What runs on other devices and number formats, and what the scan is tested against.
    """
    cell = owner.cell
    from_input = {p.name: _of_input(owner, p, frames, weights) for p in cell.products}
    vectors = {name: getattr(owner, f"{name}_l0") for name in cell.vectors}
    zero = frames.new_zeros(frames.shape[1], owner.hidden_size)
    values = {str(Read(step.name)): zero for step in cell.steps}
    outputs = []
    for t in range(len(frames)):
        values = {str(Read(step.name, 1)): values[step.name] for step in cell.steps}
        for stage in cell.stages:
            gates: dict[str, Tensor] = {}
            for product in stage.products:
                total = from_input[product.name][t]
                for read in product.reads:
                    if read.name != INPUT:
                        total = total + functional.linear(
                            values[str(read)], weights[weight_name(product, read)]
                        )
                parts = total.chunk(product.gates, dim=-1)
                gates |= {f"{product.name}.{gate}": part for gate, part in enumerate(parts)}
            for step in stage.steps:
                total = sum_of(step, gates | vectors | values)
                values[step.name] = _FUNCTIONS[step.activation](total) if step.activation else total
        outputs.append(values[cell.outputs[0]])
    return torch.stack(outputs)


def _of_input(
    owner: DescribedCell, product: CellProduct, frames: Tensor, weights: Mapping[str, Tensor]
) -> Tensor:
    """The part of a product that all frames have at once: of the input, and the bias."""
    bias = getattr(owner, f"bias_{product.name}_l0") if product.bias else None
    reads = [read for read in product.reads if read.name == INPUT]
    total = frames.new_zeros(product.gates * owner.hidden_size) if bias is None else bias
    for read in reads:
        total = total + functional.linear(
            delayed(frames, read.delay), weights[weight_name(product, read)]
        )
    return total.expand(*frames.shape[:2], -1)


def delayed(frames: Tensor, delay: int) -> Tensor:
    """Frames (time, ...) as they were `delay` frames ago, zeros before the first."""
    if not delay:
        return frames
    before = frames.new_zeros(min(delay, len(frames)), *frames.shape[1:])
    return torch.cat([before, frames[: max(0, len(frames) - delay)]])


def weight_name(product: CellProduct, read: Read) -> str:
    """The parameter that multiplies what is read; of several steps or delays it names which."""
    of_input = read.name == INPUT
    alike = [one for one in product.reads if (one.name == INPUT) == of_input]
    way = "ih" if of_input else "hh"
    if len(alike) == 1:
        return f"weight_{way}_{product.name}_l0"
    which = f"{'' if of_input else read.name}{read.delay or ''}" if of_input else read.name
    return f"weight_{way}_{product.name}{which and '_' + which}_l0"


def sum_of(step: CellStep, values: Mapping[str, Tensor]) -> Tensor:
    """The sum of a step's terms, before its activation."""
    total: Tensor | None = None
    for term in step.terms:
        first, *others = (values[str(read)] for read in term.factors)
        value = first * others[0] if others else first
        value = -value if term.negative else value
        total = value if total is None else total + value
    assert total is not None
    return total
