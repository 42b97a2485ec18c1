"""The LSTM over time with its gradient written out: products into buffers, element-wise work in one
compiled loop.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ernn.nn.buffers import arrays, slots
from ernn.nn.loops import lstm_step, lstm_step_back
from ernn.nn.products import largest, product, spread_both, step_back, total
from ernn.nn.threads import threads_for


class LstmScan(torch.autograd.Function):
    """(x, y0, c0, into, back, projection, bias, peephole) to outputs (time, outputs, batch) and the
    last cell.

    x (time, inputs, batch); y0 (outputs, batch), c0 (hidden, batch): in the order of
    `ernn.nn.order` for `block`. into, back, projection (or None): as `ernn.nn.products.product`
    takes them. bias (block, 4, n), peephole (block, 3, n) or (block, 0, n): already spread over the
    batch, n = hidden / block * batch. keep: whether a gradient is wanted.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y0: Tensor,
        c0: Tensor,
        into: Tensor,
        back: Tensor,
        projection: Tensor | None,
        bias: Tensor,
        peephole: Tensor,
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        time, _, batch = x.shape
        parts, _, n = bias.shape
        products = [
            None if w is None else product(w, parts, batch) for w in (into, back, projection)
        ]
        from_x, from_y, to_y = products
        assert from_x and from_y
        y = x.new_empty(time + 1, *y0.shape)
        y[0] = y0
        ys = y.unbind(0)
        cells = slots(x, time + 1, time + 1 if keep else 2, parts, n)
        cells[0].copy_(c0.view(parts, n))
        gates = slots(x, time, time if keep else 1, parts, 4, n)
        outs = (
            slots(x, time, time if keep else 1, parts, n)
            if to_y
            else [out.view(parts, n) for out in ys[1:]]
        )
        gate_arrays, cell_arrays, out_arrays = arrays(gates), arrays(cells), arrays(outs)
        biases, looks = bias.detach().numpy(), peephole.detach().numpy()
        operands = from_x.operands(x)
        held_y, held_m = [], []
        with threads_for(largest(products)):
            for t in range(time):
                operand = from_y.operand(ys[t])
                total((from_x, operands[t]), (from_y, operand), gates[t])
                lstm_step(
                    gate_arrays[t], biases, looks, cell_arrays[t], cell_arrays[t + 1], out_arrays[t]
                )
                if keep:
                    held_y.append(operand)
                if to_y:
                    m = to_y.operand(outs[t].view(-1, batch))
                    to_y.multiply(m, ys[t + 1])
                    if keep:
                        held_m.append(m)
        if keep:
            ctx.products, ctx.operands = products, (operands, held_y, held_m)
            ctx.arrays = gate_arrays, cell_arrays, looks
            ctx.x_shape = x.shape
        return y[1:], cells[time].reshape(-1, batch).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_c: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        products = ctx.products
        from_x, from_y, to_y = products
        needs = ctx.needs_input_grad
        for weight, wanted in zip(products, needs[3:6], strict=True):
            if weight:
                weight.prepare_back(wanted)
        xs, held_y, held_m = ctx.operands
        gates, cells, looks = ctx.arrays
        time, _, batch = ctx.x_shape
        parts, _, n = gates[0].shape
        d_x = d_y.new_empty(ctx.x_shape) if needs[0] else None
        d_outputs = d_y.contiguous().unbind(0)
        d_cell = d_c.reshape(parts, n).clone()
        d, d_bias = d_y.new_empty(parts, 4, n), d_y.new_zeros(parts, 4, n)
        d_peephole = d_y.new_zeros(looks.shape)
        running = d_outputs[-1].clone()
        d_m = d_y.new_empty(parts * n // batch, batch) if to_y else running
        same = (
            d_m.view(parts, n).numpy(),
            d_cell.numpy(),
            d.numpy(),
            d_bias.numpy(),
            d_peephole.numpy(),
        )
        with threads_for(largest(products)):
            for t in reversed(range(time)):
                if to_y:
                    step_back(to_y, running, held_m[t], d_m)
                lstm_step_back(gates[t], looks, cells[t], cells[t + 1], *same)
                spread_x, spread_y = spread_both(from_x, from_y, d)
                from_x.gather(spread_x, xs[t])
                from_y.gather(spread_y, held_y[t])
                from_y.back(spread_y, running, add=d_outputs[t - 1] if t else None)
                if d_x is not None:
                    from_x.back(spread_x, d_x[t])
        weights = [weight.gradient() if weight else None for weight in products]
        return d_x, running, d_cell.view(-1, batch), *weights, d_bias, d_peephole, None
