"""The paper's claim on LibriSpeech: what a network in blocks loses, and the paper's own table.

    python benchmarks/paper.py --json                   # from what is committed: rows, and the page
    python benchmarks/paper.py --work ~/paper --root ../shared/data/librispeech_mini_logmel

With --work it trains the rows of the plan that are not there yet, in their order, one after the
other; stopped, it goes on where it was.  Every row of a network has the same epochs, rate and
augmentation, chosen on the validation speakers, and hears the test speakers once, at its end.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Any

import torch

from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.batches import Example
from ernn.data.corpus import Corpus, Split
from ernn.data.open import open_corpus
from ernn.files import write_json
from ernn.ground.reading import read_json
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec
from ernn.pipeline.defaults import recipe_for
from ernn.train.evaluate import evaluate_model
from ernn.train.recipes import Recipe
from ernn.train.solvers import Direct, compress
from ernn.train.task import Prepared

HERE = Path(__file__).parent
RECIPE, RESULTS = HERE / "recipes/librispeech.toml", HERE.parent / "docs/results/paper.json"
NETWORKS = {
    "GRU 256": (LayerSpec("gru", 256),) * 2,
    "LSTM 512": (LayerSpec("lstm", 512),) * 2,
    "GRU 512": (LayerSpec("gru", 512),) * 2,
}
EVERY = 6
"""Of the training utterances, whose error rate is beside the others."""
Result = dict[str, Any]


@dataclass(frozen=True, order=True)
class Row:
    """A training. block: 1 is dense. way: into the blocks."""

    network: str
    block: int
    way: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.network}-{self.block}-{self.way}-{self.seed}".replace(" ", "")

    @property
    def plan(self) -> CompressionPlan:
        return CompressionPlan.blocks(self.block, signed=self.way == "signed")


def planned() -> Iterator[Row]:
    """All rows, the most worth first."""
    for seed in range(3):
        yield Row("GRU 256", 1, "dense", seed)
        for block in (8, 16):
            yield from (Row("GRU 256", block, way, seed) for way in ("direct", "signed"))


@dataclass(frozen=True, eq=False)
class Bench:
    """Trains rows, each in a folder that is named after all that decides its outcome."""

    corpus: Corpus
    data: Prepared
    recipe: Recipe
    work: Path

    def result(self, row: Row) -> Result:
        kept = self._folder(row) / "result.json"
        if not kept.exists():
            write_json(kept, self._measured(row))
        return read_json(kept)

    def _recipe(self, row: Row) -> Recipe:
        return replace(self.recipe, layers=NETWORKS[row.network]).with_seed(row.seed)

    def _folder(self, row: Row) -> Path:
        recipe = self._recipe(row)
        values = asdict(row) | {
            "corpus": self.corpus.name,
            "features": asdict(recipe.features),
            "layers": [asdict(layer) for layer in recipe.layers],
            "dropout": recipe.dropout,
            "training": recipe.dense.to_dict(),
        }
        digest = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        return self.work / f"{row.name}-{digest}"

    def _measured(self, row: Row) -> Result:
        recipe, folder = self._recipe(row), self._folder(row)
        model, resumed, began = recipe.model(self.data.task), folder.exists(), process_time()
        if row.block == 1:
            trained = recipe.train_dense(model, self.data.task, folder)
        else:
            *_, trained = compress(
                model, self.data.task, row.plan, Direct(recipe.dense), folder, progress=False
            )
        minutes = None if resumed else (process_time() - began) / 60
        torch.save(model.state_dict(), folder / "state.pt")
        found = {
            "validation": 100 * trained.validation,
            "train": evaluate_model(
                model, self.data.task.train[::EVERY], self.data.objective
            ).percent,
            "test": self._by_speaker(model, "test", self.data.test),
            "weights": stored_weights(model, row.plan, recurrent_only=True),
            "epochs": recipe.dense.epochs,
            "minutes": minutes,
            "history": [[round(e.loss, 4), round(e.validation, 5)] for e in trained.history],
        }
        print(row.name, found["validation"], found["train"], file=sys.stderr, flush=True)
        return asdict(row) | found

    def _by_speaker(
        self, model: AcousticModel, split: Split, examples: Sequence[Example]
    ) -> dict[str, list[int]]:
        """Errors and phones of each speaker."""
        by = defaultdict(list)
        for utterance, one in zip(self.corpus.utterances(split), examples, strict=True):
            by[utterance.speaker].append(one)
        rates = {
            speaker: evaluate_model(model, ones, self.data.objective)
            for speaker, ones in sorted(by.items())
        }
        return {speaker: [rate.errors, rate.tokens] for speaker, rate in rates.items()}


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    corpus = open_corpus("logmel", arguments.root)
    recipe = recipe_for(corpus, RECIPE)
    bench = Bench(corpus, Prepared(corpus, recipe.features), recipe, arguments.work)
    for row in planned():
        bench.result(row)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, help="train what is missing, in this folder")
    parser.add_argument("--root", type=Path, help="the corpus's folder, with --work")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
