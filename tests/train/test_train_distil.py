"""Distillation: the divergence is torch's, the teacher is heard clean, and
a student learns from it alone.
"""

from dataclasses import replace

import pytest
import torch
import train_toy as toy
from torch.nn.functional import kl_div

from ernn.compress.plan import CompressionPlan
from ernn.data.batches import Batch, collate
from ernn.data.objective import Objective
from ernn.errors import UserError
from ernn.train.distil import Distillation, soft_labels
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Solver, compress
from ernn.train.stages import retrain_inside, train_dense

ONCE = replace(toy.SPEC, epochs=1)


def test_the_divergence_is_torch_s_of_each_utterance_s_own_frames() -> None:
    examples, teacher, student = toy.examples(6, 1), toy.model(), toy.model(8)
    batch = collate(examples)
    logits = student(batch.features)
    found = Distillation(soft_labels([teacher], examples, toy.OBJECTIVE), peaks=0)
    found = found.divergence(toy.OBJECTIVE, logits, batch)
    teacher.eval()
    with torch.no_grad():
        wanted = teacher(batch.features).log_softmax(-1)
    rows = zip(logits.log_softmax(-1), wanted, batch.lengths, strict=True)
    total = sum(kl_div(s[:n], t[:n], reduction="sum", log_target=True) for s, t, n in rows)
    torch.testing.assert_close(found, total / batch.lengths.sum())


def test_frames_with_a_label_weigh_more() -> None:
    """Two frames, one blank and one label: their divergences d0 and
    d1 with weights 1 and 1 + peaks.
    """
    example = replace(toy.examples(1, 1)[0], features=torch.zeros(2, 4).numpy(), labels=(1,))
    soft = {example.id: torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])}
    logits = torch.tensor([[[0.0, 1, 2, 3], [1, 0, 2, 2]]])
    d0, d1 = (-logits.log_softmax(-1)[0, t, t] for t in (0, 1))
    found = Distillation(soft, peaks=3.0).divergence(toy.OBJECTIVE, logits, collate([example]))
    torch.testing.assert_close(found, (d0 + 4 * d1) / 5)


def test_teachers_are_averaged_heard_without_dropout_and_left_as_they_were() -> None:
    examples, teachers = toy.examples(5, 1), [toy.model(), toy.model(8)]
    teachers[1].eval()
    soft = soft_labels(teachers, examples, toy.OBJECTIVE, batch=2)
    assert [t.training for t in teachers] == [True, False]
    for teacher in teachers:
        teacher.eval()
    for example in examples:
        frames = torch.from_numpy(example.features)[None]
        with torch.no_grad():
            first, second = (t(frames)[0].softmax(-1) for t in teachers)
        torch.testing.assert_close(soft[example.id], (first + second) / 2)


def test_a_student_learns_from_the_teacher_alone() -> None:
    task, teacher, student = toy.task(), toy.model(), toy.model()
    taught = train_dense(teacher, task, replace(toy.SPEC, epochs=15), progress=False)
    alone = Distillation(soft_labels([teacher], task.train, task.objective), labels=0.0)
    spec, plan = replace(toy.SPEC, epochs=15), CompressionPlan.blocks(4)
    learnt = retrain_inside(student, task, plan, spec, progress=False, distillation=alone)
    assert learnt.validation < taught.validation + 0.1
    assert learnt.history[-1].loss < 0.3 * learnt.history[0].loss


class Counted(Distillation):
    def __init__(self, asked: list[int], soft: dict[str, torch.Tensor]) -> None:
        super().__init__(soft)
        object.__setattr__(self, "asked", asked)

    def divergence(self, objective: Objective, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        self.asked.append(len(batch))  # type: ignore[attr-defined]
        return super().divergence(objective, outputs, batch)


@pytest.mark.parametrize(
    ("solver", "epochs"),
    [
        (ByAdmm(ONCE, ONCE), 2),
        (OneShot(ONCE), 1),
        (Direct(ONCE), 1),
        (Gradual(ONCE, ONCE), 2),
        (Gradual(replace(ONCE, epochs=2), ONCE, "structure", 2), 3),
    ],
)
def test_every_stage_of_every_solver_learns_from_the_teacher(solver: Solver, epochs: int) -> None:
    task, asked = toy.task(), []
    learning = Counted(asked, soft_labels([toy.model()], task.train, task.objective))
    compress(
        toy.model(), task, CompressionPlan.blocks(4), solver, progress=False, distillation=learning
    )
    assert sum(asked) == epochs * len(task.train)


def test_mistakes_are_named() -> None:
    task = toy.task()
    with pytest.raises(UserError, match="the teacher did not hear 1-0"):
        Distillation({}).divergence(task.objective, torch.zeros(1, 20, 4), collate(task.train[:1]))
    with pytest.raises(UserError, match="labels and peaks must be at least 0"):
        Distillation({}, labels=-1)
    with pytest.raises(UserError, match="at least one teacher"):
        soft_labels([], task.train, task.objective)
    with pytest.raises(UserError, match="ids differ"):
        soft_labels([toy.model()], [task.train[0], task.train[0]], task.objective)
