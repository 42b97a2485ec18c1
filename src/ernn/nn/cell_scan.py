"""Any described cell over time, with its gradient written out (compare `ernn.nn.gru_scan`).

Products with the input are one product over all frames, taken before; products with a step are one
of torch's a frame, written into buffers; the element-wise steps are compiled
(`ernn.nn.cell_loops`), a call for a stage of a frame, or one for the whole sequence where no
product reads a step (SRU, QRNN, IndRNN).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ernn.ir.cell import Cell
from ernn.nn.buffers import array
from ernn.nn.cell_loops import steps_back, steps_forward, table
from ernn.nn.threads import threads_for

T = TypeVar("T")

WayBack = tuple[tuple[Tensor, ...], tuple[Tensor, ...], int, Tensor]
"""Gradients of a product's gates by frame, of the step that it reads by turns, 0 for the frame
before's, the weight.
"""

table_of = cache(table)


@dataclass(frozen=True)
class Read:
    """A product with a step: its gates, the first and behind the last; the step's row; `late`: the
    frame before's.
    """

    stage: int
    gates: tuple[int, int]
    step: int
    late: bool


@cache
def reads(cell: Cell) -> tuple[Read, ...]:
    """Every product with a step, in the sequence of the cell's products and of what each reads."""
    rows, gate, found = {step.name: row for row, step in enumerate(cell.steps)}, 0, []
    for number, stage in enumerate(cell.stages):
        for product in stage.products:
            gates = gate, gate + product.gates
            found += [
                Read(number, gates, rows[r.name], r.delay == 1)
                for r in product.reads
                if r.name not in cell.inputs
            ]
            gate += product.gates
    return tuple(found)


class CellScan(torch.autograd.Function):
    """(cell, from_x, vectors, *weights) to outputs (time, batch, hidden); states are zero before
    the first frame.

    from_x (time, batch, gates * hidden): what the gates of all products have of the input, biases
    included. vectors (vectors, hidden). weights (gates of the product * hidden, hidden): one for
    each of `reads`.
    """

    @staticmethod
    def forward(ctx: Any, cell: Cell, from_x: Tensor, vectors: Tensor, *weights: Tensor) -> Tensor:
        from_x, vectors, made = from_x.contiguous(), vectors.contiguous(), table_of(cell)
        time, batch, _ = from_x.shape
        values = from_x.new_empty(len(cell.steps), time + 1, batch, vectors.shape[1])
        values[:, 0] = 0
        ctx.saved, ctx.from_x_shape = (cell, values, vectors, weights), from_x.shape
        if not weights:
            arrays = array(from_x), array(values), array(vectors)
            steps_forward(made.steps, made.terms, 0, len(made.steps), 0, *arrays)
            return values[made.output, 1:]
        gates, frames = from_x.new_empty(1, *from_x.shape[1:]), from_x.unbind(0)
        arrays = array(gates), array(values), array(vectors)
        products = [
            (
                columns_of(gates[0], read, values),
                values[read.step, 0 if read.late else 1 :].unbind(0),
                weight.t(),
            )
            for read, weight in zip(reads(cell), weights, strict=True)
        ]
        stages = list(zip(made.stages, by_stage(cell, products), strict=True))
        with threads_for(largest(weights, batch)):
            for t in range(time):
                gates[0] = frames[t]
                for (begin, end), some in stages:
                    for out, states, weight in some:
                        torch.addmm(out, states[t], weight, out=out)
                    steps_forward(made.steps, made.terms, begin, end, t, *arrays)
        return values[made.output, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        cell, values, vectors, weights = ctx.saved
        made, (steps, _, batch, hidden) = table_of(cell), values.shape
        d_gates, d_values = d_y.new_zeros(ctx.from_x_shape), d_y.new_zeros(steps, 2, batch, hidden)
        d_vectors = d_y.new_zeros(batch, *vectors.shape)
        known = made.output, array(values), array(vectors), array(d_y.contiguous())
        found, summed = array(d_gates), (array(d_values), array(d_vectors))
        if not weights:
            steps_back(made.steps, made.terms, 0, steps, 0, *known, found, *summed)
            return None, d_gates, d_vectors.sum(0)
        walk = list(zip(made.stages, ways_back(cell, d_gates, d_values, weights), strict=True))[
            ::-1
        ]
        with threads_for(largest(weights, batch)):
            for t in reversed(range(len(d_gates))):
                for (begin, end), some in walk:
                    steps_back(
                        made.steps, made.terms, begin, end, t, *known, found[t : t + 1], *summed
                    )
                    products_back(some, t)
        d_weights = weights_back(cell, d_gates, values, ctx.needs_input_grad[3:])
        return None, d_gates, d_vectors.sum(0), *d_weights


def columns_of(gates: Tensor, read: Read, values: Tensor) -> Tensor:
    """Of the gates of all products (..., gates * hidden) those of the one that reads."""
    first, behind = (gate * values.shape[3] for gate in read.gates)
    return gates[..., first:behind]


def states_of(values: Tensor, read: Read) -> Tensor:
    """What a product multiplies in all frames, (time * batch, hidden)."""
    return (values[read.step, :-1] if read.late else values[read.step, 1:]).flatten(0, 1)


def by_stage(cell: Cell, products: Sequence[T]) -> list[list[T]]:
    """What there is of each product that reads a step, stage by stage."""
    pairs = list(zip(reads(cell), products, strict=True))
    return [
        [one for read, one in pairs if read.stage == number] for number in range(len(cell.stages))
    ]


def largest(weights: Sequence[Tensor], batch: int) -> int:
    """Multiplications of a frame's largest product."""
    return max((weight.numel() for weight in weights), default=0) * batch


def ways_back(
    cell: Cell, d_gates: Tensor, d_values: Tensor, weights: Sequence[Tensor]
) -> list[list[WayBack]]:
    """What `products_back` needs of each stage's products.

    d_gates (time, batch, gates * hidden). d_values (steps, 2, batch, hidden): of a frame and the
    one before, by turns.
    """
    products = [
        (
            columns_of(d_gates, read, d_values).unbind(0),
            d_values[read.step].unbind(0),
            0 if read.late else 1,
            weight,
        )
        for read, weight in zip(reads(cell), weights, strict=True)
    ]
    return by_stage(cell, products)


def products_back(products: Sequence[WayBack], t: int) -> None:
    """Adds, to the gradients of the steps that a stage's products read, what comes back from frame
    t's gates.
    """
    for d_gates, d_states, when, weight in products:
        to = d_states[(t + when) % 2]
        torch.addmm(to, d_gates[t], weight, out=to)


def weights_back(
    cell: Cell, d_gates: Tensor, values: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of the `wanted` weights, from those of the gates of all frames."""
    return [
        columns_of(d_gates, read, values).flatten(0, 1).t() @ states_of(values, read)
        if want
        else None
        for read, want in zip(reads(cell), wanted, strict=True)
    ]
