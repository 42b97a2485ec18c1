"""What training lowers: the loss of a network's outputs, by what it has to say."""

import torch
from torch import Tensor
from torch.nn import functional

from ernn.data.batches import BLANK, Batch
from ernn.data.objective import Classification, Detection, Objective, Regression, Transcription


def loss(objective: Objective, outputs: Tensor, batch: Batch) -> Tensor:
    """Of outputs (batch, frames, outputs): the mean over labels, decisions or numbers.

    In nats of CTC or cross-entropy; of numbers, in squared deviations.
    """
    if isinstance(objective, Transcription):
        return ctc(outputs, batch)
    share = judged(objective, batch)
    if objective.per == "sequence":
        said, asked = (outputs * share[..., None]).sum(1), batch.labels[:, 0]
    else:
        said, asked = outputs[share > 0], batch.labels[share > 0]
    match objective:
        case Classification(weights=weights):
            each = functional.cross_entropy(said, asked, reduction="none")
            return (each * each.new_tensor(weights)[asked] if weights else each).mean()
        case Detection():
            return functional.binary_cross_entropy_with_logits(said, asked)
        case Regression():
            return functional.mse_loss(said, asked)


def judged(objective: Objective, batch: Batch) -> Tensor:
    """(batch, frames): how much each frame's output counts in what is said; 0 beyond the length."""
    frame = torch.arange(batch.features.shape[1])
    there = (frame < batch.lengths[:, None]).float()
    if isinstance(objective, Transcription) or objective.per == "frame":
        return there
    if objective.read == "mean":
        return there / batch.lengths[:, None]
    return (frame == batch.lengths[:, None] - 1).float()


def ctc(logits: Tensor, batch: Batch) -> Tensor:
    """CTC loss in nats per label of the batch (Graves et al. 2006)."""
    log_probabilities = logits.log_softmax(-1).transpose(0, 1)
    total = functional.ctc_loss(
        log_probabilities,
        batch.labels,
        batch.lengths,
        batch.label_lengths,
        blank=BLANK,
        reduction="sum",
    )
    return total / batch.label_lengths.sum()
