"""Error rates of a dense network and of what it is compressed to, way by way, on a test split, over several seeds.

    python benchmarks/accuracy.py --corpus digits --seeds 3 --jobs 2 --json
    python benchmarks/accuracy.py --corpus an4 --root ../shared/data/an4_cepstra --seeds 3 \\
        --ways dense,admm,one-shot,one-shot-long,gradual,direct,pruned

All ways but direct training start from the same dense network.  The test split is looked at once, at
the end of each way.  A run that is stopped goes on where it was (checkpoints in --work).  It writes
accuracy-<corpus>.md and .json into --out; with --json the latter is printed too.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import nn

from ernn import sparse
from ernn.compress.plan import CompressionPlan, matrices, stored_weights
from ernn.data.corpus import Corpus
from ernn.data.open import open_corpus
from ernn.files import write_atomic, write_json
from ernn.structure import LoadBalanced, block_size
from ernn.train.evaluate import evaluate_model
from ernn.train.recipes import AN4, DIGITS, Recipe
from ernn.train.solvers import Direct, Gradual, OneShot, Solver, compress
from ernn.train.task import Prepared

RECIPES = {"digits": DIGITS, "an4": AN4}
PES, WEIGHT_BITS = 32, 12


@dataclass(frozen=True)
class Way:
    """A row of the table: what the dense network is turned into, and how (None: not at all)."""

    title: str
    plan: CompressionPlan
    solver: Solver | None = None


def ways(recipe: Recipe) -> dict[str, Way]:
    """Every way has as many epochs as ADMM and its retraining together, but where its title says otherwise."""
    plan, inside = recipe.plan, recipe.retrain
    longer = replace(inside, epochs=inside.epochs + recipe.admm.epochs)
    fresh = replace(recipe.dense, epochs=recipe.dense.epochs + longer.epochs)
    # A block of 8 stores a weight of 12 bits for 8; ESE stores 16 bits for each that it keeps.
    kept = CompressionPlan.pruned(LoadBalanced(WEIGHT_BITS / 16 / block_size(plan.recurrent), PES))
    return {
        "dense": Way("dense", CompressionPlan()),
        "admm": Way("ADMM, then retrained inside the set", plan, recipe.by_admm),
        "one-shot": Way("projected once, then the same retraining", plan, OneShot(inside)),
        "one-shot-long": Way(
            "projected once, then retrained for as many epochs as ADMM and retraining have", plan, OneShot(longer)
        ),
        "gradual": Way("drawn into the set gradually, then retrained", plan, Gradual(recipe.admm, inside)),
        "direct": Way("trained inside the set from the start, as many epochs as all stages", plan, Direct(fresh)),
        "pruned": Way(
            f"ESE: load-balanced pruning on {PES} elements by ADMM, about the same bits", kept, recipe.by_admm
        ),
    }


def main() -> None:
    arguments = parse()
    recipe = RECIPES[arguments.corpus]
    corpus = open_corpus(arguments.corpus, arguments.root)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        seeds = list(pool.map(run_seed, range(arguments.seeds), [arguments] * arguments.seeds))
    result = {**about(arguments, recipe, corpus), "seeds": seeds, "summary": summary(seeds)}
    write_json(arguments.out / f"accuracy-{arguments.corpus}.json", result)
    write_atomic(arguments.out / f"accuracy-{arguments.corpus}.md", page(result))
    if arguments.json:
        print(json.dumps(result, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", choices=sorted(RECIPES), default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time, each on one thread")
    parser.add_argument(
        "--ways", default="dense,admm,one-shot,one-shot-long", help="rows: dense, then any of its names"
    )
    parser.add_argument("--work", type=Path, default=Path("out/accuracy"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def run_seed(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    recipe = RECIPES[arguments.corpus].with_seed(seed)
    prepared = Prepared(open_corpus(arguments.corpus, arguments.root), recipe.features)
    folder = arguments.work / arguments.corpus / f"seed{seed}"
    task, model, dense = prepared.task, recipe.model(prepared.task), dict[str, Any]()
    result: dict[str, Any] = {"seed": seed}
    for name in arguments.ways.split(","):
        way, cpu, resumed = ways(recipe)[name], time.process_time(), (folder / name).exists()
        if way.solver is None:
            recipe.train_dense(model, task, folder)
            dense = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            model.load_state_dict(dense)
            compress(model, task, way.plan, way.solver, folder / name)
        spent = None if resumed else time.process_time() - cpu
        result[name] = {**errors(model, prepared), **sizes(model, way.plan), "cpu_seconds": spent}
        print(f"{arguments.corpus} seed {seed} {name}: {result[name]['percent']:.2f} %", file=sys.stderr, flush=True)
    return result


def errors(model: nn.Module, prepared: Prepared) -> dict[str, Any]:
    rate = evaluate_model(model, prepared.test)
    validation = evaluate_model(model, prepared.task.validation)
    return {"percent": rate.percent, **asdict(rate), "validation_percent": validation.percent}


def sizes(model: nn.Module, plan: CompressionPlan) -> dict[str, Any]:
    recurrent = stored_weights(model, plan, recurrent_only=True)
    counted = {"weights": stored_weights(model, plan), "recurrent_weights": recurrent}
    return counted | {"kbit": WEIGHT_BITS * counted["weights"] / 1024} | ese(model, plan)


def ese(model: nn.Module, plan: CompressionPlan) -> dict[str, Any]:
    """Bits that ESE stores, each kind stated, and its cycles; nothing for a plan that is not pruned."""
    found = matrices(model, plan)
    gates = [g.detach().double().numpy() for m in found if isinstance(m.structure, LoadBalanced) for g in m.weight]
    if not gates:
        return {}
    packed = [sparse.pack(gate, PES) for gate in gates]
    bits = sum((sparse.storage(one, WEIGHT_BITS) for one in packed), sparse.Storage(0, 0, 0, 0))
    rest = WEIGHT_BITS * sum(m.stored for m in found if not isinstance(m.structure, LoadBalanced))
    done = sparse.work(packed)
    cycles = {**asdict(done), "imbalance": done.imbalance, "utilisation": done.utilisation}
    return {"kbit": (bits.entries + rest) / 1024, "bits": {**asdict(bits), "unpruned": rest}, "cycles": cycles}


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    return {way: spread([seed[way]["percent"] for seed in seeds]) for way in seeds[0] if way != "seed"}


def spread(values: list[float]) -> dict[str, float]:
    deviation = stdev(values) if len(values) > 1 else 0.0
    return {"mean": mean(values), "deviation": deviation, "least": min(values), "most": max(values)}


def about(arguments: argparse.Namespace, recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    return {
        "kind": "measured",
        "command": shlex.join(["python", "benchmarks/accuracy.py", *sys.argv[1:]]),
        "corpus": {"name": corpus.name, "unit": corpus.unit, "description": corpus.description},
        "decoding": "greedy",
        "recipe": recipe_values(recipe),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, one thread a seed",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    return {**asdict(recipe), "plan": recipe.plan.to_dict()}


def page(result: dict[str, Any]) -> str:
    first, corpus = result["seeds"][0], result["corpus"]
    lines = [
        f"# Error rates on {corpus['name']}",
        "",
        f"{corpus['unit'].capitalize()} error rate on {first['dense']['tokens']} test tokens, {result['decoding']} "
        f"decoding, {len(result['seeds'])} seed(s). Kind: {result['kind']}.",
        "",
        f"    {result['command']}",
        "",
        f"{corpus['description']}.",
        "",
        "| network | error rate %, mean ± deviation (least to most) "
        "| weights | recurrent | times fewer | kbit | CPU s |",
        "|---|---|---|---|---|---|---|",
        *[row(way, result) for way in result["summary"]],
        "",
        "| seed | " + " | ".join(f"{way} test (validation) %" for way in result["summary"]) + " |",
        "|---|" + "---|" * len(result["summary"]),
        *[seed_row(seed, result["summary"]) for seed in result["seeds"]],
        "",
        f"Machine: {result['machine']}, torch {result['versions']['torch']}. CPU seconds are of one process, "
        "the mean of the seeds whose training was not resumed. kbit: weights of 12 bits, ESE's indices and padding "
        "zeros counted. Every way but direct training begins with the same dense network of its "
        "seed. The deviation is over seeds; the test examples are the same.",
    ]
    return "\n".join(lines) + "\n"


def row(way: str, result: dict[str, Any]) -> str:
    figures, (first, *_) = result["summary"][way], result["seeds"]
    mine, dense = first[way], first["dense"]
    fewer = f"{dense['weights'] / mine['weights']:.2f} ({dense['recurrent_weights'] / mine['recurrent_weights']:.2f})"
    spent = [seed[way]["cpu_seconds"] for seed in result["seeds"] if seed[way]["cpu_seconds"] is not None]
    cpu = f"{mean(spent):.0f}" if spent else "not measured"
    rate = f"{figures['mean']:.2f} ± {figures['deviation']:.2f} ({figures['least']:.2f} to {figures['most']:.2f})"
    title, kbit = (
        ways(RECIPES[result["corpus"]["name"]])[way].title,
        f"{mean(s[way]['kbit'] for s in result['seeds']):,.0f}",
    )
    return f"| {title} | {rate} | {mine['weights']:,} | {mine['recurrent_weights']:,} | {fewer} | {kbit} | {cpu} |"


def seed_row(seed: dict[str, Any], ways: dict[str, Any]) -> str:
    cells = [f"{seed[way]['percent']:.2f} ({seed[way]['validation_percent']:.2f})" for way in ways]
    return f"| {seed['seed']} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
