"""`ernn compare`: every method of the survey on a user's network, at equal storage and training.

Results are files, one a network and seed, in WORK/CORPUS/IDENTITY/seedN; the identity is of
everything they follow from but the seed.  A run that is stopped goes on with what is missing, and
a training with its last epoch.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from math import inf
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from ernn.compress.plan import CompressionPlan
from ernn.data.open import named, open_corpus
from ernn.errors import UserError
from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.files import write_json
from ernn.ground.plain import with_fields
from ernn.ground.reading import read_json
from ernn.ground.typed import command_line
from ernn.nn.spec import ModelSpec
from ernn.pipeline import network, rival, sequences
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.jobs_bar import JobsBar
from ernn.pipeline.run import STATE, Run, code_digest, digest, file_digest
from ernn.pipeline.side_by_side import Job, run, work_through
from ernn.pipeline.source import Source
from ernn.report.comparison import COLUMNS, Comparison, Row, cells, write
from ernn.report.series import Item
from ernn.search.cost import cost
from ernn.search.rivals import BITS, RIVALS, Entry, entry, recurrent_bits
from ernn.train import stages
from ernn.train.callbacks import watched_by
from ernn.train.recipes import Recipe
from ernn.train.spec import TrainSpec
from ernn.train.task import Prepared

DEVICE, STREAMS = "LFE5U-85F", 2
"""Result files say the cycles of this engine; others are predicted beside them."""
FOLDER = "compare"
PREDICTING = ("ir", "quantization", "scheduling", "estimate", "compress", "search")
TERMINAL = ("method", "error", "bytes", "cycles", "frames/s")
BUDGET = (
    "A budget is so many times fewer bits than the dense network's recurrent layers have at 12 "
    "bits a weight; positions, padding and scales count. Each method has the largest setting "
    "within it (1 % over for scales, 10 % for padding), matrix by matrix, and nothing else is "
    "tuned.",
)


@dataclass(frozen=True)
class ComparisonRequest:
    """target: a corpus, or a run directory whose network it is. epochs: dense, ADMM and retraining.

    only: methods by name, all where empty. work: None is out/compare, or `compare` in the run.
    hidden, epochs: None is the recipe's. clock: MHz, None is what is assumed of the device.
    """

    target: str
    root: Path | None = None
    recipe: Path | None = None
    hidden: int | None = None
    epochs: tuple[int | None, int | None, int | None] = (None, None, None)
    times: tuple[float, ...] = (4.0, 8.0, 16.0, 32.0)
    seeds: int = 3
    only: tuple[str, ...] = ()
    work: Path | None = None
    device: str = DEVICE
    streams: int = STREAMS
    clock: float | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.only if name not in RIVALS]:
            raise UserError(f"no method is called {unknown[0]!r}; they are {'; '.join(RIVALS)}")
        if bad := [one for one in self.times if not 1 < one < inf]:
            raise UserError(f"a budget is more than 1 times fewer bits, not {bad[0]:g}")
        find_device(self.device)

    @property
    def of_run(self) -> bool:
        return (Path(self.target) / STATE).exists()


@dataclass(frozen=True, eq=False)
class Setting:
    """What is compared: `recipe` without a seed, examples, the dense network, where results are."""

    corpus: str
    recipe: Recipe
    prepared: Prepared
    model: ModelSpec
    folder: Path
    own: Run | None
    seeds: range

    def seed(self, seed: int) -> Path:
        return self.folder / f"seed{seed}"


@cache
def setting(asked: ComparisonRequest) -> Setting:
    """The corpus is read once a process, which trains with one thread."""
    torch.set_num_threads(1)
    own = Run.existing(asked.target, asked.root) if asked.of_run else None
    if own is not None:
        corpus, prepared, recipe = _of_run(own, asked)
    else:
        name, root = named(asked.target, asked.root)
        opened = open_corpus(name, root)
        corpus = sequences.title(name, opened)
        recipe = recipe_for(opened, asked.recipe).without_data("a comparison")
        prepared = Prepared(opened, recipe.features)
    recipe = recipe.with_epochs(
        asked.epochs[0] or recipe.dense.epochs,
        asked.epochs[1] or recipe.admm.epochs,
        asked.epochs[2] or recipe.retrain.epochs,
    )
    if asked.hidden:
        recipe = replace(
            recipe, layers=tuple(replace(layer, hidden=asked.hidden) for layer in recipe.layers)
        )
    model = recipe.model(prepared.task).spec
    digested = identity(recipe, model)
    if own is not None:
        digested = digest({"identity": digested, "dense": file_digest(own.path(network.DENSE))})[
            :12
        ]
    work = asked.work or (own.path(FOLDER) if own else Path("out") / FOLDER)
    first = recipe.dense.seed if own else 0
    seeds = range(first, first + asked.seeds)
    return Setting(corpus, recipe, prepared, model, work / corpus / digested, own, seeds)


def _of_run(own: Run, asked: ComparisonRequest) -> tuple[str, Prepared, Recipe]:
    prepared = sequences.prepared(own)
    if asked.hidden or asked.epochs[0]:
        raise UserError(
            f"the dense network of {own.folder} is there already: leave --hidden and --epochs out"
        )
    model = own.option("train", "model", ModelSpec)
    recipe = replace(
        recipe_for(prepared.corpus, asked.recipe).without_data("a comparison"),
        features=prepared.features,
        layers=model.layers,
        dropout=model.dropout,
        front=model.front,
        dense=own.option("train", "train", TrainSpec),
    )
    return own.option("train", "task", Source).title, prepared, recipe


def identity(recipe: Recipe, model: ModelSpec) -> str:
    """Digest of all that results follow from but the seed; without [data], not used here."""
    values = asdict(recipe.with_seed(0)) | {"plan": recipe.plan.to_dict(), "model": model.to_dict()}
    del values["data"]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def entries(asked: ComparisonRequest) -> Iterator[tuple[float, Entry]]:
    """Every budget with every method that can be made so small."""
    for times in asked.times:
        for name in asked.only or RIVALS:
            made = entry(RIVALS[name], setting(asked).model, times)
            if made is not None:
                yield times, made


def result_file(asked: ComparisonRequest, seed: int, made: Entry, times: float) -> Path:
    name = f"{made.rival.name} {times:g}".replace(" ", "-").replace(",", "")
    return setting(asked).seed(seed) / f"{name}.json"


# Jobs


def jobs_of(asked: ComparisonRequest) -> list[Job]:
    """All jobs of the comparison, in the order that one process takes; weights are epochs."""
    at, found = setting(asked), []
    made = list(entries(asked))
    for seed in at.seeds:
        dense = at.seed(seed) / "dense.json"
        epochs = at.recipe.dense.epochs
        found.append(Job(f"dense, seed {seed}", dense, partial(_dense, asked, seed), epochs))
        for times, one in made:
            title, file = (
                f"{one.rival.name}, {times:g} times, seed {seed}",
                result_file(asked, seed, one, times),
            )
            work = partial(_trained, asked, seed, one, times)
            found.append(Job(title, file, work, rival.epochs(one, at.recipe), dense))
    return found + _predictions(asked, [one for _, one in made])


def predictions_of(asked: ComparisonRequest) -> list[Job]:
    """Jobs that predict cycles for the results that exist."""
    there = {(one["name"], one["times"]) for one in results(asked)}
    return _predictions(
        asked, [one for times, one in entries(asked) if (one.rival.name, times) in there]
    )


def _predictions(asked: ComparisonRequest, made: Sequence[Entry]) -> list[Job]:
    files = {
        _prediction_file(asked, one): one for one in (dense_entry(setting(asked).model), *made)
    }
    works = {
        file: partial(rival.cycles, one, asked.device, asked.streams) for file, one in files.items()
    }
    return [Job(f"cycles of {files[file].rival.name}", file, work) for file, work in works.items()]


def _dense(asked: ComparisonRequest, seed: int) -> dict[str, Any]:
    model = dense_network(asked, seed)
    return {"name": "dense", "times": 1.0} | rival.errors(model, setting(asked).prepared)


@cache
def dense_network(asked: ComparisonRequest, seed: int) -> Any:
    """The trained dense network of a seed; for a run's own seed, the run's."""
    at = setting(asked)
    if at.own is not None and seed == at.recipe.dense.seed:
        return network.dense_model(at.own)
    recipe = at.recipe.with_seed(seed)
    model = recipe.model(at.prepared.task)
    stages.train_dense(
        model, at.prepared.task, recipe.dense, at.seed(seed) / "dense", progress=False
    )
    return model


def _trained(asked: ComparisonRequest, seed: int, made: Entry, times: float) -> dict[str, Any]:
    at = setting(asked)
    dense = {
        name: tensor.clone() for name, tensor in dense_network(asked, seed).state_dict().items()
    }
    place = result_file(asked, seed, made, times)
    folder = place.with_name(place.name.removesuffix(".json"))
    told, recipe = _kept_cycles(asked, made), at.recipe.with_seed(seed)
    return rival.figures(made, dense, recipe, at.prepared, folder, times, told)


# Cycles


def dense_entry(model: ModelSpec) -> Entry:
    """The dense network as an entry, like a method's."""
    plan = CompressionPlan()
    return Entry(
        replace(RIVALS["fewer units"], name="dense"), model, plan, recurrent_bits(model, plan)
    )


def _prediction_file(asked: ComparisonRequest, made: Entry) -> Path:
    """Where cycles are kept that today's code predicts: other code may find better ones."""
    name = hashlib.sha256(
        json.dumps([made.model.to_dict(), made.plan.to_dict()], sort_keys=True).encode()
    ).hexdigest()
    engine = f"{asked.device}-{asked.streams}-{code_digest(PREDICTING)[:8]}"
    return setting(asked).folder / "predicted" / engine / f"{name[:16]}.json"


def _kept_cycles(asked: ComparisonRequest, made: Entry) -> dict[str, Any]:
    """Cycles for `DEVICE`, predicted if not kept: a matter of seconds, the same for all seeds."""
    file = _prediction_file(replace(asked, device=DEVICE, streams=STREAMS), made)
    if not file.exists():
        write_json(file, rival.cycles(made, DEVICE, STREAMS))
    return _told(file)


def _told(file: Path) -> dict[str, Any]:
    """Cycles of a frame, as a file keeps them; of a result, too."""
    types = {"cycles": float | None, "mhz": float | None, "cycles_kind": str | None}
    return with_fields(str(file), read_json(file), **types)


# The comparison


def compare(
    asked: ComparisonRequest, workers: int = 1, progress: bool = True, as_is: bool = False
) -> Comparison:
    """Do what is missing, in so many processes, and gather all results. as_is: train nothing."""
    wanted = jobs_of(asked)
    make = partial(predictions_of, asked) if as_is else partial(jobs_of, asked)
    jobs = make() if as_is else wanted
    for job in jobs:
        job.failure.unlink(missing_ok=True)
    if not all(job.done for job in jobs):
        with JobsBar(jobs, progress).showing() as bar:
            if workers == 1:
                with watched_by(bar):
                    work_through(jobs, bar.begun)
            else:
                run(make, workers, bar.watch)
            bar.watch(jobs)
    return together(asked, wanted)


def results(asked: ComparisonRequest) -> Iterator[dict[str, Any]]:
    """Results that are there, as their files say, each with its seed."""
    for seed in setting(asked).seeds:
        files = [setting(asked).seed(seed) / "dense.json"]
        files += [result_file(asked, seed, made, times) for times, made in entries(asked)]
        yield from (_result(file) | {"seed": seed} for file in files if file.exists())


def _result(file: Path) -> dict[str, Any]:
    counts = {"bits": int | None, "multiplications": int | None, "cpu_seconds": float | None}
    found = {"name": str, "times": float, "percent": float, "tokens": int}
    try:
        return with_fields(str(file), _told(file), **found, **counts)
    except UserError as error:
        raise UserError(f"{error}; remove the file, and it is trained again") from None


def together(asked: ComparisonRequest, jobs: Sequence[Job]) -> Comparison:
    """All results in one value; UserError if there is not even a dense network."""
    at, found = setting(asked), list(results(asked))
    dense = [one for one in found if one["name"] == "dense"]
    left = [job for job in jobs if not job.done]
    failed = tuple(Item(job.title, job.failure.read_text()) for job in left if job.failure.exists())
    if not dense:
        raise UserError(
            "no dense network has been trained: "
            f"{failed[0].value if failed else 'begin without --as-is'}"
        )
    rows = []
    for times, made in entries(asked):
        same = [one for one in found if one["name"] == made.rival.name and one["times"] == times]
        if same:
            rows.append(_row(asked, made, times, same))
    recipe = at.recipe
    after, first = recipe.admm.epochs + recipe.retrain.epochs, recipe.dense.epochs
    trained = (
        f"From the dense network of its seed ({first} epochs) every method is trained for {after} "
        f"epochs, by ADMM for {recipe.admm.epochs} of them; what begins anew has {first + after}. "
        "The test split is heard once, at the end."
    )
    return Comparison(
        f"Methods compared on {at.corpus}",
        at.corpus,
        dense[0]["tokens"],
        asked.device,
        asked.streams,
        _clock(asked).source,
        _row(asked, dense_entry(at.model), 1.0, dense),
        tuple(rows),
        (*BUDGET, trained),
        tuple(_asked(asked)),
        command_line(),
        failed,
        len(left) - len(failed),
    )


def _row(
    asked: ComparisonRequest, made: Entry, times: float, same: Sequence[dict[str, Any]]
) -> Row:
    """One method's row, over seeds. Bits and multiplications are the trained network's."""
    first, seconds = same[0], [one["cpu_seconds"] for one in same if "cpu_seconds" in one]
    cycles, mhz, estimated = _speed(asked, made, first)
    return Row(
        made.rival.name,
        made.rival.family,
        times,
        tuple(one["percent"] for one in same),
        first.get("bits", made.bits),
        first.get("multiplications", cost(made.model, made.plan, BITS).multiplications),
        cycles,
        mhz,
        mean(seconds) if seconds else None,
        estimated,
    )


def _speed(
    asked: ComparisonRequest, made: Entry, result: dict[str, Any]
) -> tuple[float | None, float | None, bool]:
    """Cycles of a frame, the clock assumed for the engine, whether cycles are estimated.

    A result whose plan would be another today keeps the cycles in its file, which are of `DEVICE`.
    """
    file = _prediction_file(asked, made)
    if file.exists() and result.get("plan", made.plan.to_dict()) == made.plan.to_dict():
        told = _told(file)
    else:
        told = result if (asked.device, asked.streams) == (DEVICE, STREAMS) else {}
    mhz = asked.clock or told.get("mhz")
    return told.get("cycles"), mhz, told.get("cycles_kind") == "estimated"


def _clock(asked: ComparisonRequest) -> Clock:
    return Clock.given(asked.clock) if asked.clock else Clock.assumed(find_device(asked.device))


def _asked(asked: ComparisonRequest) -> Iterator[Item]:
    at = setting(asked)
    layers = ", ".join(f"{layer.cell} {layer.hidden}" for layer in at.model.layers)
    yield Item("corpus", at.corpus)
    yield Item("network", f"{layers}, {at.model.input_size} inputs, {at.model.outputs} outputs")
    yield Item("seeds", ", ".join(str(seed) for seed in at.seeds))
    yield Item("budgets", ", ".join(f"{times:g}" for times in asked.times) + " times fewer bits")
    yield Item("device", f"{asked.device}, {asked.streams} streams")
    yield Item("results", str(at.folder))


def report(
    asked: ComparisonRequest, comparison: Comparison, folder: Path | None = None
) -> list[Path]:
    """compare-CORPUS.json, .md, .svg and .html, beside the results' folder if no other is given."""
    at, name = setting(asked), f"compare-{comparison.corpus}"
    folder = folder or at.folder.parents[1]
    about = {
        "kind": "measured",
        "command": comparison.command,
        "recipe": asdict(at.recipe) | {"plan": at.recipe.plan.to_dict()},
        "device": (
            f"cycles are predicted, for {comparison.device} with {comparison.streams} streams"
        ),
        "clock": f"assumed: {comparison.clock}",
        "rows": [asdict(row) | {"fps": row.fps} for row in (comparison.dense, *comparison.rows)],
    }
    written = write_json(folder / f"{name}.json", about | {"results": list(results(asked))})
    return [written, *write(folder, name, comparison)]


def table(comparison: Comparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows for a terminal, budget by budget, the least error first."""
    shown = [number for number, column in enumerate(COLUMNS) if column in TERMINAL]
    rows = [
        ("1", comparison.dense),
        *((f"{times:g}", row) for times, group in comparison.groups for row in group),
    ]
    found = [(times, *(cells(row)[number] for number in shown)) for times, row in rows]
    return ("times", *(COLUMNS[number] for number in shown)), found


def budgets(text: str) -> tuple[float, ...]:
    """From a list such as "4,8"; UserError for anything else."""
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError:
        raise UserError(f'budgets are written as "4,8,16", not {text!r}') from None
