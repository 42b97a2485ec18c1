"""The cells as their equations say, one step after the other in torch's operations.

Equations: docs/explanation/equations.md.

What runs where the scans of `ernn.nn.directions` do not (other devices and number formats), and
what they are tested against.  Arguments and results are those of `ernn.nn.directions`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def lstm(
    owner: Any, suffix: str, x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs (time, batch, outputs) and (h, c) of an LSTM, with peepholes where `owner` has
    them.
    """
    y, c = state
    recurrent = getattr(owner, f"weight_hh{suffix}").t()
    projection = getattr(owner, f"weight_hr{suffix}").t() if owner.proj_size else None
    peephole = getattr(owner, f"peephole{suffix}", None)
    # Spread over the batch once, so that the gradient is summed over it once, not at every step.
    looks = (
        c.new_zeros(3, *c.shape) if peephole is None else peephole[:, None].expand(-1, len(c), -1)
    )
    p_i, p_f, p_o = looks.unbind(0)
    outputs = []
    for product in _products(owner, suffix, x).unbind(0):
        i, f, g, o = torch.addmm(product, y, recurrent).chunk(4, dim=1)
        i = torch.sigmoid(torch.addcmul(i, p_i, c))
        f = torch.sigmoid(torch.addcmul(f, p_f, c))
        c = torch.addcmul(f * c, i, torch.tanh(g))
        m = torch.sigmoid(torch.addcmul(o, p_o, c)) * torch.tanh(c)
        y = m if projection is None else m @ projection
        outputs.append(y)
    return torch.stack(outputs), (y, c)


def gru_after(
    owner: Any, suffix: str, x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and (h,) of a GRU whose reset gate acts after the recurrent product, torch's own."""
    (h,) = state
    weight, bias = getattr(owner, f"weight_hh{suffix}"), getattr(owner, f"bias_hh{suffix}", None)
    from_input = functional.linear(
        x, getattr(owner, f"weight_ih{suffix}"), getattr(owner, f"bias_ih{suffix}", None)
    )
    outputs = []
    for product in from_input.unbind(0):
        r, z, n = product.chunk(3, dim=1)
        from_r, from_z, from_n = functional.linear(h, weight, bias).chunk(3, dim=1)
        r, z = torch.sigmoid(r + from_r), torch.sigmoid(z + from_z)
        h = torch.lerp(torch.tanh(n + r * from_n), h, z)
        outputs.append(h)
    return torch.stack(outputs), (h,)


def gru_before(
    owner: Any, suffix: str, x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and (h,) of a GRU whose reset gate acts before the recurrent product, the E-RNN
    paper's.
    """
    (h,) = state
    weight, gates = getattr(owner, f"weight_hh{suffix}"), 2 * owner.hidden_size
    for_gates, for_candidate = weight[:gates].t(), weight[gates:].t()
    outputs = []
    for product in _products(owner, suffix, x).unbind(0):
        from_input = product.split(gates, dim=1)
        r, z = torch.sigmoid(torch.addmm(from_input[0], h, for_gates)).chunk(2, dim=1)
        n = torch.tanh(torch.addmm(from_input[1], r * h, for_candidate))
        h = torch.lerp(n, h, z)
        outputs.append(h)
    return torch.stack(outputs), (h,)


def _products(owner: Any, suffix: str, x: Tensor) -> Tensor:
    """The input's products with both biases, which no gate needs apart."""
    biases = [getattr(owner, f"bias_{side}{suffix}", None) for side in ("ih", "hh")]
    bias = None if biases[0] is None or biases[1] is None else biases[0] + biases[1]
    return functional.linear(x, getattr(owner, f"weight_ih{suffix}"), bias)
