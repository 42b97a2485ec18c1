"""Distillation: a network learns another's outputs besides labels (Hinton, Vinyals, Dean 2015).

The teacher hears every utterance once, clean; what it says of each frame is kept.  The student,
whose features are made harder (`ernn.train.augment`), learns to say the same:

    soft = soft_labels([teacher], task.train, task.objective)
    retrain_inside(student, task, plan, spec, distillation=Distillation(soft))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from ernn.data.batches import BLANK, Batch, Batches, Example
from ernn.data.objective import Classification, Detection, Objective, Regression, Transcription
from ernn.errors import UserError
from ernn.train.loss import judged

SoftLabels = Mapping[str, Tensor]
"""Probabilities, or numbers, float32 (frames, outputs), by the id of an example."""


@dataclass(frozen=True, eq=False)
class Distillation:
    """What to learn from a teacher, and how much.

    labels: weight of the task's own loss beside the teacher's (nats per frame). peaks: of a
    transcription, weight of the frames in which the teacher hears a label, beyond the 1 of every
    frame; CTC leaves most frames to the blank.
    """

    soft: SoftLabels = field(repr=False)
    labels: float = 0.3
    peaks: float = 2.0

    def __post_init__(self) -> None:
        if min(self.labels, self.peaks) < 0:
            raise UserError(
                f"labels and peaks must be at least 0, not {self.labels} and {self.peaks}"
            )

    def divergence(self, objective: Objective, outputs: Tensor, batch: Batch) -> Tensor:
        """Kullback-Leibler divergence of the student's outputs (batch, frames, outputs) from
        the teacher's, in nats, or of numbers the squared difference: the mean over the frames that
        are judged, by their weight. UserError for an example that the teacher did not hear."""
        wanted = pad_sequence([self._of(example) for example in batch.ids], batch_first=True)
        weight = judged(objective, batch)
        if isinstance(objective, Transcription):
            weight = weight * (1 + self.peaks * (1 - wanted[..., BLANK]))
        return (_apart(objective, outputs, wanted).sum(-1) * weight).sum() / weight.sum()

    def _of(self, example: str) -> Tensor:
        if example not in self.soft:
            raise UserError(
                f"the teacher did not hear {example}: make its soft labels of the examples of the "
                "training"
            )
        return self.soft[example]


def _apart(objective: Objective, outputs: Tensor, wanted: Tensor) -> Tensor:
    match objective:
        case Transcription() | Classification():
            return torch.xlogy(wanted, wanted) - wanted * outputs.log_softmax(-1)
        case Detection():
            entropy = -torch.xlogy(wanted, wanted) - torch.xlogy(1 - wanted, 1 - wanted)
            return binary_cross_entropy_with_logits(outputs, wanted, reduction="none") - entropy
        case Regression():
            return (outputs - wanted).square()


def _said(objective: Objective, outputs: Tensor) -> Tensor:
    """Outputs as probabilities, or the numbers that they are."""
    match objective:
        case Transcription() | Classification():
            return outputs.softmax(-1)
        case Detection():
            return outputs.sigmoid()
        case Regression():
            return outputs


@torch.no_grad()
def soft_labels(
    teachers: Sequence[nn.Module],
    examples: Sequence[Example],
    objective: Objective,
    batch: int = 32,
) -> dict[str, Tensor]:
    """What `teachers` say of each example, the mean of their probabilities; without dropout.

    Raises UserError where two examples have the same id, or where there is no teacher.
    """
    if not teachers or len({e.id for e in examples}) != len(examples):
        raise UserError("soft labels need at least one teacher, and examples whose ids differ")
    training = [teacher.training for teacher in teachers]
    for teacher in teachers:
        teacher.eval()
    soft: dict[str, Tensor] = {}
    for part in Batches(examples, batch, shuffle=False):
        said = [_said(objective, teacher(part.features)) for teacher in teachers]
        mean = torch.stack(said).mean(0)
        soft |= {
            name: row[:length].clone()
            for name, row, length in zip(part.ids, mean, part.lengths, strict=True)
        }
    for teacher, was in zip(teachers, training, strict=True):
        teacher.train(was)
    return soft
