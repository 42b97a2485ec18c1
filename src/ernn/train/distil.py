"""Distillation: a network learns another's outputs besides labels (Hinton, Vinyals, Dean 2015).

The teacher hears every utterance once, clean; what it says of each frame is kept.  The student,
whose features are made harder (`ernn.train.augment`), learns to say the same:

    soft = soft_labels([teacher], task.train)
    retrain_inside(student, task, plan, spec, distillation=Distillation(soft))
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ernn.data.batches import BLANK, Batch, Batches, Example
from ernn.errors import UserError

SoftLabels = Mapping[str, Tensor]
"""Probabilities of the classes, float32 (frames, classes), by the id of an example."""


@dataclass(frozen=True, eq=False)
class Distillation:
    """What to learn from a teacher, and how much.

    labels: weight of the CTC loss (nats per label) beside the teacher's (nats per frame). peaks:
    weight of the frames in which the teacher hears a label, beyond the 1 of every frame; CTC
    leaves most frames to the blank.
    """

    soft: SoftLabels = field(repr=False)
    labels: float = 0.3
    peaks: float = 2.0

    def __post_init__(self) -> None:
        if min(self.labels, self.peaks) < 0:
            raise UserError(
                f"labels and peaks must be at least 0, not {self.labels} and {self.peaks}"
            )

    def divergence(self, logits: Tensor, batch: Batch) -> Tensor:
        """Kullback-Leibler divergence of the student's outputs (batch, frames, classes) from
        the teacher's, in nats: the mean over the frames by their weight. UserError for an
        example that the teacher did not hear."""
        wanted = pad_sequence([self._of(example) for example in batch.ids], batch_first=True)
        there = torch.arange(wanted.shape[1]) < batch.lengths[:, None]
        weight = there * (1 + self.peaks * (1 - wanted[..., BLANK]))
        surprise = torch.xlogy(wanted, wanted) - wanted * logits.log_softmax(-1)
        return (surprise.sum(-1) * weight).sum() / weight.sum()

    def _of(self, example: str) -> Tensor:
        if example not in self.soft:
            raise UserError(
                f"the teacher did not hear {example}: make its soft labels of the examples of the "
                "training"
            )
        return self.soft[example]


@torch.no_grad()
def soft_labels(
    teachers: Sequence[nn.Module], examples: Sequence[Example], batch: int = 32
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
        mean = torch.stack([teacher(part.features).softmax(-1) for teacher in teachers]).mean(0)
        soft |= {
            name: row[:length].clone()
            for name, row, length in zip(part.ids, mean, part.lengths, strict=True)
        }
    for teacher, was in zip(teachers, training, strict=True):
        teacher.train(was)
    return soft
