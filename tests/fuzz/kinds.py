"""Every kind of file that a person or a disk may damage, and what the program does with it.

Values are changed as well as bytes; those of a model or network keep a valid digest.
"""

import io
import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ernn.compress.plan import CompressionPlan
from ernn.data.normalizer import Normalizer
from ernn.errors import UserError
from ernn.flow.serial_link import Wire
from ernn.golden.compiled import Compiled
from ernn.golden.machine import Plain
from ernn.golden.run import run
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.reference import run as run_floats
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import chosen, compare, network, sequences, summary
from ernn.pipeline.run import STATE, Run
from ernn.quantization.quantize import QuantizeSpec
from ernn.report import page, series
from ernn.report.record import RunRecord
from ernn.scheduling.design import Design
from ernn.search.study import JOURNAL, open_study, pareto
from ernn.search.trial import RESULT as RESULT_FILE
from ernn.search.trial import Bench, DenseTrial
from ernn.search.watch import finished
from ernn.train import fit, weights
from ernn.train.recipe_file import load_recipe
from ernn.train.recipes import DIGITS
from ernn.train.spec import TrainSpec
from tests.fuzz.corpora import CORPORA
from tests.fuzz.harness import Kind, Mutate
from tests.fuzz.making import Array, Use, by_arrays, by_bytes, by_values, changed
from tests.fuzz.mutate import (
    altered,
    as_json,
    as_toml,
    damaged,
    with_other_numbers,
)
from tests.fuzz.onnx_files import of_onnx
from tests.models import random_integer_model, random_network
from tests.report import synthetic_run

# Models and networks


def tampered(value: Any, chance: random.Random) -> bytes:
    """Values or an array changed, and a digest that agrees."""
    tree, arrays = codec._encode(value)
    if chance.random() < 0.5:
        tree = altered(tree, chance)
    if chance.random() < 0.5:
        name = chance.choice(list(arrays))
        arrays[name] = changed(arrays[name], chance)
    return _container(tree, arrays)


def _container(tree: Any, arrays: dict[str, Array]) -> bytes:
    """As `save` writes it, and of what it would refuse too: a NaN in the tree."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    try:
        digest = codec._digest(tree, arrays)
    except ValueError:
        digest = ""
    made = {"format": codec._FORMAT, "tree": text, "digest": digest}
    return codec._container(made, {n: codec._narrowed(a) for n, a in arrays.items()})


def use_model(path: Path) -> None:
    """What two implementations make of it is equal."""
    model = codec.load(path, IntegerModel)
    codec.digest(model)
    if model.input.length > 1000:
        raise UserError("too large to be tried")
    frames = np.random.default_rng(0).integers(-100, 100, (3, model.input.length))
    frames = frames.clip(model.input.format.low, model.input.format.high)
    np.testing.assert_array_equal(run(model, frames, Plain), run(model, frames, Compiled))


def use_network(path: Path) -> None:
    found = codec.load(path, Network)
    run_floats(found, np.random.default_rng(0).normal(size=(3, found.input_size)))


def container(name: str, use: Use, *values: Any) -> Kind:
    """Files of models or networks: one damaged for two tampered with."""
    whole = [_container(*codec._encode(value)) for value in values]
    mutations: list[Mutate] = [partial(damaged, one) for one in whole]
    mutations += [partial(tampered, value) for value in values] * 2
    return Kind(name, whole, mutations, use)


def models() -> Kind:
    small = random_integer_model(np.random.default_rng(0), hidden=4, block=2, outputs=3)
    rng = np.random.default_rng(1)
    large = random_integer_model(rng, cell="gru", hidden=6, block=4, states=True, layers=2)
    return container("model", use_model, small, large)


def networks() -> Kind:
    small = random_network(np.random.default_rng(0), hidden=4, block=2, outputs=3)
    rng = np.random.default_rng(1)
    large = random_network(rng, "gru", hidden=6, bidirectional=True, states=True)
    return container("network", use_network, small, large)


# Runs


TASK = {
    "corpus": "digits",
    "title": "digits",
    "corpus_seed": 0,
    "identity": "0",
    "features": {"kind": "stored"},
}
MODEL = ModelSpec(3, (LayerSpec("gru", 4),), 2)
OPTIONS: Mapping[str, dict[str, Any]] = {
    "train": {"task": TASK, "model": MODEL.to_dict(), "train": TrainSpec().to_dict()},
    "compress": {"plan": CompressionPlan.blocks(8).to_dict(), "solver": "ADMM"},
    "quantize": {"spec": asdict(QuantizeSpec()), "utterances": 3},
    "design": {"device": "LFE5U-25F"},
}
DESIGN = {"device": "LFE5U-25F", **asdict(Design(pes=2, overlap=2))}


def small_record() -> RunRecord:
    """The report's own, with few frames and few bars."""
    record = synthetic_run.record()
    shown, planned = record.series("utterances") or {}, record.series("schedule") or {}
    items = [one | {"features": one["features"][:3]} for one in shown["items"]]
    record.set_series("utterances", shown | {"items": items})
    record.set_series("schedule", planned | {"bars": planned["bars"][:4]})
    return record


def a_run(folder: Path) -> Run:
    """With all that its commands read, but no network."""
    made = Run(folder)
    for step, options in OPTIONS.items():
        made.perform(step, options, lambda: None)
    small_record().save(folder / "record.json")
    (folder / chosen.DESIGN).write_text(json.dumps(DESIGN))
    return made


def use_run(path: Path) -> None:
    """What commands read of it, each by itself: one that refuses leaves the others to try."""
    found = Run.existing(path.parent)
    for read in (
        Run.seconds,
        Run.commands,
        summary.about,
        network.dense_model,
        network.compressed_model,
        sequences.prepared,
        chosen.chosen,
    ):
        try:
            read(found)
        except UserError as error:
            refused = error
        else:
            refused = None
    if refused:
        raise refused


def use_record(path: Path) -> None:
    """As the report does, without its pictures, which take too long for every mutation."""
    record = RunRecord.load(path)
    RunRecord.from_json(record.to_json())
    for kind in series.Series.__args__:
        series.take(record, kind)


def use_drawn(path: Path) -> None:
    page.render(RunRecord.load(path))


def use_design(path: Path) -> None:
    chosen.chosen(Run(path.parent))


# Recipes


RECIPE = {
    "dropout": 0.2,
    "front": 8,
    "layers": [{"cell": "lstm", "hidden": 16, "projection": 8}, {"cell": "gru", "hidden": 8}],
    "plan": {"recurrent": 8, "input": {"block": 8, "pad": True}, "output": {"density": 0.5}},
    "dense": {"epochs": 3, "rate": 0.01},
    "solver": {"rho": 2.0},
    "distil": {"labels": 0.3},
    "data": {"cell": 8, "epochs": 2},
    "features": {"kind": "logmel", "deltas": 1, "stack": 2},
}
GRID = {"kind": "Uniform", "bits": 4}
PLAN = {
    "recurrent": {"kind": "LowRank", "rank": 4},
    "input": {"kind": "Quantized", "inner": {"kind": "BlockCirculant", "block": 4}, "grid": GRID},
    "overrides": {"a.b": {"kind": "BlockCirculant", "block": 4}},
}


def use_recipe(path: Path) -> None:
    recipe = load_recipe(path, DIGITS)
    recipe.plan.to_dict()
    recipe.with_seed(1).with_epochs(1, 1, 1)
    ModelSpec(3, recipe.layers, 4, recipe.dropout, recipe.front).to_dict()


WIRE = {"inputs": 3, "outputs": [2, 4], "bits": 12, "line": 2, "streams": 2, "baud": 115200}


def of_run(folder: Path) -> Kind:
    values = json.loads(a_run(folder).path(STATE).read_text())
    return by_values("run", use_run, as_json, values, file=STATE)


def of_record(folder: Path) -> Kind:
    return by_values("record", use_record, as_json, json.loads(small_record().to_json()))


def of_drawn(folder: Path) -> Kind:
    """Records whose types are right and whose numbers are not, to be drawn: half a second each."""
    values = json.loads(small_record().to_json())

    def mutate(chance: random.Random) -> bytes:
        return as_json(with_other_numbers(values, chance))

    return Kind("drawn", [as_json(values)], [mutate], use_drawn)


def of_design(folder: Path) -> Kind:
    a_run(folder)
    return by_values("design", use_design, as_json, DESIGN, file=chosen.DESIGN)


def of_weights(folder: Path) -> Kind:
    content = weights.save_weights(folder / "weights", AcousticModel(MODEL)).read_bytes()
    return by_bytes("weights", partial(weights.network, MODEL), content)


RESULT = {
    "name": "pruned", "family": "sparsity", "times": 4.0, "bits": 900, "multiplications": 90,
    "cycles": 20.5, "cycles_kind": "predicted", "cpu_seconds": 1.5, "percent": 12.5, "tokens": 99,
    "plan": CompressionPlan.blocks(8).to_dict(),
}  # fmt: skip
TRIAL = {
    "result": {"name": "a", "validation": 3.0, "epochs": 2, "seconds": 1.0, "course": [4.0, 3.0]},
    "trial": {"model": MODEL.to_dict()},
}
COURSE = {"kbit": 9.5, "cycles": 20.0, "validation": [4.0, 3.0]}


def use_trial(path: Path) -> None:
    trial = DenseTrial(MODEL, TrainSpec())
    bench = Bench(path.parent, None, "", progress=False)  # type: ignore[arg-type]
    place = path.parent / bench.name(trial)
    place.mkdir(exist_ok=True)
    shutil.copyfile(path, place / RESULT_FILE)
    assert bench.known(trial) is not None


def of_checkpoint(folder: Path) -> Kind:
    file = io.BytesIO()
    torch.save({"state_dict": AcousticModel(MODEL).state_dict(), "epoch": 3}, file)
    return by_bytes("checkpoint", fit._can_be_read, file.getvalue())


def of_journal(folder: Path) -> Kind:
    made = open_study(folder)
    for _ in range(3):
        trial = made.ask()
        trial.suggest_categorical("cell", ["lstm", "gru"])
        made.tell(trial, [1.0, 2.0, 3.0])
    return by_bytes("journal", use_journal, (folder / JOURNAL).read_bytes(), file=JOURNAL)


def use_journal(path: Path) -> None:
    pareto(open_study(path.parent))


def of_normalizer(folder: Path) -> Kind:
    named = {"mean": np.zeros(3, np.float32), "deviation": np.ones(3, np.float32)}
    return by_arrays("normalizer", Normalizer.load, named)


KINDS: dict[str, Callable[[Path], Kind]] = CORPORA | {
    "model": lambda folder: models(),
    "network": lambda folder: networks(),
    "record": of_record,
    "run": of_run,
    "weights": of_weights,
    "checkpoint": of_checkpoint,
    "journal": of_journal,
    "trial": lambda _: by_values("trial", use_trial, as_json, TRIAL),
    "result": lambda _: by_values("result", compare._result, as_json, RESULT, file="a.json"),
    "course": lambda _: by_values(
        "course", lambda path: finished(path.parent), as_json, COURSE, file="a.json"
    ),
    "design": of_design,
    "onnx": of_onnx,
    "recipe": lambda _: by_values("recipe", use_recipe, as_toml, RECIPE, {"plan": PLAN}),
    "normalizer": of_normalizer,
    "wire": lambda _: by_values("wire", Wire.load, as_json, WIRE),
}
"""Each made in a folder of its own, where its files are to be tried."""
SLOW: dict[str, Callable[[Path], Kind]] = {"drawn": of_drawn}
"""Of which fewer mutations are tried: one for fifty."""
