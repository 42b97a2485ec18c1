"""Ways to choose structure and bits for every matrix, at the same budget of storage
and of trials, over several seeds.

    python benchmarks/recommend.py --recipe benchmarks/recipes/recommend-digits.toml \\
        --trials 24 --seeds 2
    python benchmarks/recommend.py --corpus an4 --root ../shared/data/an4_cepstra \\
        --recipe benchmarks/recipes/recommend-an4.toml --by greedy,alike

The budget is what one block size takes: weights of 12 bits, the output matrix dense.  Every way has
the same number of epochs for its trials and its own training together, is judged by validation
examples alone, and what it chooses is compressed by the recipe as one block size is; the test split
is heard once, at the end of each.  It is `ernn recommend` for each way and seed in a run directory
of --work: stopped, it goes on with what is missing.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from ernn.data.open import open_corpus
from ernn.files import write_atomic, write_json
from ernn.nn.spec import ModelSpec
from ernn.pipeline.budget import Budget
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.recommend import RecommendationRequest, of_corpus
from ernn.pipeline.run import Run
from ernn.report.comparison import spread
from ernn.search.candidates import stored_bytes, uniform
from ernn.search.choosers.by import By
from ernn.search.written import shares
from ernn.train.task import Prepared

TITLES = {
    By.greedy: "greedy by sensitivity",
    By.random: "random (Optuna)",
    By.tpe: "TPE (Optuna)",
    By.nsga2: "NSGA-II (Optuna)",
    By.policy: "policy gradient",
    By.relaxed: "relaxation",
    By.supernet: "super-net",
    By.alike: "one block size and one number of bits for all, the best of all pairs",
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    budget, results = budget_of(options), []
    for seed in range(options.seeds):
        for by in (By(name) for name in options.by.split(",")):
            asked = RecommendationRequest(
                Budget(budget),
                by,
                options.trials,
                options.epochs,
                widths=shares(options.widths),
                signed=False,  # as in the tables there are
                seed=seed,
                recipe=options.recipe,
            )
            folder = options.work / options.corpus / f"seed{seed}"
            results.append(of_corpus(folder, options.corpus, options.root, asked, progress=False))
            chosen, rival = results[-1]["chosen"], results[-1]["uniform"]
            line = (
                f"{chosen['validation_percent']:.2f} % against {rival['validation_percent']:.2f} %"
            )
            print(
                f"seed {seed}, {by.value}: {line} of validation labels", file=sys.stderr, flush=True
            )
    about = {
        "kind": "measured",
        "command": shlex.join(["python", "benchmarks/recommend.py", *sys.argv[1:]]),
        "budget_bytes": budget,
        "trials": options.trials,
        "trial_epochs": options.epochs,
        "widths": shares(options.widths),
    }
    kept = [without_paths(one) for one in results]
    place = options.out / (options.name or f"recommend-{options.corpus}")
    write_json(place.with_suffix(".json"), {**about, "results": kept})
    write_atomic(place.with_suffix(".md"), page(options, about, kept))
    if options.json:
        print(json.dumps({**about, "results": kept}, indent=2))


def without_paths(found: dict[str, Any]) -> dict[str, Any]:
    """Of what was found what a table needs, and the dense network's error rate."""
    dense = Run.existing(found["run"]).record.find("error_rate.dense")
    assert dense is not None
    kept = {key: value for key, value in found.items() if key not in ("decisions", "run")}
    return kept | {"dense_percent": dense.value}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument(
        "--recipe", type=Path, help="a recipe in TOML that changes the corpus's own"
    )
    parser.add_argument(
        "--block", type=int, default=8, help="the block size whose storage is the budget"
    )
    parser.add_argument("--by", default=",".join(By), help="ways to choose")
    parser.add_argument("--widths", default="1", help="shares of a layer's units to choose from")
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=1, help="of a trial")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--work", type=Path, default=Path("out/benchmark-recommend"), help="runs, with their trials"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--name", help="of the page, recommend-<corpus> if not given")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args(arguments)


def budget_of(options: argparse.Namespace) -> float:
    """Bytes of the recipe's network in blocks of one size."""
    corpus = open_corpus(options.corpus, options.root, seed=0)
    recipe = recipe_for(corpus, options.recipe)
    task = Prepared(corpus, recipe.features).task
    model = ModelSpec(task.inputs, recipe.layers, task.outputs, recipe.dropout, recipe.front)
    return stored_bytes(model, uniform(options.block))


def page(options: argparse.Namespace, about: dict[str, Any], results: list[dict[str, Any]]) -> str:
    firsts = [next(one for one in results if one["seed"] == seed) for seed in range(options.seeds)]
    rivals = [one["uniform"] for one in firsts]
    lines = [
        f"# Structure and bits for every matrix, on {options.corpus}",
        "",
        f"Error rate on {rivals[0]['test_tokens']:,} test tokens, greedy decoding, {options.seeds} "
        f"seeds, kind: measured. Budget: {about['budget_bytes']:,.0f} bytes of weights, scales and "
        f"padding counted, which is one block size of {options.block} with 12 bits, the output "
        f"matrix dense. {about['trials']} trials, each of {about['trial_epochs']} epoch(s), a "
        f"way's own training taken from them. Widths of layers to choose from: {options.widths} of "
        "their units.",
        "",
        f"    {about['command']}",
        "",
        "| way | test error %, mean ± deviation | validation error % | points below one block "
        "size, test | bytes |",
        "|---|---|---|---|---|",
        f"| dense, not compressed | {spread([one['dense_percent'] for one in firsts])} | | | |",
        row(f"one block size: {rivals[0]['title']}, 12 bits", rivals, rivals),
    ]
    groups = {by: [one["chosen"] for one in results if one["by"] == by] for by in By}
    found = {by: group for by, group in groups.items() if group}
    ordered = sorted(found, key=lambda by: mean(one["validation_percent"] for one in found[by]))
    lines += [row(TITLES[by], found[by], rivals) for by in ordered]
    lines += ["", "## What was chosen", "", "| way | seed | choice |", "|---|---|---|"]
    for by in ordered:
        for one in (one for one in results if one["by"] == by):
            choice = "; ".join(f"`{name}` {what}" for name, what in one["choice"].items())
            lines.append(f"| {TITLES[by]} | {one['seed']} | {choice} |")
    return "\n".join([*lines, ""])


def row(title: str, found: list[dict[str, Any]], rivals: list[dict[str, Any]]) -> str:
    pairs = zip(found, rivals, strict=True)
    less = ", ".join(f"{rival['test_percent'] - one['test_percent']:.2f}" for one, rival in pairs)
    test, validation = (
        spread([one[f"{split}_percent"] for one in found]) for split in ("test", "validation")
    )
    stored = f"{mean(one['bytes'] for one in found):,.0f}"
    return f"| {title} | {test} | {validation} | {'' if found is rivals else less} | {stored} |"


if __name__ == "__main__":
    main()
