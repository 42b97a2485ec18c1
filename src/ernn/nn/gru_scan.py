"""The GRU over time, in both reset conventions, with its gradient written out (compare
`ernn.nn.lstm_scan`).

Gates are kept in the sequence n, r, z.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ernn.nn.buffers import array, arrays, slots
from ernn.nn.loops import (
    gru_after_step,
    gru_after_step_back,
    gru_before_reset,
    gru_before_reset_back,
    gru_before_step,
    gru_before_step_back,
)
from ernn.nn.products import largest, product, step_back
from ernn.nn.threads import threads_for


class GruAfterScan(torch.autograd.Function):
    """(x, h0, into, back, bias) to outputs (time, hidden, batch); the reset gate acts after the
    recurrent product.

    into has the rows of n, r, z; back those of r, z, n. bias (block, 4, n): of n, r, z, and n's
    inside the reset. The rest as for `LstmScan`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h0: Tensor, into: Tensor, back: Tensor, bias: Tensor, keep: bool
    ) -> Tensor:
        time, _, batch = x.shape
        parts, _, n = bias.shape
        from_x, from_h = products = [product(weight, parts, batch) for weight in (into, back)]
        h = x.new_empty(time + 1, *h0.shape)
        h[0] = h0
        states = h.unbind(0)
        kept = time if keep else 1
        gates, qs = slots(x, time, kept, parts, 3, n), slots(x, time, kept, parts, n)
        recurrent = x.new_empty(parts, 3, n)
        state_arrays = arrays([state.view(parts, n) for state in states])
        gate_arrays, q_arrays, recurrent_array, biases = (
            arrays(gates),
            arrays(qs),
            recurrent.numpy(),
            array(bias),
        )
        operands, held = from_x.operands(x), []
        with threads_for(largest(products)):
            for t in range(time):
                operand = from_h.operand(states[t])
                from_x.multiply(operands[t], gates[t])
                from_h.multiply(operand, recurrent)
                gru_after_step(
                    gate_arrays[t],
                    recurrent_array,
                    biases,
                    q_arrays[t],
                    state_arrays[t],
                    state_arrays[t + 1],
                )
                if keep:
                    held.append(operand)
        if keep:
            ctx.products, ctx.operands, ctx.x_shape = products, (operands, held), x.shape
            ctx.arrays = gate_arrays, q_arrays, state_arrays
        return h[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        needs = ctx.needs_input_grad
        products = ctx.products
        from_x, from_h = products
        from_x.prepare_back(needs[2])
        from_h.prepare_back(needs[3])
        gates, qs, states = ctx.arrays
        xs, held = ctx.operands
        parts, _, n = gates[0].shape
        d_x = d_h.new_empty(ctx.x_shape) if needs[0] else None
        d_outputs = d_h.contiguous().unbind(0)
        d, d_recurrent, d_bias = (d_h.new_zeros(parts, gate, n) for gate in (3, 3, 4))
        running = d_outputs[-1].clone()
        same = running.view(parts, n).numpy(), d.numpy(), d_recurrent.numpy(), d_bias.numpy()
        with threads_for(largest(products)):
            for t in reversed(range(len(gates))):
                gru_after_step_back(gates[t], qs[t], states[t], *same)
                if t:
                    running += d_outputs[t - 1]
                step_back(from_h, d_recurrent, held[t], running, add=running)
                step_back(from_x, d, xs[t], None if d_x is None else d_x[t])
        return d_x, running, from_x.gradient(), from_h.gradient(), d_bias, None


class GruBeforeScan(torch.autograd.Function):
    """(x, h0, into, gates, candidate, bias) to outputs; the reset gate acts before the recurrent
    product.

    into has the rows of n, r, z; gates those of r, z, candidate those of n. bias (block, 3, n): of
    n, r, z. The rest as for `LstmScan`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h0: Tensor,
        into: Tensor,
        gates: Tensor,
        candidate: Tensor,
        bias: Tensor,
        keep: bool,
    ) -> Tensor:
        time, _, batch = x.shape
        parts, _, n = bias.shape
        from_x, from_h, from_reset = products = [
            product(weight, parts, batch) for weight in (into, gates, candidate)
        ]
        h = x.new_empty(time + 1, *h0.shape)
        h[0] = h0
        states = h.unbind(0)
        kept = time if keep else 1
        values, resets = slots(x, time, kept, parts, 3, n), slots(x, time, kept, parts, n)
        for_gates, for_candidate = x.new_empty(parts, 2, n), x.new_empty(parts, n)
        state_arrays = arrays([state.view(parts, n) for state in states])
        value_arrays, reset_arrays, biases = arrays(values), arrays(resets), array(bias)
        gates_array, candidate_array = for_gates.numpy(), for_candidate.numpy()
        operands, held, held_reset = from_x.operands(x), [], []
        with threads_for(largest(products)):
            for t in range(time):
                operand = from_h.operand(states[t])
                from_x.multiply(operands[t], values[t])
                from_h.multiply(operand, for_gates)
                gru_before_reset(
                    value_arrays[t], gates_array, biases, state_arrays[t], reset_arrays[t]
                )
                reset = from_reset.operand(resets[t].view(-1, batch))
                from_reset.multiply(reset, for_candidate)
                gru_before_step(
                    value_arrays[t], candidate_array, biases, state_arrays[t], state_arrays[t + 1]
                )
                if keep:
                    held.append(operand)
                    held_reset.append(reset)
        if keep:
            ctx.products, ctx.operands = products, (operands, held, held_reset)
            ctx.arrays, ctx.x_shape = (value_arrays, state_arrays), x.shape
        return h[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        needs = ctx.needs_input_grad
        products = ctx.products
        from_x, from_h, from_reset = products
        for weight, wanted in zip(products, needs[2:5], strict=True):
            weight.prepare_back(wanted)
        values, states = ctx.arrays
        xs, held, held_reset = ctx.operands
        parts, _, n = values[0].shape
        d_x = d_h.new_empty(ctx.x_shape) if needs[0] else None
        d_outputs = d_h.contiguous().unbind(0)
        d, d_gates, d_bias = (d_h.new_zeros(parts, gates, n) for gates in (3, 2, 3))
        d_candidate, running = d_h.new_empty(parts, n), d_outputs[-1].clone()
        d_reset = torch.empty_like(running)
        state, total = running.view(parts, n).numpy(), d_bias.numpy()
        d_array, gates_array, candidate_array = d.numpy(), d_gates.numpy(), d_candidate.numpy()
        reset_array = d_reset.view(parts, n).numpy()
        with threads_for(largest(products)):
            for t in reversed(range(len(values))):
                gru_before_step_back(
                    values[t], states[t], state, d_array, candidate_array, gates_array, total
                )
                step_back(from_reset, d_candidate, held_reset[t], d_reset)
                gru_before_reset_back(
                    values[t], states[t], reset_array, state, d_array, gates_array, total
                )
                if t:
                    running += d_outputs[t - 1]
                step_back(from_h, d_gates, held[t], running, add=running)
                step_back(from_x, d, xs[t], None if d_x is None else d_x[t])
        return (
            d_x,
            running,
            from_x.gradient(),
            from_h.gradient(),
            from_reset.gradient(),
            d_bias,
            None,
        )
