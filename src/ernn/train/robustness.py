"""A model under noise on its features, and under perturbations chosen against it.

All give examples again, for `ernn.train.evaluate` to take the error rate of.  Features are
normalised, so a level or a size of 0.1 is a tenth of a feature's deviation.  Upsets in weight
memory are in `ernn.golden.faults`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ernn.data.batches import Batch, Example, collate
from ernn.data.objective import Objective
from ernn.errors import UserError
from ernn.train.loss import loss


def noisy(examples: Sequence[Example], level: float, seed: int) -> list[Example]:
    """With Gaussian noise of deviation `level` on every feature."""
    rng = np.random.default_rng(seed)
    return [
        replace(
            e,
            features=(e.features + level * rng.standard_normal(e.features.shape)).astype(
                np.float32
            ),
        )
        for e in examples
    ]


def attacked(
    model: nn.Module,
    examples: Sequence[Example],
    objective: Objective,
    size: float,
    steps: int = 1,
    seed: int = 0,
    batch: int = 32,
) -> list[Example]:
    """Features moved by at most `size` each so that the loss of `model` rises.

    steps 1: the fast gradient sign method (Goodfellow et al. 2015). More: projected gradient
    descent from a random start, each step 2.5 * size / steps (Madry et al. 2018).
    """
    if size < 0 or steps < 1:
        raise UserError(
            f"an attack has a size of at least 0 and at least one step, not {size} and {steps}"
        )
    generator = torch.Generator().manual_seed(seed)
    training = model.training
    model.eval()
    moved: list[Example] = []
    try:
        for at in range(0, len(examples), batch):
            part = collate(examples[at : at + batch])
            rows = zip(
                examples[at : at + batch],
                _moved(model, part, objective, size, steps, generator),
                strict=True,
            )
            moved += [replace(e, features=row[: len(e.features)].numpy()) for e, row in rows]
    finally:
        model.train(training)
    return moved


def _moved(
    model: nn.Module,
    part: Batch,
    objective: Objective,
    size: float,
    steps: int,
    generator: torch.Generator,
) -> torch.Tensor:
    start, step = part.features, size if steps == 1 else 2.5 * size / steps
    features = start.clone()
    if steps > 1:
        features += size * (2 * torch.rand(features.shape, generator=generator) - 1)
    for _ in range(steps):
        features.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(objective, model(features), part), features)
        features = (features.detach() + step * gradient.sign()).clamp(start - size, start + size)
    return features.detach()
