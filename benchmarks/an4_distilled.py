"""AN4: a block-8 network with a quarter of the weights that learns from the
dense one, against that dense one.

    python benchmarks/an4_distilled.py ../shared/data/an4_cepstra --seeds 3

The dense recipe (2 x GRU 256, seed 0) is the yardstick and a teacher.  Another network of its shape
is the second teacher; it and the students hear other takes of the training utterances too
(beginning, pace, vocal tract), and their weights are averaged.  The students are trained inside the
set from the start, on CTC and on what the teachers say on average (distillation); a dense linear
layer stands before their block-circulant ones.

Everything is chosen on held-out training speakers; the test speakers are heard once,
at the end. Trainings that are done are not done again (--work).  Writes
an4-distilled.json into --out and prints it.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.an4 import An4
from ernn.data.vary import Variation, varied
from ernn.files import write_json
from ernn.nn.spec import LayerSpec
from ernn.train.distil import Distillation, soft_labels
from ernn.train.recipes import AN4
from ernn.train.spec import TrainSpec
from ernn.train.stages import train_direct
from ernn.train.task import Prepared, Task

TAKES = (
    Variation(0),
    Variation(1),
    Variation(2),
    Variation(0, tract=1.06),
    Variation(1, tract=0.94),
    Variation(1, speed=0.9, tract=0.96),
    Variation(2, speed=1.1, tract=1.04),
)
SECOND = replace(AN4, dense=replace(AN4.dense, epochs=4, warmup=0.15, average=0.998)).with_seed(1)
STUDENT = replace(
    AN4,
    layers=(LayerSpec("gru", 336),) * 2,
    front=128,
    dropout=0.15,
    plan=CompressionPlan.blocks(8),
    retrain=TrainSpec(
        epochs=7, rate=2e-3, warmup=0.1, noise=0.15, masks=2, mask_frames=4, average=0.998
    ),
)
"""An epoch is of all seven takes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("root", type=Path, help="the corpus's folder, with etc/ and feat/")
    parser.add_argument("--seeds", type=int, default=1, help="students, each with its own seed")
    parser.add_argument("--work", type=Path, default=Path("out/an4-distilled"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    data = Prepared(An4(chosen.root), AN4.features)
    takes = varied(data.corpus, "train", AN4.features, data.normalizer, TAKES)
    task = replace(data.task, train=takes)
    teacher, second = AN4.model(task), SECOND.model(task)
    AN4.train_dense(teacher, data.task, chosen.work / "teacher")
    SECOND.train_dense(second, task, chosen.work / "second")
    learning = Distillation(soft_labels([teacher, second], takes, data.objective))
    students = [student(seed, task, learning, chosen.work) for seed in range(chosen.seeds)]
    result = {
        **about(),
        "dense": figures(teacher, data, CompressionPlan()),
        "second teacher": figures(second, data, CompressionPlan()),
        "block 8": [
            {**trained, **figures(model, data, STUDENT.plan)} for model, trained in students
        ],
    }
    write_json(chosen.out / "an4-distilled.json", result)
    print(json.dumps(result, indent=2))


def student(
    seed: int, task: Task, learning: Distillation, work: Path
) -> tuple[nn.Module, dict[str, Any]]:
    recipe, cpu, folder = STUDENT.with_seed(seed), time.process_time(), work / f"student{seed}"
    resumed = folder.exists()
    model = recipe.model(task)
    trained = train_direct(model, task, recipe.plan, recipe.retrain, folder, distillation=learning)
    spent = None if resumed else time.process_time() - cpu
    return model, {"seed": seed, "loss": trained.history[-1].loss, "cpu_seconds": spent}


def figures(model: nn.Module, data: Prepared, plan: CompressionPlan) -> dict[str, Any]:
    rate, validation = data.score(model), data.task.score(model)
    percents = {"test_percent": rate.percent, "validation_percent": validation.percent}
    return {**percents, "weights": stored_weights(model, plan), "test": asdict(rate)}


def about() -> dict[str, Any]:
    return {
        "kind": "measured",
        "command": shlex.join(["python", "benchmarks/an4_distilled.py", *sys.argv[1:]]),
        "decoding": "greedy",
        "student": {**asdict(STUDENT), "plan": STUDENT.plan.to_dict()},
        "second": asdict(SECOND.dense),
        "takes": [asdict(take) for take in TAKES],
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, one thread",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


if __name__ == "__main__":
    main()
