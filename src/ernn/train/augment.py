"""Training examples made harder: noise on the features, stretches of frames hidden."""

import torch
from torch import Tensor

from ernn.data.batches import Batch
from ernn.train.spec import TrainSpec


def augment(batch: Batch, spec: TrainSpec) -> Tensor:
    """Features (batch, frames, dim) with noise and masks, drawn from torch's global generator.

    Zero is the mean of normalised features, so a masked frame is an uninformative one.
    """
    features = batch.features
    if spec.noise:
        features = features + spec.noise * torch.randn_like(features)
    for _ in range(spec.masks):
        features = features * _kept(batch, spec.mask_frames)[..., None]
    return features


def _kept(batch: Batch, longest: int) -> Tensor:
    """(batch, frames): 0 on one stretch of 0..longest frames, at most an eighth of it; else 1."""
    most = torch.minimum(torch.tensor(longest), batch.lengths // 8)
    size = (torch.rand(len(batch)) * (most + 1)).long()
    start = (torch.rand(len(batch)) * (batch.lengths - size + 1)).long()
    frame = torch.arange(batch.features.shape[1])
    masked = (frame >= start[:, None]) & (frame < (start + size)[:, None])
    return (~masked).float()
