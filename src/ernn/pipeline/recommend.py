"""`ernn recommend`: widths, structures and bits within a budget, beside one block size for all."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from ernn.compress.plan import CompressionPlan
from ernn.data.open import named, open_corpus
from ernn.files import write_json
from ernn.ir.structure import BLOCK_SIZES, Signed, Structure, block_size
from ernn.nn.spec import ModelSpec
from ernn.pipeline import network, sequences
from ernn.pipeline.budget import Budget
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.phase1 import task_identity
from ernn.pipeline.run import Run, digest, file_digest
from ernn.quantization.quantize import QuantizeSpec
from ernn.search.candidates import (
    BITS,
    UNIFORM_BITS,
    Price,
    Space,
    blocks,
    space_of,
    stored_bytes,
    uniform,
)
from ernn.search.choosers.by import By
from ernn.search.choosers.chooser import Setting, Tried
from ernn.search.choosers.known import chooser
from ernn.search.log import Log
from ernn.search.recommend import best, recommend
from ernn.search.rehearsal import Rehearsal
from ernn.search.trial import Bench, CompressedTrial, DenseTrial, NarrowedTrial
from ernn.train.recipes import Recipe
from ernn.train.spec import TrainSpec
from ernn.train.task import Prepared

SUMMARY, FOLDER = "recommend.json", "recommend"
FIGURES = ("validation_percent", "test_percent", "test_tokens", "price", "bytes")


@dataclass(frozen=True)
class RecommendationRequest:
    """trials: of the search, trainings of `epochs` each; towards, inside: of the final training.

    sizes, others: blocks and other structures to choose from; bits: of a weight, the engine's alone
    with a device. widths: shares of each recurrent layer's units to choose from. signed: whether
    columns of blocks have signs.
    """

    budget: Budget
    by: By = By.greedy
    trials: int = 48
    epochs: int = 1
    sizes: tuple[int, ...] = BLOCK_SIZES[:-1]
    others: tuple[Structure, ...] = ()
    bits: tuple[int, ...] = BITS
    widths: tuple[float, ...] = (1.0,)
    engine: QuantizeSpec = QuantizeSpec()
    streams: int = 2
    towards: int | None = None
    inside: int | None = None
    seed: int = 0
    recipe: Path | None = None
    signed: bool = True


def of_corpus(
    folder: Path,
    name: str,
    root: Path | None,
    asked: RecommendationRequest,
    *,
    progress: bool = True,
) -> dict[str, Any]:
    """`of_run` of a run in `folder`; the corpus's recipe trains its dense network if missing."""
    name, root = named(name, root)
    run, corpus = Run(folder, root), open_corpus(name, root)
    recipe = recipe_for(corpus, asked.recipe).without_data("a search").with_seed(asked.seed)
    task = sequences.describe(corpus, name, 0, recipe.features)
    layers, front = recipe.layers, recipe.front
    network.train(
        run, corpus, task, layers, recipe.dropout, recipe.dense, front=front, progress=progress
    )
    return of_run(run, asked, progress=progress)


def of_run(run: Run, asked: RecommendationRequest, *, progress: bool = True) -> dict[str, Any]:
    """Choose, compress the run by what was chosen, and beside it one block size of equal storage.

    Writes recommend.json and the decisions into RUN/recommend, where trials are kept too.
    """
    folder, data = run.path(FOLDER), sequences.prepared(run)
    recipe = recipe_for(data.corpus, asked.recipe).without_data("a search").with_seed(asked.seed)
    recipe = recipe.with_epochs(
        recipe.dense.epochs,
        asked.towards or recipe.admm.epochs,
        asked.inside or recipe.retrain.epochs,
    )
    model = network.dense_model(run).spec
    space = space_for(model, asked)
    log = Log(folder)
    log.add(
        "budget",
        f"{space.limit:,.0f} {asked.budget.unit}",
        mildest=space.price(space.mildest),
        picks=space.size,
    )
    tried = search(run, space, asked, recipe.retrain, data, log)
    chosen = best(tried)
    log.add(
        "chosen",
        f"by {asked.by.value} in {len(tried)} trials",
        price=chosen.price,
        **space.describe(chosen.pick),
    )
    return _conclude(run, space, chosen, asked, recipe, data, log, progress)


def space_for(model: ModelSpec, asked: RecommendationRequest) -> Space:
    """The choices for a network: with an engine, its number of bits; else all asked for."""
    price = asked.budget.price(asked.engine, asked.streams)
    bits = (asked.engine.weight_bits,) if asked.budget.on_engine else asked.bits
    sizes = _on_device(model, asked, price) if asked.budget.on_engine else asked.sizes
    inners = (*blocks(sizes, asked.signed), *(() if asked.budget.on_engine else asked.others))
    return space_of(model, inners, bits, price, asked.budget.limit, asked.widths)


def _on_device(model: ModelSpec, asked: RecommendationRequest, price: Price) -> tuple[int, ...]:
    """Without block sizes that the device is too small for: words of them need multipliers."""
    sizes, bits = sorted(asked.sizes, reverse=True), asked.engine.weight_bits
    largest = (size for size in sizes if price(model, uniform(size, bits, output=size)) < inf)
    most = next(largest, sizes[0])
    return tuple(size for size in asked.sizes if size <= most)


def search(
    run: Run,
    space: Space,
    asked: RecommendationRequest,
    training: TrainSpec,
    data: Prepared,
    log: Log,
) -> list[Tried]:
    """All trials; those that RUN/recommend/trials has are not trained again."""
    spec, folder = replace(training, epochs=asked.epochs, average=0.0), run.path(FOLDER)

    def dense() -> Any:
        return network.dense_model(run)

    identity = f"{task_identity(data)} {file_digest(run.path(network.DENSE))}"
    options = {one.name: [str(option) for option in one.options] for one in space.parts}
    own = digest(
        {"task": identity, "train": spec.to_dict(), "options": options, "limit": space.limit}
    )[:12]
    setting = Setting(
        space, dense, data.task, spec, asked.trials, folder / f"{asked.by.value}-{own}", asked.seed
    )
    trial = Rehearsal(dense, data.task, spec, folder / "trials", identity)
    return recommend(space, chooser(asked.by, setting), trial, asked.trials, log, asked.epochs)


def _conclude(
    run: Run,
    space: Space,
    chosen: Tried,
    asked: RecommendationRequest,
    recipe: Recipe,
    data: Prepared,
    log: Log,
    progress: bool,
) -> dict[str, Any]:
    bench, dense = _bench(run, data, progress)
    units = space.units(chosen.pick)
    start = dense if units is None else NarrowedTrial(dense, units)
    last = CompressedTrial(start, space.plan(chosen.pick), recipe.by_admm)
    trials = {"chosen": last}
    if (rival := _uniform(space, asked)) is not None:
        trials["uniform"] = CompressedTrial(dense, rival, recipe.by_admm)
    found: dict[str, Any] = {}
    for name, trial in trials.items():
        plan, result = trial.plan, bench.result(trial)
        test = data.score(bench.network(trial))
        found[name] = {
            "validation_percent": result.validation,
            "test_percent": test.percent,
            "test_tokens": test.tokens,
            "price": space.pricing(trial.model, plan),
            "bytes": stored_bytes(trial.model, plan),
            "layers": [layer.hidden for layer in trial.model.layers],
            "plan": plan.to_dict(),
            "title": uniform_title(plan) if name == "uniform" else "chosen",
        }
        log.add(name, "compressed by the recipe", **{key: found[name][key] for key in FIGURES})
    network.compress(run, last.plan, last.solver, units=units, trained=bench.state(last))
    summary = {
        "run": str(run.folder),
        "by": asked.by.value,
        "budget": space.limit,
        "unit": asked.budget.unit,
        "seed": asked.seed,
        "trials": asked.trials,
        "choice": space.describe(chosen.pick),
        **found,
        "decisions": [asdict(one) for one in log.decisions],
    }
    write_json(run.path(FOLDER) / SUMMARY, summary)
    return summary


def _bench(run: Run, data: Prepared, progress: bool) -> tuple[Bench, DenseTrial]:
    """A bench that has the run's dense network as a trial's result."""
    module = network.dense_model(run)
    dense = DenseTrial(module.spec, run.option("train", "train", TrainSpec))
    identity = f"{task_identity(data)} {file_digest(run.path(network.DENSE))}"
    bench = Bench(run.path(FOLDER) / "networks", data.task, identity, progress)
    bench.adopt(dense, module)
    return bench, dense


def _weight_bits(asked: RecommendationRequest) -> int:
    return asked.engine.weight_bits if asked.budget.on_engine else UNIFORM_BITS


def _uniform(space: Space, asked: RecommendationRequest) -> CompressionPlan | None:
    """The smallest block size that keeps to the budget for all recurrent layers; None if none does.

    The output matrix is dense, which suits it; if the budget does not allow
    that, it has this block size too.
    """
    bits, signed = _weight_bits(asked), asked.signed
    plans = [uniform(block, bits, signed=signed) for block in BLOCK_SIZES]
    plans += [uniform(block, bits, block, signed) for block in BLOCK_SIZES]
    return next((plan for plan in plans if space.pricing(space.model, plan) <= space.limit), None)


def uniform_title(plan: CompressionPlan) -> str:
    """One block size for all, in words."""
    output = "dense" if block_size(plan.output) == 1 else "in blocks too"
    signed = "signed " if isinstance(plan.recurrent, Signed) else ""
    return f"{signed}blocks of {block_size(plan.recurrent)}, output {output}"


def rows(found: dict[str, Any]) -> Sequence[Sequence[str]]:
    """The chosen network beside that of one block size."""
    shown = [found[name] for name in ("chosen", "uniform") if name in found]
    return [
        (
            one["title"],
            f"{one['test_percent']:.2f}",
            f"{one['validation_percent']:.2f}",
            f"{one['bytes']:,.0f}",
            f"{one['price']:,.0f}",
        )
        for one in shown
    ]
