"""A trial of automatic compression: the dense network, cut and trained briefly in a plan's sets."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ernn.compress.hidden_units import narrowed
from ernn.compress.plan import CompressionPlan
from ernn.data.batches import Batches
from ernn.files import write_json
from ernn.ground.plain import with_fields
from ernn.ground.reading import read_json
from ernn.nn.model import AcousticModel
from ernn.train import stages
from ernn.train.loss import loss
from ernn.train.spec import TrainSpec
from ernn.train.task import Task


@dataclass(frozen=True)
class Heard:
    """loss: on the validation examples; error: their error rate in per cent."""

    loss: float
    error: float


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Trials of one dense network, each a file in `folder`; `identity`: of network and examples."""

    dense: Callable[[], AcousticModel]
    task: Task
    spec: TrainSpec
    folder: Path
    identity: str

    def __call__(self, units: tuple[int, ...] | None, plan: CompressionPlan) -> Heard:
        """From its file, or trained now; `units` as `narrowed` takes them."""
        values = {"identity": self.identity, "plan": plan.to_dict(), "train": self.spec.to_dict()}
        values |= {} if units is None else {"units": units}
        name = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
        path = self.folder / f"{name}.json"
        if not path.exists():
            heard = self._train(units, plan)
            write_json(path, {"loss": heard.loss, "error": heard.error, **values})
        kept = with_fields(str(path), read_json(path), loss=float, error=float)
        return Heard(kept["loss"], kept["error"])

    def _train(self, units: tuple[int, ...] | None, plan: CompressionPlan) -> Heard:
        model = narrowed(self.dense(), units)
        stages.one_shot(model, self.task, plan, self.spec, progress=False)
        return hear(model, self.task)


def hear(model: nn.Module, task: Task) -> Heard:
    """Loss and error of a network on validation examples; dropout off."""
    return Heard(validation_loss(model, task), task.score(model).percent)


@torch.no_grad()
def validation_loss(model: nn.Module, task: Task, batch: int = 32) -> float:
    """The task's loss, mean over what is asked for; dropout off."""
    training, total, labels = model.training, 0.0, 0
    model.eval()
    for part in Batches(task.validation, batch, shuffle=False):
        count = int(part.label_lengths.sum())
        own = float(loss(task.objective, model(part.features), part))
        total, labels = total + count * own, labels + count
    model.train(training)
    return total / labels
