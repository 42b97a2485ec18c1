"""One of the survey's methods (`ernn.search.rivals`) trained from a dense network; its figures.

Methods are trained for equally long: from the dense network of their seed for the epochs of ADMM
and of its retraining together; what begins anew has the dense network's epochs too.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ernn.compress.hidden_units import largest_units, without_others
from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.nn.model import AcousticModel
from ernn.pipeline.phase1 import predictor
from ernn.quantization.quantize import QuantizeSpec
from ernn.search.cost import cost
from ernn.search.estimate import best_estimate
from ernn.search.rivals import BITS, Entry
from ernn.search.shape import shape_model
from ernn.train import stages
from ernn.train.recipes import Recipe
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Plain, Solver, Taught, compress
from ernn.train.spec import DistilSpec
from ernn.train.task import Prepared

Weights = dict[str, torch.Tensor]
ANEW = ("fresh", "direct")


def figures(
    made: Entry,
    dense: Weights,
    recipe: Recipe,
    prepared: Prepared,
    folder: Path,
    times: float,
    told: dict[str, Any],
) -> dict[str, Any]:
    """Train, and measure the test split once. `folder`: of checkpoints. `told`: by `cycles`."""
    began = time.process_time()
    model = trained(made, dense, recipe, prepared, folder)
    seconds = time.process_time() - began
    return {
        "name": made.rival.name,
        "family": made.rival.family,
        "times": times,
        "bits": made.bits,
        "multiplications": cost(made.model, made.plan, BITS).multiplications,
        **{name: told[name] for name in ("cycles", "cycles_kind") if name in told},
        "cpu_seconds": seconds,
        **errors(model, prepared),
        "plan": made.plan.to_dict(),
        "layers": [layer.hidden for layer in made.model.layers],
    }


def errors(model: AcousticModel, prepared: Prepared) -> dict[str, Any]:
    """Error rates in per cent."""
    rate = prepared.score(model)
    validation = prepared.task.score(model)
    return {
        "percent": rate.percent,
        "tokens": rate.tokens,
        "validation_percent": validation.percent,
    }


def epochs(made: Entry, recipe: Recipe) -> int:
    """How many it is trained for."""
    return recipe.epochs - (0 if made.rival.way in ANEW else recipe.dense.epochs)


def trained(
    made: Entry, dense: Weights, recipe: Recipe, prepared: Prepared, folder: Path
) -> AcousticModel:
    """The method's network after its training."""
    task, after = (
        prepared.task,
        replace(recipe.retrain, epochs=recipe.admm.epochs + recipe.retrain.epochs),
    )
    whole = replace(recipe.dense, epochs=recipe.epochs)
    torch.manual_seed(recipe.dense.seed)
    if made.rival.way == "fresh":
        model = AcousticModel(made.model)
        stages.train_dense(model, task, whole, folder, progress=False)
        return model
    model = AcousticModel(made.model if made.rival.cell else recipe.model(task).spec)
    if made.rival.cell is None:
        model.load_state_dict(dense)
    if made.rival.way == "units":
        model = without_others(
            model, largest_units(model, [layer.hidden for layer in made.model.layers])
        )
        stages.train_dense(model, task, after, folder, progress=False)
        return model
    ways: dict[str, Plain] = {
        "one-shot": OneShot(after),
        "taught": OneShot(after),
        "ADMM": ByAdmm(recipe.admm, recipe.retrain, recipe.solver),
        "gradual": Gradual(recipe.admm, recipe.retrain),
        "direct": Direct(whole),
    }
    solver: Solver = ways[made.rival.way]
    if made.rival.way == "taught":
        solver = Taught(ways["taught"], recipe.distil or DistilSpec())
    compress(model, task, made.plan, solver, folder, progress=False)
    return model


def cycles(made: Entry, device: str, streams: int) -> dict[str, Any]:
    """Of a frame on the best engine for the device; None where neither it nor golden can run this.

    cycles_kind: predicted, or estimated where golden runs the network and no engine
    does. mhz: the clock that is assumed for the engine.
    """
    found, bits = find_device(device), QuantizeSpec(BITS)
    predicted = predictor(found, streams, bits)(made.model, made.plan)
    if predicted is not None:
        told = {"cycles": predicted.cycles_per_frame, "cycles_kind": "predicted"}
        return told | {"mhz": predicted.mhz}
    try:
        model = shape_model(made.model, made.plan, bits)
        if not model.repeated:
            return {"cycles": None}
        best = best_estimate(model, found, streams)
    except UserError:
        return {"cycles": None}
    mhz = Clock.assumed(found).mhz(best.design, best.multipliers)
    return {"cycles": best.cycles_per_frame, "cycles_kind": "estimated", "mhz": mhz}
