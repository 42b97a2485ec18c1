"""Trials as values, and the bench that trains each of them once.

A trial's name is a digest of everything that decides its outcome.  Its folder holds checkpoints
while it is trained; then the weights and, written last, the result.  A bench that is killed at any
moment and started again trains nothing that has a result, and goes on with what it was training
from the last epoch, with the same numbers.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ernn.compress.hidden_units import narrowed
from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.files import write_json
from ernn.ground.locks import held
from ernn.ground.plain import decode
from ernn.ground.reading import read_json
from ernn.nn.model import AcousticModel
from ernn.nn.spec import ModelSpec
from ernn.train import solvers, stages, weights
from ernn.train.solvers import Solver
from ernn.train.spec import TrainSpec
from ernn.train.task import Task

RESULT, STATE, STARTED = "result.json", "state.safetensors", "started.log"


@dataclass(frozen=True)
class DenseTrial:
    """All weights trained freely."""

    model: ModelSpec
    spec: TrainSpec

    def to_dict(self) -> dict[str, Any]:
        return {"model": self.model.to_dict(), "train": self.spec.to_dict()}


@dataclass(frozen=True)
class NarrowedTrial:
    """The network of trial `start` cut to its largest units, as many in each layer; not trained."""

    start: DenseTrial
    units: tuple[int, ...]

    @property
    def model(self) -> ModelSpec:
        return self.start.model.with_units(self.units)

    def to_dict(self) -> dict[str, Any]:
        return {"start": self.start.to_dict(), "units": list(self.units)}


@dataclass(frozen=True)
class CompressedTrial:
    """The network of trial `start` brought into the sets of `plan` by `solver`."""

    start: "DenseTrial | NarrowedTrial | CompressedTrial"
    plan: CompressionPlan
    solver: Solver = field(repr=False)

    @property
    def model(self) -> ModelSpec:
        return self.start.model

    def to_dict(self) -> dict[str, Any]:
        return {
            "start": self.start.to_dict(),
            "plan": self.plan.to_dict(),
            **solvers.to_dict(self.solver),
        }


Trial = DenseTrial | NarrowedTrial | CompressedTrial


@dataclass(frozen=True)
class Result:
    """name: of its folder. validation: error rate in per cent. epochs, seconds: of all stages.

    course: the validation error rate in per cent at the end of each of those epochs.
    """

    name: str
    validation: float
    epochs: int
    seconds: float
    course: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Kept:
    """A result's file."""

    result: Result
    trial: dict[str, Any]


class Bench:
    """Trains trials on one task, each in a folder of its own below `folder`.

    identity: what tells the task's examples from others (corpus, features).
    """

    def __init__(self, folder: Path, task: Task, identity: str, progress: bool = True) -> None:
        self.folder, self.task, self.identity, self.progress = folder, task, identity, progress

    def name(self, trial: Trial) -> str:
        """Digest of the trial and of the task."""
        text = json.dumps({"task": self.identity, **trial.to_dict()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def known(self, trial: Trial) -> Result | None:
        """The result, where there is one already."""
        path = self.folder / self.name(trial) / RESULT
        if not path.exists():
            return None
        return decode(str(path), _Kept, read_json(path)).result

    def result(self, trial: Trial) -> Result:
        """The trial's result, trained now unless it was before; its start is trained first."""
        if not isinstance(trial, DenseTrial):
            self.result(trial.start)
        with self._alone(trial) as folder:
            return self.known(trial) or self._train(trial, folder)

    def adopt(self, trial: DenseTrial, model: AcousticModel) -> Result:
        """What the trial gave elsewhere, unless there is a result: it is not trained again."""
        with self._alone(trial) as folder:
            return self.known(trial) or self._keep(trial, folder, model, ())

    def network(self, trial: Trial) -> AcousticModel:
        """The trained network of a trial that has a result."""
        return weights.network(trial.model, self._weights(trial))

    def state(self, trial: Trial) -> dict[str, Tensor]:
        """Weights of a trial that has a result; UserError where it has none."""
        return weights.load_weights(self._weights(trial))

    def _weights(self, trial: Trial) -> Path:
        if self.known(trial) is None:
            raise UserError(
                f"the trial {self.name(trial)} has no result in {self.folder}: train it first"
            )
        return self.folder / self.name(trial) / STATE

    @contextmanager
    def _alone(self, trial: Trial) -> Iterator[Path]:
        """The trial's folder, for one process at a time; a process that dies lets go of it."""
        folder = self.folder / self.name(trial)
        folder.mkdir(parents=True, exist_ok=True)
        with held(folder / "lock", wait=True):
            yield folder

    def _train(self, trial: Trial, folder: Path) -> Result:
        with (self.folder / STARTED).open("a") as log:
            log.write(f"{self.name(trial)}\n")
        model, trained = self._run(trial, folder / "checkpoints")
        return self._keep(trial, folder, model, trained)

    def _keep(
        self, trial: Trial, folder: Path, model: AcousticModel, trained: tuple[stages.Trained, ...]
    ) -> Result:
        validation = self.task.score(model).percent
        course = tuple(100 * epoch.validation for stage in trained for epoch in stage.history)
        seconds = sum(stage.seconds for stage in trained)
        result = Result(self.name(trial), validation, len(course), seconds, course)
        weights.save_weights(folder / STATE, model)
        write_json(folder / RESULT, {"result": asdict(result), "trial": trial.to_dict()})
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return result

    def _run(
        self, trial: Trial, checkpoints: Path
    ) -> tuple[AcousticModel, tuple[stages.Trained, ...]]:
        match trial:
            case DenseTrial(model, spec):
                torch.manual_seed(spec.seed)
                fresh = AcousticModel(model)
                return fresh, (
                    stages.train_dense(
                        fresh, self.task, spec, checkpoints / "dense", self.progress
                    ),
                )
            case NarrowedTrial(start, units):
                return narrowed(self.network(start), units), ()
            case CompressedTrial(start, plan, solver):
                network = self.network(start)
                done = solvers.compress(
                    network, self.task, plan, solver, checkpoints, self.progress
                )
                return network, done
