"""The layers of `ernn.nn.rounded` over time in compiled loops, the gradient written out (see
`ernn.nn.cell_scan`).
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ernn.ir.cell import Cell
from ernn.nn.buffers import array
from ernn.nn.cell_scan import (
    by_stage,
    columns_of,
    largest,
    products_back,
    reads,
    table_of,
    ways_back,
    weights_back,
)
from ernn.nn.rounded_loops import rounded_back, rounded_forward
from ernn.nn.threads import threads_for


@dataclass(frozen=True, eq=False)
class Rounds:
    """How the edges of `cell` are rounded; numbers of the model's type, on its processor.

    formats (steps, 4) and products (gates, 2, 4): see `ernn.nn.rounded_loops`. sigmoid, tanh: what
    the tables give.
    """

    cell: Cell
    formats: Tensor
    products: Tensor
    sigmoid: Tensor
    tanh: Tensor

    @property
    def stages(self) -> list[tuple[int, int, int, int]]:
        """Of each its first gate, behind its last, its first step, behind its last."""
        gates = accumulate(
            (sum(p.gates for p in stage.products) for stage in self.cell.stages), initial=0
        )
        return [
            (*gate, *steps)
            for gate, steps in zip(pairwise(gates), table_of(self.cell).stages, strict=True)
        ]


class RoundedScan(torch.autograd.Function):
    """(rounds, from_x, biases, vectors, *weights) to outputs (time, batch, hidden); states are zero
    before.

    from_x (time, batch, gates * hidden): what the gates of all products have of the input, without
    biases. biases (gates * hidden,), vectors (vectors, hidden): rounded already. weights: one for
    each of `ernn.nn.cell_scan.reads`.
    """

    @staticmethod
    def forward(
        ctx: Any, rounds: Rounds, from_x: Tensor, biases: Tensor, vectors: Tensor, *weights: Tensor
    ) -> Tensor:
        cell, made = rounds.cell, table_of(rounds.cell)
        (time, batch, _), hidden = from_x.shape, vectors.shape[1]
        raw, gates = (
            from_x.clone(memory_format=torch.contiguous_format),
            from_x.new_empty(1, *from_x.shape[1:]),
        )
        values = from_x.new_empty(len(cell.steps), time + 1, batch, hidden)
        before = from_x.new_empty(len(cell.steps), time, batch, hidden)
        values[:, 0] = 0
        ctx.saved = rounds, raw, before, values, vectors, weights
        known = [
            array(one)
            for one in (rounds.formats, rounds.products, rounds.sigmoid, rounds.tanh, biases)
        ]
        found = [array(one) for one in (raw, gates, before, values, vectors)]
        products = [
            (
                columns_of(raw, read, values).unbind(0),
                values[read.step, 0 if read.late else 1 :].unbind(0),
                weight.t(),
            )
            for read, weight in zip(reads(cell), weights, strict=True)
        ]
        stages = list(zip(rounds.stages, by_stage(cell, products), strict=True))
        with threads_for(largest(weights, batch)):
            for t in range(time):
                for stage, some in stages:
                    for out, states, weight in some:
                        torch.addmm(out[t], states[t], weight, out=out[t])
                    rounded_forward(made.steps, made.terms, stage, t, *known, *found)
        return values[made.output, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        rounds, raw, before, values, vectors, weights = ctx.saved
        cell, made, (steps, _, batch, hidden) = rounds.cell, table_of(rounds.cell), values.shape
        d_gates, d_values = torch.zeros_like(raw), d_y.new_zeros(steps, 2, batch, hidden)
        d_vectors, d_biases = (
            d_y.new_zeros(batch, *vectors.shape),
            d_y.new_zeros(batch, raw.shape[2]),
        )
        known = [
            array(one) for one in (rounds.formats, rounds.products, raw, before, values, vectors)
        ]
        found = [array(one) for one in (d_y.contiguous(), d_gates, d_values, d_vectors, d_biases)]
        walk = list(zip(rounds.stages, ways_back(cell, d_gates, d_values, weights), strict=True))[
            ::-1
        ]
        with threads_for(largest(weights, batch)):
            for t in reversed(range(len(raw))):
                for stage, some in walk:
                    rounded_back(made.steps, made.terms, stage, t, made.output, *known, *found)
                    products_back(some, t)
        d_weights = weights_back(cell, d_gates, values, ctx.needs_input_grad[4:])
        return None, d_gates, d_biases.sum(0), d_vectors.sum(0), *d_weights
