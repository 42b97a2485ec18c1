"""A tiny task that CTC can learn: each label is a direction in
feature space, held for a few frames.
"""

import numpy as np
import torch

from ernn.data.batches import Example
from ernn.data.objective import Transcription
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.train.spec import TrainSpec
from ernn.train.task import Task

LABELS = ("a", "b", "c")
OBJECTIVE = Transcription(LABELS)
SPEC = TrainSpec(epochs=4, batch=8, rate=2e-2, noise=0.1, masks=1, mask_frames=2, seed=5)


def examples(count: int, seed: int) -> list[Example]:
    rng = np.random.default_rng(seed)
    return [example(rng, f"{seed}-{n}") for n in range(count)]


def example(rng: np.random.Generator, name: str) -> Example:
    labels = tuple(int(x) for x in rng.integers(1, len(LABELS) + 1, rng.integers(2, 5)))
    held = np.concatenate([[0, label, label, label] for label in labels])
    return Example(
        name,
        (np.eye(4)[held] + 0.1 * rng.standard_normal((len(held), 4))).astype(np.float32),
        labels,
    )


def task() -> Task:
    return Task(examples(40, 1), examples(12, 2), OBJECTIVE)


def model(hidden: int = 16) -> AcousticModel:
    torch.manual_seed(0)
    return AcousticModel(ModelSpec(4, (LayerSpec("gru", hidden),), 1 + len(LABELS), dropout=0.1))
