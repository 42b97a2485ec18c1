"""The laws of a structure in a file of its own, for its test to call
(docs/how-to/add-a-structure.md).
"""

import torch
from torch import Tensor, nn

from ernn.compress import inside, sets
from ernn.compress.described import described, from_description
from ernn.compress.method import Method
from ernn.compress.plan import CompressionPlan

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def obeys(structure: Method, weight: Tensor, within: float = 1.0, idempotent: bool = True) -> None:
    """Everything that holds for every structure, on a weight (gates, rows, columns) in float64.

    `within`: how many times as far as the nearest matrix a projection may be; what is nearest is
    not known, so it is held to members of the set near the weight.  `idempotent` as projection must
    be but for factors that are rounded.
    """
    rows, columns = weight.shape[-2:]
    once = sets.project(weight, structure)
    assert once.shape == weight.shape
    if idempotent:
        torch.testing.assert_close(sets.project(once, structure), once, **TIGHT)
    stored = structure.encode(weight)
    torch.testing.assert_close(
        structure.decode(stored, rows, columns).reshape(weight.shape), once, **TIGHT
    )
    assert (
        stored.numel() == structure.stored(tuple(weight.shape))
        and len(stored.tensors) == structure.pieces
    )
    assert (
        structure.bits(tuple(weight.shape), 12) > 0
        and structure.multiplications(tuple(weight.shape)) > 0
    )
    generator = torch.Generator().manual_seed(1)
    for size in (0.01, 0.1, 1.0):
        noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        member = sets.project(weight + size * noise, structure)
        assert torch.dist(weight, once) <= within * torch.dist(weight, member) + 1e-9
    assert from_description(described(structure)) == structure
    assert hash(structure) == hash(from_description(described(structure)))


def trains(structure: Method, hidden: int) -> None:
    """Projected and trained a few steps inside: the loss falls, every number gets a gradient, the
    weights stay in.
    """
    torch.manual_seed(0)
    layer, frames = nn.GRU(hidden, hidden), torch.randn(4, 3, hidden)
    target = torch.randn(4, 3, hidden).tanh()
    plan = CompressionPlan(input=structure, recurrent=structure)
    inside.enter(layer, plan)
    optimizer, losses = torch.optim.Adam(layer.parameters(), lr=0.01), []
    for _ in range(12):
        optimizer.zero_grad()
        loss = (layer(frames)[0] - target).square().mean()
        loss.backward()
        assert all(
            p.grad is not None and p.grad.isfinite().all() and p.grad.any()
            for p in layer.parameters()
        )
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    before = layer(frames)[0].detach()
    inside.leave(layer)
    torch.testing.assert_close(layer(frames)[0].detach(), before)
