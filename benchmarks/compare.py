"""Every method of the survey at the same storage and the same training: errors, bits, operations, cycles, time.

    python benchmarks/compare.py --corpus digits --times 4,8,16,32 --seeds 3
    python benchmarks/compare.py --corpus an4 --root ../shared/data/an4_cepstra --only "low rank" --only SRU

A budget is `times` fewer bits than the dense network's recurrent layers have at 12 bits a weight; positions, padding
and scales count.  Each method takes the largest setting that keeps to it (`ernn.search.rivals`) and nothing else: none
is tuned.  From the dense network of its seed a method is trained for as many epochs as ADMM and its retraining have
together; what begins anew has the dense network's epochs too.  The test split is looked at once, at the end of each.

Each result is a file in --work: a run that is stopped goes on with what is missing, and a training with its last
epoch.  It writes compare-<corpus>.json, .md and .svg into --out from whatever results there are.
"""

import argparse
import hashlib
import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from ernn.compress.hidden_units import largest_units, without_others
from ernn.data.corpus import Corpus
from ernn.data.open import NAMES, open_corpus
from ernn.device import find_device
from ernn.errors import UserError
from ernn.files import write_atomic, write_json
from ernn.nn.model import AcousticModel
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.phase1 import predictor
from ernn.quantize import QuantizeSpec
from ernn.search.cost import cost
from ernn.search.estimate import best_estimate
from ernn.search.rivals import BITS, RIVALS, Entry, entry
from ernn.search.shape import shape_model
from ernn.spec import ModelSpec
from ernn.train import stages
from ernn.train.evaluate import evaluate_model
from ernn.train.recipes import Recipe
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Plain, Solver, Taught, compress
from ernn.train.spec import DistilSpec
from ernn.train.task import Prepared

DEVICE, STREAMS = "LFE5U-85F", 2


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    corpus = open_corpus(options.corpus, options.root)
    recipe, results = recipe_of(options, corpus), []
    prepared = Prepared(corpus, recipe.features)
    for seed in range(options.seeds):
        results += run_seed(options, recipe.with_seed(seed), prepared, seed)
    report(options, recipe, results)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", choices=NAMES, default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument("--recipe", type=Path, help="a recipe in TOML that changes the corpus's own")
    parser.add_argument("--times", default="4,8,16,32", help="how many times fewer bits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", help="a method by name, may be given again; all of them otherwise")
    parser.add_argument("--epochs", help="dense, ADMM and retraining instead of the recipe's, as 24,14,14")
    parser.add_argument("--hidden", type=int, help="units a layer instead of the recipe's")
    parser.add_argument("--work", type=Path, default=Path("out/compare"), help="results and checkpoints")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    return parser.parse_args(arguments)


def recipe_of(options: argparse.Namespace, corpus: Corpus) -> Recipe:
    recipe = recipe_for(corpus, options.recipe)
    if options.epochs:
        recipe = recipe.with_epochs(*(int(part) for part in options.epochs.split(",")))
    if options.hidden:
        recipe = replace(recipe, layers=tuple(replace(layer, hidden=options.hidden) for layer in recipe.layers))
    return recipe


def run_seed(options: argparse.Namespace, recipe: Recipe, prepared: Prepared, seed: int) -> list[dict[str, Any]]:
    spec = recipe.model(prepared.task).spec
    folder = options.work / options.corpus / identity(recipe, spec) / f"seed{seed}"
    model = recipe.model(prepared.task)
    stages.train_dense(model, prepared.task, recipe.dense, folder / "dense", progress=False)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    results = [kept(folder / "dense.json", lambda: {"name": "dense", "times": 1.0} | measured(model, prepared))]
    names = options.only or list(RIVALS)
    if unknown := [name for name in names if name not in RIVALS]:
        raise UserError(f"no method is called {unknown[0]!r}; they are {', '.join(RIVALS)}")
    for times in [float(part) for part in options.times.split(",")]:
        for name in names:
            made = entry(RIVALS[name], spec, times)
            if made is None:
                continue
            place = folder / f"{name} {times:g}".replace(" ", "-").replace(",", "")
            file = place.with_suffix(".json")
            found = kept(file, lambda m=made, p=place, t=times: run_entry(m, state, recipe, prepared, p, t))
            results.append(found if found["cycles"] is not None else found | cycles(made))  # counted today, perhaps
            print(f"seed {seed}, {times:g} times, {name}: {results[-1]['percent']:.2f} %", file=sys.stderr, flush=True)
    return [result | {"seed": seed} for result in results]


def identity(recipe: Recipe, spec: ModelSpec) -> str:
    """Of everything that results follow from but the seed."""
    values = asdict(recipe.with_seed(0)) | {"plan": recipe.plan.to_dict(), "model": spec.to_dict()}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def kept(file: Path, work: Any) -> dict[str, Any]:
    """What is in the file, or what `work` gives, then in the file."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, work())
    return json.loads(file.read_text())


def run_entry(
    made: Entry, dense: dict[str, torch.Tensor], recipe: Recipe, prepared: Prepared, folder: Path, times: float
) -> dict[str, Any]:
    began = time.process_time()
    model = trained(made, dense, recipe, prepared, folder)
    seconds = time.process_time() - began
    figures = cost(made.model, made.plan, BITS)
    plan = {"plan": made.plan.to_dict(), "layers": [layer.hidden for layer in made.model.layers]}
    return {
        "name": made.rival.name,
        "family": made.rival.family,
        "times": times,
        "bits": made.bits,
        "multiplications": figures.multiplications,
        **cycles(made),
        "cpu_seconds": seconds,
        **measured(model, prepared),
        **plan,
    }


def trained(
    made: Entry, dense: dict[str, torch.Tensor], recipe: Recipe, prepared: Prepared, folder: Path
) -> AcousticModel:
    """The method's network after its training, of equal length for all."""
    task, after = prepared.task, replace(recipe.retrain, epochs=recipe.admm.epochs + recipe.retrain.epochs)
    whole = replace(recipe.dense, epochs=recipe.dense.epochs + after.epochs)
    torch.manual_seed(recipe.dense.seed)
    if made.rival.way == "fresh":
        model = AcousticModel(made.model)
        stages.train_dense(model, task, whole, folder, progress=False)
        return model
    model = AcousticModel(made.model if made.rival.cell else recipe.model(task).spec)
    if made.rival.cell is None:
        model.load_state_dict(dense)
    if made.rival.way == "units":
        model = without_others(model, largest_units(model, [layer.hidden for layer in made.model.layers]))
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


def measured(model: AcousticModel, prepared: Prepared) -> dict[str, Any]:
    rate = evaluate_model(model, prepared.test)
    validation = evaluate_model(model, prepared.task.validation)
    return {"percent": rate.percent, "tokens": rate.tokens, "validation_percent": validation.percent}


@cache
def cycles(made: Entry) -> dict[str, Any]:
    """Cycles a frame on the engine that suits DEVICE: predicted, or estimated where golden alone runs it; else None."""
    device, bits = find_device(DEVICE), QuantizeSpec(BITS)
    found = predictor(device, STREAMS, bits)(made.model, made.plan)
    if found is not None:
        return {"cycles": found.cycles_per_frame, "cycles_kind": "predicted"}
    try:
        model = shape_model(made.model, made.plan, bits)
        if not model.repeated:
            return {"cycles": None}
        return {"cycles": best_estimate(model, device, STREAMS).cycles_per_frame, "cycles_kind": "estimated"}
    except UserError:
        return {"cycles": None}


# Results


def report(options: argparse.Namespace, recipe: Recipe, results: list[dict[str, Any]]) -> None:
    name = f"compare-{options.corpus}"
    about = {
        "kind": "measured",
        "command": shlex.join(["python", "benchmarks/compare.py", *sys.argv[1:]]),
        "recipe": asdict(recipe) | {"plan": recipe.plan.to_dict()},
        "device": f"cycles are predicted, for {DEVICE} with {STREAMS} streams",
    }
    write_json(options.out / f"{name}.json", about | {"results": results})
    write_atomic(options.out / f"{name}.md", page(options, about, results))
    write_atomic(options.out / f"{name}.svg", picture(results))


def page(options: argparse.Namespace, about: dict[str, Any], results: list[dict[str, Any]]) -> str:
    dense = [result for result in results if result["name"] == "dense"]
    lines = [
        f"# Methods compared on {options.corpus}",
        "",
        f"Error rate on {dense[0]['tokens']} test tokens, greedy decoding, kind: measured; {about['device']}.",
        "",
        f"    {about['command']}",
        "",
        f"The dense network: {spread([result['percent'] for result in dense])} %.",
        "",
        "| times fewer bits | method | family | error %, mean ± deviation (least to most) | kbit | multiplications "
        "| cycles a frame | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key in sorted({(r["times"], r["family"], r["name"]) for r in results if r["name"] != "dense"}):
        same = [r for r in results if (r["times"], r.get("family"), r["name"]) == key]
        first, (times, family, name) = same[0], key
        shown = "software" if first["cycles"] is None else f"{first['cycles']:,.0f}"
        shown += " (estimated)" if first.get("cycles_kind") == "estimated" else ""
        lines.append(
            f"| {times:g} | {name} | {family} | {spread([r['percent'] for r in same])} | {first['bits'] / 1024:,.0f} "
            f"| {first['multiplications']:,} | {shown} | {mean(r['cpu_seconds'] for r in same):.0f} |"
        )
    return "\n".join([*lines, "", *(_NOTES.strip().split("\n")), ""])


_NOTES = """
Bits of the recurrent layers' weights, positions, padding and scales counted, the dense network's at 12 bits a weight.
Each method has the largest setting within the budget (1 % over for scales, 10 % for padding), matrix by matrix,
and as many epochs as any other; none is tuned. The deviation is over seeds. `software`: the engine cannot run it;
`estimated`: nor this, but golden does, and its multiplications, passes and latencies are counted on such an engine.
"""


def spread(values: Sequence[float]) -> str:
    deviation = stdev(values) if len(values) > 1 else 0.0
    return f"{mean(values):.2f} ± {deviation:.2f} ({min(values):.2f} to {max(values):.2f})"


def picture(results: list[dict[str, Any]]) -> str:
    """Error over bits, one colour a family."""
    from matplotlib.figure import Figure

    from ernn.report.plots import PALETTE
    from ernn.report.svg import styled, to_svg

    with styled():
        figure = Figure(figsize=(9.0, 5.0), layout="constrained")
        axes = figure.subplots()
        families = sorted({result["family"] for result in results if "family" in result})
        for index, family in enumerate(families):
            names = sorted({(r["name"], r["times"]) for r in results if r.get("family") == family})
            groups = [[r for r in results if (r["name"], r["times"]) == key] for key in names]
            x = [group[0]["bits"] / 1024 for group in groups]
            y = [mean(r["percent"] for r in group) for group in groups]
            axes.plot(x, y, "o", color=PALETTE[index % len(PALETTE)], ms=5, label=family)
        axes.set(xscale="log", xlabel="kbit of the recurrent layers' weights", ylabel="error rate, %")
        axes.grid()
        figure.legend(loc="outside lower center", ncols=3)
        return to_svg(figure, "compare", "Error rate over bits, by family of methods")


if __name__ == "__main__":
    main()
