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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from re import fullmatch, sub
from time import process_time
from typing import Any

import torch
from paper_page import page, rows_of
from paper_speech import UTTERANCES, heard, in_blocks_of_8
from paper_takes import takes
from paper_ways import AGAIN, BEST, LONGER, VARIED, WAYS
from torch.nn.utils import parametrize

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.batches import Batches, Example
from ernn.data.corpus import Corpus
from ernn.data.open import open_corpus
from ernn.files import write_atomic, write_json
from ernn.ground.reading import read_json
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.network import integer_rate, integer_utterances, integers_of
from ernn.quantization.quantize import QuantizeSpec
from ernn.train.augment import augment
from ernn.train.evaluate import evaluate_model
from ernn.train.loss import ctc
from ernn.train.recipes import Recipe
from ernn.train.score import ErrorRate, Score
from ernn.train.solvers import compress
from ernn.train.task import Prepared, Task

HERE = Path(__file__).parent
RECIPE, RESULTS = HERE / "recipes/librispeech.toml", HERE.parent / "docs/results/paper.json"
NETWORKS = {
    "GRU 80": (LayerSpec("gru", 80),) * 2,
    "GRU 368": (LayerSpec("gru", 368),) * 2,
    "GRU 256": (LayerSpec("gru", 256),) * 2,
    "LSTM 512": (LayerSpec("lstm", 512),) * 2,
    "GRU 512": (LayerSpec("gru", 512),) * 2,
    "LSTM 1024/512": (LayerSpec("lstm", 1024, 512, peepholes=True),),
    "LSTM 1024/512, train_more": (LayerSpec("lstm", 1024, 512, peepholes=True),),
}
__all__ = ["page", "rows_of"]
EVERY = 6
"""Of the training utterances, whose error rate is beside the others."""
BITS = (12, 8)
"""Of a weight, in integers."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A training. block: 1 is dense; way: of `WAYS`."""

    network: str
    block: int
    way: str
    seed: int

    @property
    def name(self) -> str:
        parts = (self.network, self.block, self.way, self.seed)
        return "-".join(sub("[^A-Za-z0-9.-]", "", str(part).replace("/", "-")) for part in parts)

    @property
    def hears_more(self) -> bool:
        """Whether it trains on train_more, too."""
        return "train_more" in self.network

    @property
    def dense(self) -> "Row":
        return Row(self.network, 1, "dense", self.seed)

    def names(self, result: Result) -> bool:
        """Whether the result is of this row."""
        return asdict(self) == {name: result[name] for name in asdict(self)}

    def of(self, result: Result) -> bool:
        """Whether the result has all that this row is to have."""
        return self.names(result) and (result["test"] is not None or not WAYS[self.way].heard)


ON_SPEECH = Row("LSTM 1024/512, train_more", 16, BEST, 0)
"""Whose engine is simulated with speech: the paper's network."""


def planned() -> list[Row]:
    """All rows, the most worth first."""
    return list(dict.fromkeys(_planned()))


def _planned() -> Iterator[Row]:
    yield Row("GRU 256", 1, "dense", 0)
    yield Row("GRU 80", 1, "dense", 0)  # as many numbers as blocks of 8
    yield Row("GRU 256", 1, VARIED, 0)
    yield Row("GRU 256", 1, "dense, dropout 0.4", 0)
    yield from (Row("GRU 256", 8, way, 0) for way in WAYS if not way.startswith("dense"))
    yield Row("GRU 368", 16, "signed", 0)  # as many as blocks of 8, too
    yield Row("GRU 256", 4, "signed", 0)
    yield Row("LSTM 512", 8, LONGER, 0)  # the dense network hears its speakers at 10 %
    yield Row("LSTM 1024/512, train_more", 1, "dense", 0)
    yield Row("LSTM 1024/512, train_more", 1, VARIED, 0)
    yield Row("LSTM 1024/512, train_more", 1, AGAIN, 0)  # is it blocks, or what they are taught?
    yield ON_SPEECH
    yield Row("LSTM 1024/512, train_more", 8, BEST, 0)
    yield from (Row("LSTM 1024/512, train_more", block, LONGER, 0) for block in (8, 16))
    for seed in (1, 2):
        yield Row("LSTM 1024/512, train_more", 1, "dense", seed)
        yield Row("LSTM 1024/512, train_more", 16, LONGER, seed)
        yield Row("LSTM 1024/512, train_more", 8, BEST, seed)
    for network, seeds in (("GRU 256", 3), ("LSTM 512", 3), ("GRU 512", 3), ("LSTM 1024/512", 1)):
        for seed in range(seeds):
            yield Row(network, 1, "dense", seed)
            for block in (8, 16):
                yield from (Row(network, block, way, seed) for way in ("direct", "signed", BEST))


@dataclass(frozen=True, eq=False)
class Bench:
    """Trains rows, each in a folder that is named after all that decides its outcome."""

    corpus: Corpus
    data: Prepared
    base: Recipe
    work: Path

    def result(self, row: Row) -> Result:
        """From the folder, or measured now."""
        kept = self._folder(row) / "result.json"
        if not kept.exists() or not row.of(read_json(kept)):
            write_json(kept, self._measured(row))
        return read_json(kept)

    def about(self) -> Result:
        """What all rows share."""
        return {
            "kind": "measured",
            "corpus": self.corpus.description,
            "features": asdict(self.base.features),
            "dropout": self.base.dropout,
            "training": self.base.dense.to_dict(),
            "machine": f"{platform.machine()}, one thread, torch {torch.__version__}",
            "validation_phones": " ".join(
                str(len(one.labels)) for one in self.data.task.validation
            ),
        }

    def _recipe(self, row: Row) -> Recipe:
        recipe = replace(self.base, layers=NETWORKS[row.network])
        return WAYS[row.way].recipe(recipe).with_seed(row.seed)

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

    def _task(self, row: Row) -> Task:
        count = WAYS[row.way].takes
        if count == 1:
            return self.data.task
        return replace(self.data.task, train=takes(self.data, count, row.seed))

    def _before(self, row: Row) -> AcousticModel:
        """The network that the row's way begins with."""
        model = self._recipe(row).model(self.data.task)
        if WAYS[row.way].taught:
            self._require_trained(row.dense)
            self._load(model, row.dense)
        return model

    def _load(self, model: AcousticModel, row: Row) -> None:
        model.load_state_dict(torch.load(self._folder(row) / "state.pt", weights_only=True))

    def _require_trained(self, row: Row) -> None:
        """state.pt and trained.json in the row's folder."""
        folder, way, recipe = self._folder(row), WAYS[row.way], self._recipe(row)
        if (folder / "trained.json").exists():
            return
        model, resumed, began = self._before(row), folder.exists(), process_time()
        if way.solver is None:
            stages = (recipe.train_dense(model, self._task(row), folder),)
        else:
            plan, solver = way.plan(model, row.block), way.solver(recipe)
            stages = compress(model, self._task(row), plan, solver, folder, progress=False)
        minutes = None if resumed else (process_time() - began) / 60
        torch.save(model.state_dict(), folder / "state.pt")
        history = [[round(e.loss, 4), round(e.validation, 5)] for s in stages for e in s.history]
        write_json(folder / "trained.json", {"minutes": minutes, "history": history})

    def _trained(self, row: Row) -> tuple[AcousticModel, CompressionPlan]:
        """The row's network and its plan; trained now where it is not yet."""
        self._require_trained(row)
        model = self._before(row)
        plan = WAYS[row.way].plan(model, row.block)
        self._load(model, row)
        return model, plan

    def _measured(self, row: Row) -> Result:
        (model, plan), task, way = self._trained(row), self.data.task, WAYS[row.way]
        errors = [self._score(model, [one]).errors for one in task.validation]
        return asdict(row) | {
            "validation": 100 * sum(errors) / sum(len(one.labels) for one in task.validation),
            "validation_errors": " ".join(map(str, errors)),
            "train": self._score(model, task.train[::EVERY]).percent,
            "test": self._by_speaker(partial(self._score, model)) if way.heard else None,
            "weights": stored_weights(model, plan, recurrent_only=True),
            "epochs": self._recipe(row).dense.epochs,
            **read_json(self._folder(row) / "trained.json"),
        }

    def integers(self, row: Row, bits: int) -> Result:
        """A trained row's network in integers, weights of so many bits; from the folder, or now."""
        kept = self._folder(row) / f"integers-{bits}.json"
        if not kept.exists():
            made = integers_of(*self._trained(row), QuantizeSpec(weight_bits=bits), self.data)
            score = partial(integer_rate, made, objective=self.data.objective)
            write_json(kept, asdict(row) | {"bits": bits, "test": self._by_speaker(score)})
        return read_json(kept)

    def heard(self, row: Row) -> Result:
        """A trained row's engine, with the first utterances of the test split."""
        made = integers_of(*self._trained(row), QuantizeSpec(), self.data)
        frames = integer_utterances(made, self.data.test[:UTTERANCES])
        return asdict(row) | heard(made, frames)

    def _by_speaker(self, score: Callable[[Sequence[Example]], Score]) -> dict[str, list[int]]:
        """Errors and phones of each speaker of the test split."""
        by = defaultdict(list)
        for utterance, one in zip(self.corpus.utterances("test"), self.data.test, strict=True):
            by[utterance.speaker].append(one)
        rates = {speaker: _error_rate(score(ones)) for speaker, ones in sorted(by.items())}
        return {speaker: [rate.errors, rate.tokens] for speaker, rate in rates.items()}

    def _score(self, model: AcousticModel, examples: Sequence[Example]) -> ErrorRate:
        return _error_rate(evaluate_model(model, examples, self.data.task.objective))

    def minutes(self, row: Row, steps: int = 3) -> float:
        """Of a processor, for the whole row, from its first steps inside the structure."""
        recipe, task = self._recipe(row), self.data.task
        model, batches = recipe.model(task), Batches(task.train, recipe.dense.batch)
        inside.enter(model, WAYS[row.way].plan(model, row.block))
        optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
        began = process_time()
        for batch in islice(batches, steps):
            optimizer.zero_grad()
            with parametrize.cached():
                loss = ctc(model(augment(batch, recipe.dense)), batch)
            loss.backward()
            optimizer.step()
        return (process_time() - began) / 60 / steps * len(batches) * recipe.dense.epochs


def _error_rate(score: Score) -> ErrorRate:
    assert isinstance(score, ErrorRate)
    return score


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
    result: Result = read_json(arguments.results) if arguments.results.exists() else {"rows": []}
    left = [row for row in planned() if not any(map(row.of, result["rows"]))]
    left = [row for row in left if fullmatch(arguments.only, row.name)]
    if besides := _besides(result, left, arguments):
        write_json(arguments.results, result | besides)
        return
    for row in left[: arguments.most]:
        found = bench_of(row, arguments).result(row)
        others = [one for one in result["rows"] if not row.names(one)]
        result = result | bench_on("logmel", arguments.root, arguments.work).about()
        result = result | {"rows": [*others, found]}
        write_json(arguments.results, result)
        print(f"{row.name}: {found['validation']:.2f} %", file=sys.stderr, flush=True)


@cache
def bench_on(corpus: str, root: Path | None, work: Path) -> Bench:
    opened = open_corpus(corpus, root)
    recipe = recipe_for(opened, RECIPE)
    return Bench(opened, Prepared(opened, recipe.features), recipe, work)


def bench_of(row: Row, arguments: argparse.Namespace) -> Bench:
    corpus = "logmel-more" if row.hears_more else "logmel"
    return bench_on(corpus, arguments.root, arguments.work)


def _besides(result: Result, left: Sequence[Row], arguments: argparse.Namespace) -> Result:
    """What is asked for instead of training."""
    if arguments.speech:
        heard = bench_of(ON_SPEECH, arguments).heard(ON_SPEECH)
        return {"speech": heard, "blocks of 8": in_blocks_of_8()}
    if arguments.integers:
        return {"integers": _integers(result, arguments)}
    if not arguments.minutes:
        return {}
    alike = {f"{row.network} {row.block} {row.way}": row for row in left}
    found = {name: round(bench_of(row, arguments).minutes(row), 1) for name, row in alike.items()}
    return {"minutes": result.get("minutes", {}) | found}


def _integers(result: Result, arguments: argparse.Namespace) -> list[Result]:
    """Of the trained rows that are asked for; the others as they are."""
    wanted = [row for row in planned() if fullmatch(arguments.only, row.name)]
    rows = [row for row in wanted if WAYS[row.way].heard and any(map(row.of, result["rows"]))]
    made = [bench_of(row, arguments).integers(row, bits) for row in rows for bits in BITS]
    return made + [one for one in result.get("integers", []) if one not in made]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, help="train what is missing, in this folder")
    parser.add_argument("--root", type=Path, help="the corpus's folder, with --work")
    parser.add_argument("--most", type=int, help="train at most so many rows now")
    parser.add_argument(
        "--only", default=".*", help="train only rows whose names, those of folders, match this"
    )
    parser.add_argument(
        "--integers", action="store_true", help="train nothing: trained rows in integers, by golden"
    )
    parser.add_argument(
        "--speech",
        action="store_true",
        help="train nothing: the paper's network, trained, simulated on speech, and engines",
    )
    parser.add_argument(
        "--minutes", action="store_true", help="train nothing: measure what missing rows take"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="the JSON; the page lies beside it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
