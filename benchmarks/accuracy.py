"""Error rates of dense, ADMM-compressed and one-shot-compressed networks on a corpus's test split, over several seeds.

    python benchmarks/accuracy.py --corpus digits --seeds 3 --jobs 2 --json
    python benchmarks/accuracy.py --corpus an4 --root ../shared/data/an4_cepstra --seeds 1 --json

ADMM and one-shot projection start from the same dense network.  The test split is looked at once, at
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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import nn

from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.corpus import Corpus
from ernn.data.open import open_corpus
from ernn.files import write_atomic, write_json
from ernn.train.evaluate import evaluate_model
from ernn.train.recipes import AN4, DIGITS, Recipe
from ernn.train.task import Prepared

RECIPES = {"digits": DIGITS, "an4": AN4}
WAYS = {
    "dense": "dense",
    "admm": "ADMM, then retrained inside the set",
    "one-shot": "projected once, then the same retraining",
    "one-shot-long": "projected once, then retrained for as many epochs as ADMM and retraining have",
}
STAGES = {"dense": 1, "admm": 2, "one-shot": 1, "one-shot-long": 1}


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
    parser.add_argument("--without-one-shot", action="store_true")
    parser.add_argument("--work", type=Path, default=Path("out/accuracy"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def run_seed(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    recipe = RECIPES[arguments.corpus].with_seed(seed)
    prepared = Prepared(open_corpus(arguments.corpus, arguments.root), recipe.features)
    folder = arguments.work / arguments.corpus / f"seed{seed}"
    task, model = prepared.task, recipe.model(prepared.task)
    result: dict[str, Any] = {"seed": seed}

    def measure(way: str, train: Callable[[], Any], plan: CompressionPlan) -> None:
        before, cpu = set(folder.glob("*/last.ckpt")), time.process_time()
        train()
        fresh = len(set(folder.glob("*/last.ckpt")) - before) == STAGES[way]
        spent = time.process_time() - cpu if fresh else None
        result[way] = {**errors(model, prepared), **sizes(model, plan), "cpu_seconds": spent}
        print(f"{arguments.corpus} seed {seed} {way}: {result[way]['percent']:.2f} %", file=sys.stderr, flush=True)

    measure("dense", lambda: recipe.train_dense(model, task, folder), CompressionPlan())
    dense = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure("admm", lambda: recipe.compress(model, task, folder), recipe.plan)
    if not arguments.without_one_shot:
        for way, longer in (("one-shot", False), ("one-shot-long", True)):
            model.load_state_dict(dense)
            measure(way, lambda longer=longer: recipe.one_shot(model, task, folder, longer=longer), recipe.plan)
    return result


def errors(model: nn.Module, prepared: Prepared) -> dict[str, Any]:
    rate = evaluate_model(model, prepared.test)
    validation = evaluate_model(model, prepared.task.validation)
    return {"percent": rate.percent, **asdict(rate), "validation_percent": validation.percent}


def sizes(model: nn.Module, plan: CompressionPlan) -> dict[str, int]:
    recurrent = stored_weights(model, plan, recurrent_only=True)
    return {"weights": stored_weights(model, plan), "recurrent_weights": recurrent}


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    return {way: spread([seed[way]["percent"] for seed in seeds]) for way in WAYS if way in seeds[0]}


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
        "| network | error rate %, mean ± deviation (least to most) | weights | recurrent | times fewer | CPU s |",
        "|---|---|---|---|---|---|",
        *[row(way, result) for way in result["summary"]],
        "",
        "| seed | " + " | ".join(f"{way} test (validation) %" for way in result["summary"]) + " |",
        "|---|" + "---|" * len(result["summary"]),
        *[seed_row(seed, result["summary"]) for seed in result["seeds"]],
        "",
        f"Machine: {result['machine']}, torch {result['versions']['torch']}. CPU seconds are of one process, "
        "the mean of the seeds whose training was not resumed. Every way begins with the same dense network of its "
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
    return f"| {WAYS[way]} | {rate} | {mine['weights']:,} | {mine['recurrent_weights']:,} | {fewer} | {cpu} |"


def seed_row(seed: dict[str, Any], ways: dict[str, Any]) -> str:
    cells = [f"{seed[way]['percent']:.2f} ({seed[way]['validation_percent']:.2f})" for way in ways]
    return f"| {seed['seed']} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
