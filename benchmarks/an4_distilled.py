"""AN4: a wide block-8 network that learns from a dense one, against that dense one.

    python benchmarks/an4_distilled.py ../shared/data/an4_cepstra

Three trainings, all chosen on held-out training speakers: the dense recipe (2 x 256, the teacher and the yardstick); a
dense 2 x 352 for a few epochs, to begin from; and its projection to blocks of 8, trained inside the set on CTC and on
the teacher's outputs (knowledge distillation, Hinton et al. 2015), the student hearing noisy features, the teacher
clean ones.  The test speakers are heard once, at the end.  Trainings that are done are not done again (--work).
"""

import argparse
import json
from dataclasses import replace
from math import cos, pi
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, parametrize

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.an4 import An4
from ernn.data.batches import Batch, Batches
from ernn.spec import LayerSpec
from ernn.train.augment import augment
from ernn.train.evaluate import evaluate_model
from ernn.train.module import ctc
from ernn.train.recipes import AN4
from ernn.train.spec import TrainSpec
from ernn.train.task import Prepared, Task

WIDE = replace(AN4, layers=(LayerSpec("gru", 352),) * 2, dense=replace(AN4.dense, epochs=18))
STUDENT = replace(AN4.retrain, epochs=28, noise=0.3, masks=3, mask_frames=5, rate=4e-3, warmup=0.15)
CTC_SHARE = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("root", type=Path, help="the corpus's folder, with etc/ and feat/")
    parser.add_argument("--work", type=Path, default=Path("out/an4-distilled"), help="checkpoints")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    data = Prepared(An4(chosen.root), AN4.features)
    teacher, student = AN4.model(data.task), WIDE.model(data.task)
    AN4.train_dense(teacher, data.task, chosen.work / "teacher")
    WIDE.train_dense(student, data.task, chosen.work / "wide")
    inside.enter(student, WIDE.plan)
    distill(student, teacher.eval(), data.task, STUDENT)
    inside.leave(student)
    print(
        json.dumps({"dense": figures(teacher, data, CompressionPlan()), "block 8": figures(student, data, WIDE.plan)})
    )


def distill(student: nn.Module, teacher: nn.Module, task: Task, spec: TrainSpec) -> None:
    """Train `student` on CTC and on the frames' outputs of `teacher`."""
    batches = Batches(task.train, spec.batch, spec.seed)
    optimizer = torch.optim.AdamW(student.parameters(), spec.rate, betas=(0.9, 0.98), weight_decay=spec.weight_decay)
    steps = spec.epochs * sum(1 for _ in batches.epoch(0))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_rate(step, steps, spec.warmup))
    for epoch in range(spec.epochs):
        torch.manual_seed(epoch)
        student.train()
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            loss(student, teacher, batch, spec).backward()
            clip_grad_norm_(student.parameters(), spec.clip)
            optimizer.step()
            schedule.step()
        student.eval()
        print(f"epoch {epoch + 1}: validation {evaluate_model(student, task.validation).percent:.2f} %", flush=True)


def share_of_rate(step: int, steps: int, warmup: float) -> float:
    """Linear to 1 over the first `warmup` of all steps, then a cosine to 0."""
    rise = warmup * steps
    return step / rise if step < rise else 0.5 * (1 + cos(pi * min(1.0, (step - rise) / (steps - rise))))


def loss(student: nn.Module, teacher: nn.Module, batch: Batch, spec: TrainSpec) -> Tensor:
    with torch.no_grad():
        wanted = teacher(batch.features).softmax(-1)
    with parametrize.cached():
        scores = student(augment(batch, spec))
        there = torch.arange(scores.shape[1])[None] < batch.lengths[:, None]
        cross_entropy = -(wanted * scores.log_softmax(-1)).sum(-1)[there].mean()
        return CTC_SHARE * ctc(scores, batch) + cross_entropy


def figures(model: nn.Module, data: Prepared, plan: CompressionPlan) -> dict[str, float]:
    rate, validation = evaluate_model(model, data.test), evaluate_model(model, data.task.validation)
    return {
        "test_percent": rate.percent,
        "test_tokens": rate.tokens,
        "validation_percent": validation.percent,
        "weights": stored_weights(model, plan),
    }


if __name__ == "__main__":
    main()
