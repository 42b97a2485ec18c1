"""Seconds of one epoch of retraining inside the set on a corpus: our
recurrent layers beside torch's.

    python benchmarks/training_epoch.py --corpus an4 --root ../shared/data/an4_cepstra \\
        --hidden 352 --json

The recipe's network with layers of `--hidden` units trains on the training batches (with
`--batches` on the first so many), forward, backward and optimizer step, on one thread;
torch's layers read decoded weights.  Processor seconds, which other programs on the machine
lengthen little; the two run in turn.
"""

import argparse
import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import parametrize

from ernn.compress import inside
from ernn.data.batches import Batches
from ernn.data.open import open_corpus
from ernn.nn.model import AcousticModel
from ernn.train.module import ctc
from ernn.train.recipes import AN4, DIGITS, Recipe
from ernn.train.task import Prepared, Task

RECIPES = {"digits": DIGITS, "an4": AN4}


class DecodedGRU(nn.GRU):
    """torch's layer, of another class so that `inside.enter` leaves its forward alone."""


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    recipe = RECIPES[arguments.corpus]
    recipe = replace(
        recipe, layers=tuple(replace(layer, hidden=arguments.hidden) for layer in recipe.layers)
    )
    task = Prepared(open_corpus(arguments.corpus, arguments.root), recipe.features).task
    result = {
        "corpus": arguments.corpus,
        "hidden": arguments.hidden,
        "layers": len(recipe.layers),
        "batches": arguments.batches,
    }
    for name, plan in (("dense", type(recipe.plan)()), ("inside", recipe.plan)):
        models = {"ernn": recipe.model(task), "torch": with_torchs_layers(recipe, task)}
        for model in models.values():
            inside.enter(model, plan)
        for who in list(models) * arguments.runs:
            seconds = epoch(models[who], task, recipe, arguments.batches)
            result[f"{name}_{who}"] = round(min(seconds, result.get(f"{name}_{who}", seconds)), 2)
    print(json.dumps(result, indent=2) if arguments.json else result)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", choices=sorted(RECIPES), default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument("--hidden", type=int, default=352)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--batches", type=int, help="of the epoch; all, unless given")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def with_torchs_layers(recipe: Recipe, task: Task) -> AcousticModel:
    model = recipe.model(task)
    for index, layer in enumerate(model.recurrent):
        model.recurrent[index] = DecodedGRU(layer.input_size, layer.hidden_size, batch_first=True)  # type: ignore[arg-type]
    return model


def epoch(model: nn.Module, task: Task, recipe: Recipe, batches: int | None) -> float:
    """Processor seconds of one pass over the training examples, or over its first `batches`."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    begin = time.process_time()
    for batch in islice(Batches(task.train, recipe.retrain.batch, recipe.retrain.seed), batches):
        optimizer.zero_grad()
        with parametrize.cached():
            loss = ctc(model(batch.features), batch)
        loss.backward()
        optimizer.step()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
