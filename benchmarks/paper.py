"""The paper's claim on LibriSpeech: what a network in blocks loses, and the paper's own table.

    python benchmarks/paper.py --json                   # from what is committed: rows, and the page
    python benchmarks/paper.py --work ~/paper --root ../shared/data/librispeech_mini_logmel

With --work it trains the rows of the plan that are not there yet, in their order, one after the
other; stopped, it goes on where it was.  Every row of a network has the same epochs, rate and
augmentation, set once and never tuned, and hears the test speakers once, at its end.
"""

import argparse
import json
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from time import process_time
from typing import Any

import torch
from paper_page import difference, page, rows_of
from torch.nn.utils import parametrize

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.batches import Batches, Example
from ernn.data.corpus import Corpus, Split
from ernn.data.open import open_corpus
from ernn.files import write_atomic, write_json
from ernn.ground.reading import read_json
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec
from ernn.pipeline.defaults import recipe_for
from ernn.train.augment import augment
from ernn.train.evaluate import evaluate_model
from ernn.train.loss import ctc
from ernn.train.recipes import Recipe
from ernn.train.score import ErrorRate
from ernn.train.solvers import Direct, compress
from ernn.train.task import Prepared

HERE = Path(__file__).parent
RECIPE, RESULTS = HERE / "recipes/librispeech.toml", HERE.parent / "docs/results/paper.json"
NETWORKS = {
    "GRU 256": (LayerSpec("gru", 256),) * 2,
    "LSTM 512": (LayerSpec("lstm", 512),) * 2,
    "GRU 512": (LayerSpec("gru", 512),) * 2,
    "LSTM 1024/512": (LayerSpec("lstm", 1024, 512, peepholes=True),),
}
__all__ = ["difference", "page", "rows_of"]
EVERY = 6
"""Of the training utterances, whose error rate is beside the others."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A training. block: 1 is dense. way: "dense", or from fresh weights inside the blocks, with or
    without signs of their columns."""

    network: str
    block: int
    way: str
    seed: int

    @property
    def name(self) -> str:
        network = self.network.replace(" ", "").replace("/", "-")
        return f"{network}-{self.block}-{self.way}-{self.seed}"

    @property
    def plan(self) -> CompressionPlan:
        return CompressionPlan.blocks(self.block, signed=self.way == "signed")

    def of(self, result: Result) -> bool:
        """Whether it is that result's."""
        return asdict(self) == {name: result[name] for name in asdict(self)}


def planned() -> Iterator[Row]:
    """All rows, the most worth first."""
    for network, seeds in (("GRU 256", 3), ("LSTM 512", 3), ("GRU 512", 3), ("LSTM 1024/512", 1)):
        for seed in range(seeds):
            yield Row(network, 1, "dense", seed)
            for block in (8, 16):
                yield from (Row(network, block, way, seed) for way in ("direct", "signed"))


@dataclass(frozen=True, eq=False)
class Bench:
    """Trains rows, each in a folder that is named after all that decides its outcome."""

    corpus: Corpus
    data: Prepared
    recipe: Recipe
    work: Path

    def result(self, row: Row) -> Result:
        """From the folder, or trained now."""
        kept = self._folder(row) / "result.json"
        if not kept.exists():
            write_json(kept, self._measured(row))
        return read_json(kept)

    def about(self) -> Result:
        """What all rows share."""
        return {
            "kind": "measured",
            "corpus": self.corpus.description,
            "features": asdict(self.recipe.features),
            "dropout": self.recipe.dropout,
            "training": self.recipe.dense.to_dict(),
            "machine": f"{platform.machine()}, one thread, torch {torch.__version__}",
        }

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
        return asdict(row) | {
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

    def _by_speaker(
        self, model: AcousticModel, split: Split, examples: Sequence[Example]
    ) -> dict[str, list[int]]:
        """Errors and phones of each speaker."""
        by = defaultdict(list)
        for utterance, one in zip(self.corpus.utterances(split), examples, strict=True):
            by[utterance.speaker].append(one)
        rates = {speaker: self._score(model, ones) for speaker, ones in sorted(by.items())}
        return {speaker: [rate.errors, rate.tokens] for speaker, rate in rates.items()}

    def _score(self, model: AcousticModel, examples: Sequence[Example]) -> ErrorRate:
        found = evaluate_model(model, examples, self.data.task.objective)
        assert isinstance(found, ErrorRate)
        return found

    def minutes(self, row: Row, steps: int = 3) -> float:
        """Of a processor, for the whole row, from its first steps."""
        recipe, task = self._recipe(row), self.data.task
        model, batches = recipe.model(task), Batches(task.train, recipe.dense.batch)
        inside.enter(model, row.plan)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
        began = process_time()
        for batch in islice(batches, steps):
            optimizer.zero_grad()
            with parametrize.cached():
                loss = ctc(model(augment(batch, recipe.dense)), batch)
            loss.backward()
            optimizer.step()
        return (process_time() - began) / 60 / steps * len(batches) * recipe.dense.epochs


def main() -> None:
    arguments = parse()
    if arguments.work:
        train(arguments)
    result = read_json(arguments.results)
    left = [asdict(row) for row in planned() if not any(map(row.of, result["rows"]))]
    write_atomic(arguments.results.with_suffix(".md"), page(result, left))
    if arguments.json:
        print(json.dumps(rows_of(result), indent=2))


def train(arguments: argparse.Namespace) -> None:
    """Every planned row that is not among the results, which are written after each."""
    torch.set_num_threads(1)
    corpus = open_corpus("logmel", arguments.root)
    recipe = recipe_for(corpus, RECIPE)
    bench = Bench(corpus, Prepared(corpus, recipe.features), recipe, arguments.work)
    result = read_json(arguments.results) if arguments.results.exists() else {"rows": []}
    left = [row for row in planned() if not any(map(row.of, result["rows"]))]
    if arguments.minutes:
        alike = {f"{row.network} {row.block} {row.way}": row for row in planned()}
        minutes = {name: round(bench.minutes(row), 1) for name, row in alike.items()}
        write_json(arguments.results, result | {"minutes": minutes})
        return
    for row in left[: arguments.most]:
        result = result | bench.about() | {"rows": [*result["rows"], bench.result(row)]}
        write_json(arguments.results, result)
        print(f"{row.name}: {result['rows'][-1]['validation']:.2f} %", file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, help="train what is missing, in this folder")
    parser.add_argument("--root", type=Path, help="the corpus's folder, with --work")
    parser.add_argument("--most", type=int, help="train at most so many rows now")
    parser.add_argument(
        "--minutes", action="store_true", help="train nothing: measure what each row takes"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="the JSON; the page lies beside it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
