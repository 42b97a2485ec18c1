"""The LSTM in blocks over a whole sequence in one compiled call each way, for layers whose steps
are short.

A step of few products takes less time than the calls of it.  Here all steps are one call: the
recurrent products, transforms and gates of a step, number by number of the batch side by side
(`ernn.nn.columns`).  What does not wait for the step before, products with the input and the
weights' gradients, are products over the whole sequence.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ernn.ir.network import Array
from ernn.nn.buffers import array
from ernn.nn.columns import COLUMNS, add_product
from ernn.nn.loops import compiled, lstm_step, lstm_step_back
from ernn.nn.spectra import transforms
from ernn.nn.threads import WORTH

LARGEST = 20_000_000
"""Numbers that the spectra of a sequence's products may have, which are all held at once."""


def suits(x: Tensor, into: Tensor, back: Tensor, projection: Tensor | None) -> bool:
    """Whether `LstmWhole` takes a layer, and should: one whose steps are too short to be shared
    out.

    x (time, inputs, batch), weights as `ernn.nn.products.product` takes them.
    """
    if projection is not None or into.dim() != 3 or back.dim() != 3 or x.dtype != torch.float32:
        return False
    time, _, batch = x.shape
    short = max(into.numel(), back.numel()) * batch < WORTH
    return short and batch % COLUMNS == 0 and into[:, :, 0].numel() * time * batch <= LARGEST


class LstmWhole(torch.autograd.Function):
    """As `ernn.nn.lstm_scan.LstmScan`, without a projection."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y0: Tensor,
        c0: Tensor,
        into: Tensor,
        back: Tensor,
        bias: Tensor,
        peephole: Tensor,
    ) -> tuple[Tensor, Tensor]:
        time, _, batch = x.shape
        block, _, n = bias.shape
        r, rows, units = back.shape
        analysis, synthesis = transforms(block, x.dtype)
        apart = x.view(time, block, -1, batch).permute(1, 2, 0, 3).reshape(block, -1)
        operand = (analysis @ apart).view(r, -1, time * batch)
        sums = torch.bmm(into, operand)
        y, cells = x.new_empty(time + 1, block, n), x.new_empty(time + 1, block, n)
        y[0], cells[0] = y0.view(block, n), c0.view(block, n)
        gates, held = x.new_empty(time, block, 4, n), x.new_empty(r, units, time * batch)
        room = x.new_empty(r * rows * COLUMNS)
        weights = (
            back.transpose(1, 2).contiguous(),
            analysis.t().contiguous(),
            synthesis.t().contiguous(),
        )
        forward(
            (time, batch, block, r, rows, units),
            *(_flat(tensor) for tensor in (sums, *weights, y, gates, held, room)),
            *(array(tensor) for tensor in (bias, peephole, y, gates, cells)),
        )
        ctx.saved, ctx.shape = (into, back, peephole, operand, held, gates, cells), x.shape
        return y[1:].view(time, -1, batch), cells[time].reshape(-1, batch).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_c: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        into, back, peephole, operand, held, gates, cells = ctx.saved
        time, _, batch = ctx.shape
        (r, rows, units), block, n = back.shape, gates.shape[1], gates.shape[3]
        analysis, synthesis = transforms(block, d_y.dtype)
        d_y = d_y.contiguous()
        running, d_cell = d_y[-1].reshape(block, n).clone(), d_c.reshape(block, n).clone()
        d, d_bias = d_y.new_empty(block, 4, n), d_y.new_zeros(block, 4, n)
        d_peephole, spread = d_y.new_zeros(peephole.shape), d_y.new_empty(r, rows, time * batch)
        room = d_y.new_empty(r * units * COLUMNS)
        backward(
            (time, batch, block, r, rows, units),
            *(
                _flat(tensor)
                for tensor in (back, synthesis, analysis, d_y, running, d, spread, room)
            ),
            *(
                array(tensor)
                for tensor in (peephole, gates, cells, running, d_cell, d, d_bias, d_peephole)
            ),
        )
        needs = ctx.needs_input_grad
        d_into = torch.bmm(spread, operand.transpose(1, 2)) if needs[3] else None
        d_back = torch.bmm(spread, held.transpose(1, 2)) if needs[4] else None
        d_x = None
        if needs[0]:
            gone_back = torch.bmm(into.transpose(1, 2), spread).view(r, -1)
            d_x = (
                (analysis.t() @ gone_back)
                .view(block, -1, time, batch)
                .permute(2, 0, 1, 3)
                .reshape(ctx.shape)
            )
        return (
            d_x,
            running.view(-1, batch),
            d_cell.view(-1, batch),
            d_into,
            d_back,
            d_bias,
            d_peephole,
        )


def _flat(tensor: Tensor) -> Array:
    return array(tensor.contiguous()).reshape(-1)


@compiled
def forward(
    sizes,
    sums,
    weights,
    analysis,
    synthesis,
    y,
    gates,
    held,
    room,
    bias,
    peephole,
    ys,
    by_step,
    cells,
):
    """sums (r, rows, time, batch): spectra of the input products. weights (r, units, rows),
    analysis (block, r), synthesis (r, block). y, ys (time + 1, block, n): the first is there.
    gates, by_step (time, block, 4, n), held (r, units, time, batch): spectra of y. room (r, rows,
    COLUMNS). rows: blocks of all gates, units: of one."""
    time, batch, block, r, rows, units = sizes
    zero, columns = (np.zeros(COLUMNS, np.float32), 0, 0), time * batch
    for t in range(time):
        for lane in range(0, batch, COLUMNS):
            at = t * batch + lane
            for unit in range(units):
                state = (y, (t * block * units + unit) * batch + lane, units * batch)
                add_product(
                    (held, unit * columns + at, units * columns),
                    zero,
                    (analysis, 0, r),
                    state,
                    r,
                    block,
                )
            for s in range(r):
                to, start = (
                    (room, s * rows * COLUMNS, COLUMNS),
                    (sums, s * rows * columns + at, columns),
                )
                of = (held, s * units * columns + at, columns)
                add_product(to, start, (weights, s * units * rows, rows), of, rows, units)
            for row in range(rows):
                to = (gates, (t * block * rows + row) * batch + lane, rows * batch)
                of = (room, row * COLUMNS, rows * COLUMNS)
                add_product(to, zero, (synthesis, 0, block), of, block, r)
        lstm_step(by_step[t], bias, peephole, cells[t], cells[t + 1], ys[t + 1])


@compiled
def backward(
    sizes, weights, synthesis, analysis, d_y, running, d, spread, room, peephole, by_step, cells, d_out, d_cell,
    d_gates, d_bias, d_peephole,
):  # fmt: skip
    """weights (r, rows, units), synthesis (block, r), analysis (r, block). d_y (time, block, n).
    running, d_out: the last step's d_y on entry, the gradient of y before the first step on return.
    spread (r, rows, time, batch) receives the gradient of the spectra that `forward` sums. room (r,
    units, COLUMNS)."""
    time, batch, block, r, rows, units = sizes
    zero, columns = (np.zeros(COLUMNS, np.float32), 0, 0), time * batch
    for t in range(time - 1, -1, -1):
        lstm_step_back(
            by_step[t], peephole, cells[t], cells[t + 1], d_out, d_cell, d_gates, d_bias, d_peephole
        )
        for lane in range(0, batch, COLUMNS):
            at = t * batch + lane
            for row in range(rows):
                of = (d, row * batch + lane, rows * batch)
                add_product(
                    (spread, row * columns + at, rows * columns),
                    zero,
                    (synthesis, 0, r),
                    of,
                    r,
                    block,
                )
            for s in range(r):
                of = (spread, s * rows * columns + at, columns)
                to = (room, s * units * COLUMNS, COLUMNS)
                add_product(to, zero, (weights, s * rows * units, units), of, units, rows)
            for unit in range(units):
                to, of = (
                    (running, unit * batch + lane, units * batch),
                    (room, unit * COLUMNS, units * COLUMNS),
                )
                start = (
                    (d_y, ((t - 1) * block * units + unit) * batch + lane, units * batch)
                    if t
                    else zero
                )
                add_product(to, start, (analysis, 0, block), of, block, r)
