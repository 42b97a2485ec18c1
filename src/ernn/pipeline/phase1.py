"""Phase I over a folder: `ernn.search.model` on a corpus and a device, and a run to go on from."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ernn.compress.plan import CompressionPlan
from ernn.data.open import named, open_corpus
from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import Device
from ernn.files import write_json
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import network, sequences
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.run import Run
from ernn.quantization.quantize import QuantizeSpec
from ernn.search.choice import Request
from ernn.search.cost import cost
from ernn.search.hardware import search
from ernn.search.limit import Limit
from ernn.search.log import Log
from ernn.search.model import CompressedNetwork, Explorer, Predict, Prediction, Question
from ernn.search.shape import shape_model
from ernn.search.trial import Bench, DenseTrial, Trial
from ernn.train.recipes import Recipe
from ernn.train.task import Prepared

SUMMARY, RUN = "explore.json", "network"
SCHEDULES = 20  # of the search for one network's engine


@dataclass(frozen=True)
class Phase1Request:
    """hidden, layers, epochs (dense), towards, inside: None is the recipe's."""

    device: Device
    limit: Limit
    hidden: int | None = None
    layers: int | None = None
    epochs: int | None = None
    towards: int | None = None
    inside: int | None = None
    trainings: int = 6
    mixed: bool = False
    streams: int = 2
    bits: QuantizeSpec = QuantizeSpec()
    seed: int = 0
    recipe: Path | None = None
    signed: bool = True


def explore(
    folder: Path, name: str, root: Path | None, asked: Phase1Request, *, progress: bool = True
) -> dict[str, Any]:
    """Search; write decisions, a summary, and, if a network was found, a run directory with it."""
    name, root = named(name, root)
    corpus = open_corpus(name, root)
    recipe = adapted(recipe_for(corpus, asked.recipe).without_data("a search"), asked)
    data = Prepared(corpus, recipe.features)
    bench = Bench(folder / "trials", data.task, task_identity(data), progress)
    question = _question(asked, recipe, data)
    log = Log(folder)
    explorer = Explorer(question, bench, log, predictor(asked.device, asked.streams, asked.bits))
    found = explorer.explore()
    summary = {
        "corpus": sequences.title(name, corpus),
        "device": asked.device.name,
        "limit": str(asked.limit),
        "seed": asked.seed,
        "trainings": len(explorer.trained),
        "seconds": round(sum(result.seconds for result in explorer.trained), 1),
        "found": _found(found, bench, data) if found else None,
        "dense": _dense(question, bench, data),
        "decisions": [asdict(one) for one in log.decisions],
    }
    if found:
        task = sequences.describe(corpus, name, 0, recipe.features)
        _keep(Run(folder / RUN, root), found, bench, data, task)
    write_json(folder / SUMMARY, summary)
    return summary


def adapted(recipe: Recipe, asked: Phase1Request) -> Recipe:
    """The recipe with the seed and the numbers of epochs that were asked for."""
    epochs = (
        asked.epochs or recipe.dense.epochs,
        asked.towards or recipe.admm.epochs,
        asked.inside or recipe.retrain.epochs,
    )
    return recipe.with_seed(asked.seed).with_epochs(*epochs)


def task_identity(data: Prepared) -> str:
    """A digest that tells this corpus with these features from any other."""
    return json.dumps([data.corpus.name, data.corpus.identity, asdict(data.features)])


def predictor(device: Device, streams: int, bits: QuantizeSpec) -> Predict:
    """What predicts the cycles of `ernn design`'s engine, for networks that are not trained yet."""

    @cache
    def predict(model: ModelSpec, plan: CompressionPlan) -> Prediction | None:
        try:
            request = Request(device, Clock.assumed(device), streams=streams)
            integers = shape_model(model, plan, bits)
            found = search(integers, request, SCHEDULES).best
        except UserError:
            return None
        own = cost(model, plan, bits.weight_bits, bits.data_bits)
        more = integers.stored_weights - own.weights
        stored = own.bits + more * bits.weight_bits
        return Prediction(found.cycles_per_frame, found.multipliers, found.clock_mhz, stored)

    return predict


def _question(asked: Phase1Request, recipe: Recipe, data: Prepared) -> Question:
    hidden, layers = asked.hidden or recipe.layers[0].hidden, asked.layers or len(recipe.layers)

    def model(layer: LayerSpec) -> ModelSpec:
        return ModelSpec(
            data.task.inputs, (layer,) * layers, data.task.outputs, recipe.dropout, recipe.front
        )

    return Question(
        asked.device,
        asked.limit,
        model(LayerSpec("lstm", hidden)),
        model(LayerSpec("gru", hidden)),
        recipe.dense,
        recipe.by_admm,
        asked.bits.weight_bits,
        asked.bits.data_bits,
        trainings=asked.trainings,
        mixed=asked.mixed,
        signed=asked.signed,
    )


def _found(found: CompressedNetwork, bench: Bench, data: Prepared) -> dict[str, Any]:
    return {
        "model": found.trial.model.to_dict(),
        "plan": found.trial.plan.to_dict(),
        "block": found.block,
        **_errors(found.trial, bench, data),
        **asdict(found.cost),
        "predicted": asdict(found.prediction) if found.prediction else None,
    }


def _dense(question: Question, bench: Bench, data: Prepared) -> dict[str, Any]:
    return _errors(DenseTrial(question.lstm, question.dense), bench, data)


def _errors(trial: Trial, bench: Bench, data: Prepared) -> dict[str, Any]:
    """Validation and test error rates in per cent; the test split's first use, after decisions."""
    test, known = data.score(bench.network(trial)), bench.known(trial)
    assert known is not None
    return {
        "validation_percent": known.validation,
        "test_percent": test.percent,
        "test_tokens": test.tokens,
    }


def _keep(
    run: Run, found: CompressedNetwork, bench: Bench, data: Prepared, task: dict[str, Any]
) -> None:
    """The network found as a run in which `train` and `compress` are done."""
    start = found.trial.start
    assert isinstance(start, DenseTrial)
    model, trained = start.model, bench.state(start)
    network.train(
        run,
        data.corpus,
        task,
        model.layers,
        model.dropout,
        start.spec,
        front=model.front,
        trained=trained,
    )
    network.compress(run, found.trial.plan, found.trial.solver, trained=bench.state(found.trial))
