"""Ways from a trained network into the sets of a plan: a frozen value each, one `compress`.

    compress(model, task, CompressionPlan.blocks(8), ByAdmm(towards, inside, AdmmSpec(rho=1.0)))

Every way ends with a model whose weights lie in their sets, trained there as `inside` says.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from ernn.compress.gradual import path
from ernn.compress.inside import Domain
from ernn.compress.plan import CompressionPlan, compressed
from ernn.errors import UserError
from ernn.nn.model import AcousticModel
from ernn.train import stages
from ernn.train.distil import Distillation, soft_labels
from ernn.train.fit import Trained
from ernn.train.spec import AdmmSpec, DataSpec, DistilSpec, TrainSpec
from ernn.train.task import Task


@dataclass(frozen=True)
class ByAdmm:
    """ADMM `towards` the sets from trained weights (E-RNN, HPCA 2019), then training inside."""

    title: ClassVar[str] = "ADMM"
    towards: TrainSpec
    inside: TrainSpec
    admm: AdmmSpec = AdmmSpec()


@dataclass(frozen=True)
class OneShot:
    """Projection at once, then training inside the sets."""

    title: ClassVar[str] = "one-shot"
    inside: TrainSpec


@dataclass(frozen=True)
class Direct:
    """Training inside the sets from fresh weights (C-LSTM, FPGA 2018);
    `domain`: of the blocks' parameters.
    """

    title: ClassVar[str] = "direct training"
    inside: TrainSpec
    domain: Domain = "time"


@dataclass(frozen=True)
class Gradual:
    """Structure raised in steps, then training inside the sets.

    by "strength": weights are drawn to their projection after every epoch of `towards`, by a share
    that grows to 1. by "structure": the epochs of `towards` are spent inside the sets of `steps`
    plans of growing block size, or falling density (`ernn.compress.gradual.path`).
    """

    title: ClassVar[str] = "gradual"
    towards: TrainSpec
    inside: TrainSpec
    by: Literal["strength", "structure"] = "strength"
    steps: int = 3

    def __post_init__(self) -> None:
        if self.by not in ("strength", "structure"):
            raise UserError(f"gradual is by strength or by structure, not by {self.by!r}")
        if self.by == "structure" and not 1 <= self.steps <= self.towards.epochs:
            raise UserError(
                f"{self.towards.epochs} epochs cannot be spent in {self.steps} steps of at least "
                "one"
            )


@dataclass(frozen=True)
class Rounding:
    """Another way, then training inside the sets with `data` rounded as the integers will be."""

    title: ClassVar[str] = "then with rounded data"
    way: ByAdmm | OneShot | Direct | Gradual
    data: DataSpec


Plain = ByAdmm | OneShot | Direct | Gradual | Rounding


@dataclass(frozen=True)
class Taught:
    """Another way, in each stage of which the network also learns from what it was before."""

    title: ClassVar[str] = "taught by the dense network"
    way: Plain
    distil: DistilSpec = DistilSpec()


Solver = Plain | Taught


def to_dict(solver: Solver) -> dict[str, Any]:
    """The way in words and its values, as JSON holds them."""
    if isinstance(solver, Taught):
        return {
            "solver": solver.title,
            "way": to_dict(solver.way),
            "distil": solver.distil.to_dict(),
        }
    if isinstance(solver, Rounding):
        return {"solver": solver.title, "way": to_dict(solver.way), "data": solver.data.to_dict()}
    return {"solver": solver.title, **asdict(solver)}


def rounds(solver: Solver) -> bool:
    """Whether data are rounded in its last stage, which then gives their formats."""
    return isinstance(solver.way if isinstance(solver, Taught) else solver, Rounding)


def compress(
    model: AcousticModel,
    task: Task,
    plan: CompressionPlan,
    solver: Solver,
    folder: Path | None = None,
    progress: bool = True,
    distillation: Distillation | None = None,
) -> tuple[Trained, ...]:
    """Bring `model`, in place, into the sets of `plan`; what each stage gave, the last one last.

    The model is a trained one; for `Direct` its weights are drawn anew.  With a `folder` it can be
    stopped and started again with the same model (see `ernn.train.fit`).  With a `distillation`
    every stage learns from teachers too; `Taught` makes its own, of the model as it comes. Raises
    UserError where the plan does not fit the model.
    """
    within = _stage(folder, "inside")
    match solver:
        case Taught(way, values):
            soft = soft_labels([model], task.train, task.objective)
            learning = Distillation(soft, values.labels, values.peaks)
            return compress(model, task, plan, way, folder, progress, learning)
        case Rounding(way, data):
            _require_whole(model, plan)  # before any time is spent
            done = compress(model, task, plan, way, folder, progress, distillation)
            spec, after = data.training(way.inside), _stage(folder, "rounded")
            return *done, stages.retrain_rounded(
                model, task, plan, spec, data, after, progress, distillation
            )
        case ByAdmm(towards, spec, admm):
            before = _stage(folder, "towards")
            first = stages.compress_by_admm(
                model, task, plan, towards, admm, before, progress, distillation
            )
            return first, stages.retrain_inside(
                model, task, plan, spec, within, progress, distillation=distillation
            )
        case OneShot(spec):
            return (stages.one_shot(model, task, plan, spec, within, progress, distillation),)
        case Direct(spec, domain):
            torch.manual_seed(spec.seed)
            model.load_state_dict(AcousticModel(model.spec).state_dict())
            return (
                stages.train_direct(
                    model, task, plan, spec, within, progress, domain, distillation
                ),
            )
        case Gradual():
            drawn = _towards(model, task, plan, solver, folder, progress, distillation)
            last = stages.retrain_inside(
                model, task, plan, solver.inside, within, progress, distillation=distillation
            )
            return *drawn, last


def _towards(
    model: AcousticModel,
    task: Task,
    plan: CompressionPlan,
    solver: Gradual,
    folder: Path | None,
    progress: bool,
    distillation: Distillation | None,
) -> tuple[Trained, ...]:
    if solver.by == "strength":
        before = _stage(folder, "towards")
        return (
            stages.pull_towards(model, task, plan, solver.towards, before, progress, distillation),
        )
    spec = replace(solver.towards, epochs=solver.towards.epochs // solver.steps)
    return tuple(
        stages.retrain_inside(
            model,
            task,
            weaker,
            spec,
            _stage(folder, f"step{number}"),
            progress,
            distillation=distillation,
        )
        for number, weaker in enumerate(path(plan, solver.steps), 1)
    )


def _require_whole(model: AcousticModel, plan: CompressionPlan) -> None:
    for matrix in compressed(model, plan):
        if matrix.structure.taken().factors(matrix.weight.detach().double().numpy()) is not None:
            raise UserError(
                f"{matrix.name} is compressed to factors, {matrix.structure}: data are not rounded "
                "in training there; leave [data] out, or take a structure without factors"
            )


def _stage(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder else None
