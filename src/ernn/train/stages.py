"""The stages that lead to a compressed network; each trains a model in place and reports.

Dense first, then `compress_by_admm` and `retrain_inside`; `one_shot` and `train_direct` are the
rivals of ADMM. With a `folder` a stage can be stopped and started again (see `ernn.train.fit`);
with a `distillation` it learns from teachers too (see `ernn.train.distil`).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ernn.compress import inside
from ernn.compress.admm import Admm
from ernn.compress.plan import CompressionPlan, structures
from ernn.frontends.torch import import_torch
from ernn.nn.model import AcousticModel
from ernn.nn.rounded import Rounded
from ernn.quantization.quantize import quantize
from ernn.train.callbacks import AdmmCallback, PullCallback
from ernn.train.distil import Distillation
from ernn.train.fit import Trained, fit
from ernn.train.spec import AdmmSpec, DataSpec, TrainSpec
from ernn.train.task import Task

CALIBRATION = 200
"""Utterances that the formats of data are chosen from before they are trained with."""


def train_dense(
    model: nn.Module,
    task: Task,
    spec: TrainSpec,
    folder: Path | None = None,
    progress: bool = True,
    distillation: Distillation | None = None,
) -> Trained:
    """Train all weights freely; the model ends with those of the epoch best on validation."""
    module = fit(
        model, task, spec, folder, title="dense", progress=progress, distillation=distillation
    )
    model.load_state_dict(module.best_state)
    return Trained(_plain_state(model), module.best, tuple(module.history))


def compress_by_admm(
    model: nn.Module,
    task: Task,
    plan: CompressionPlan,
    spec: TrainSpec,
    admm: AdmmSpec,
    folder: Path | None = None,
    progress: bool = True,
    distillation: Distillation | None = None,
) -> Trained:
    """Draw weights into the plan's sets and project them; `retrain_inside` should follow.

    `validation` is after the projection.
    """
    solver = Admm(model, plan, admm.rho, admm.growth, admm.most, admm.balance)
    callback = AdmmCallback(solver, admm.every, admm.tolerance)
    module = fit(model, task, spec, folder, [callback], "ADMM", progress, distillation)
    solver.finish()
    validation = task.score(model).rate
    return Trained(_plain_state(model), validation, tuple(module.history), tuple(solver.residuals))


def retrain_inside(
    model: nn.Module,
    task: Task,
    plan: CompressionPlan,
    spec: TrainSpec,
    folder: Path | None = None,
    progress: bool = True,
    domain: inside.Domain = "time",
    distillation: Distillation | None = None,
) -> Trained:
    """Project, then train the stored numbers: weights stay in their sets. Ends as `train_dense`."""
    inside.enter(model, plan, domain)
    try:
        module = fit(
            model,
            task,
            spec,
            folder,
            title="inside the set",
            progress=progress,
            distillation=distillation,
        )
        model.load_state_dict(module.best_state)
    finally:
        inside.leave(model)
    return Trained(_plain_state(model), module.best, tuple(module.history))


def retrain_rounded(
    model: AcousticModel,
    task: Task,
    plan: CompressionPlan,
    spec: TrainSpec,
    data: DataSpec,
    folder: Path | None = None,
    progress: bool = True,
    distillation: Distillation | None = None,
) -> Trained:
    """Train a compressed model on inside its sets, data rounded to its integers' formats.

    Formats are those that `ernn.quantization.quantize` chooses before this training, from the first
    `CALIBRATION` utterances of the training split; they are in what is returned.  Ends as
    `train_dense` does, validated with rounded data.
    """
    network = import_torch(
        model, torch.zeros(1, 8, task.inputs), structures=structures(model, plan)
    ).network
    calibration = [example.features.astype(np.float64) for example in task.train[:CALIBRATION]]
    integers = quantize(network, calibration, data.quantization())
    rounded = Rounded(model, integers, data.random)
    inside.enter(model, plan)
    try:
        module = fit(
            rounded,
            task,
            spec,
            folder,
            title="rounded data",
            progress=progress,
            distillation=distillation,
        )
        rounded.load_state_dict(module.best_state)
    finally:
        inside.leave(model)
    return Trained(
        _plain_state(model), module.best, tuple(module.history), formats=rounded.integers
    )


def one_shot(
    model: nn.Module,
    task: Task,
    plan: CompressionPlan,
    spec: TrainSpec,
    folder: Path | None = None,
    progress: bool = True,
    distillation: Distillation | None = None,
) -> Trained:
    """Project a trained model at once and retrain inside the set: what ADMM is compared with."""
    inside.project_once(model, plan)
    return retrain_inside(model, task, plan, spec, folder, progress, distillation=distillation)


def train_direct(
    model: nn.Module,
    task: Task,
    plan: CompressionPlan,
    spec: TrainSpec,
    folder: Path | None = None,
    progress: bool = True,
    domain: inside.Domain = "time",
    distillation: Distillation | None = None,
) -> Trained:
    """Train a fresh model inside the set from the start (C-LSTM, FPGA 2018)."""
    inside.restart_inside(model, plan)
    return retrain_inside(model, task, plan, spec, folder, progress, domain, distillation)


def pull_towards(
    model: nn.Module,
    task: Task,
    plan: CompressionPlan,
    spec: TrainSpec,
    folder: Path | None = None,
    progress: bool = True,
    distillation: Distillation | None = None,
) -> Trained:
    """Train a trained model on while its weights are drawn ever harder into the plan's sets.

    It ends in the sets, with the weights of the last epoch; `validation` is of those.
    """
    module = fit(
        model, task, spec, folder, [PullCallback(model, plan)], "gradual", progress, distillation
    )
    inside.project_once(model, plan)
    return Trained(_plain_state(model), task.score(model).rate, tuple(module.history))


def _plain_state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
