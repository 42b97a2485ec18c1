"""Error rates of dense networks and of what they are compressed to, way by way, on a
test split, over several seeds.

    python benchmarks/accuracy.py --corpus digits --seeds 3 --json
    python benchmarks/accuracy.py --corpus an4 --root ../shared/data/an4_cepstra \\
        --recipe benchmarks/recipes/an4.toml \\
        --cells gru,lstm --blocks 4,8,16,32 --ways admm,direct,one-shot,pruned --bits 16,12,8

Every way but direct training starts from the same dense network of its cell and seed, and all have
the same number of epochs after it; direct training has the dense network's as well.  With [distil]
in the recipe all of them learn from that dense network too.  The test split is looked at once, at
the end of each way.  What is finished is not done again and a stopped training goes on (--work), so
that two of these commands, or one with more ways, add to the same table. It writes a page, a plot
and the figures as JSON into --out; with --json the latter are printed too.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from io import StringIO
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from ese_packing import ese

from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.corpus import Corpus
from ernn.data.open import NAMES, open_corpus
from ernn.errors import UserError
from ernn.files import write_atomic, write_json
from ernn.ir.structure import LoadBalanced
from ernn.nn.model import AcousticModel
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.network import integer_rate, integers_of
from ernn.quantization.quantize import QuantizeSpec
from ernn.train.recipes import Recipe
from ernn.train.score import Score
from ernn.train.solvers import Direct, Gradual, OneShot, Solver, compress
from ernn.train.task import Prepared

PES, WEIGHT_BITS = 32, 12
TITLES = {
    "dense": "dense",
    "admm": "ADMM, then inside the set",
    "one-shot": "projected once, then inside the set",
    "gradual": "drawn into the set gradually, then inside it",
    "direct": "inside the set from fresh weights",
    "pruned": f"ESE: load-balanced pruning for {PES} elements by ADMM, the bits of that block",
    "integer": "ADMM's network in integers",
}
SIGNED = "-signed"
"""What a way's name ends with where blocks have signs of their columns."""
TITLES |= {
    way + SIGNED: f"{TITLES[way]}, signed" for way in ("admm", "one-shot", "gradual", "direct")
}
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of the table. block: whose storage it has; 1 is dense. bits: of
    a weight, of an integer network.
    """

    cell: str
    way: str
    block: int = 1
    bits: int | None = None

    @property
    def key(self) -> str:
        parts = (self.cell, self.way, self.block if self.block > 1 else None, self.bits)
        return " ".join(str(part) for part in parts if part is not None)

    @property
    def plan(self) -> CompressionPlan:
        # A block of 8 stores a weight of 12 bits for 8; ESE stores 16 bits for each it keeps.
        if self.way == "pruned":
            return CompressionPlan.pruned(LoadBalanced(WEIGHT_BITS / 16 / self.block, PES))
        return CompressionPlan.blocks(self.block, signed=self.way.endswith(SIGNED))


def solver(way: str, recipe: Recipe) -> Solver:
    """Every way with as many epochs as ADMM and its retraining have
    together, and with the recipe's teacher.
    """
    longer = replace(recipe.retrain, epochs=recipe.retrain.epochs + recipe.admm.epochs)
    match way.removesuffix(SIGNED):
        case "admm" | "pruned":
            return recipe.by_admm
        case "one-shot":
            return recipe.taught(OneShot(longer))
        case "gradual":
            return recipe.taught(Gradual(recipe.admm, recipe.retrain))
        case "direct":
            return recipe.taught(Direct(replace(recipe.dense, epochs=recipe.epochs)))
        case _:
            raise UserError(f"no way is called {way!r}; they are {', '.join(TITLES)}")


def main() -> None:
    arguments = parse()
    corpus = open_corpus(arguments.corpus, arguments.root)
    recipe = recipe_for(corpus, arguments.recipe)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        seeds = list(pool.map(run_seed, range(arguments.seeds), [arguments] * arguments.seeds))
    shown = [asdict(row) for row in rows(arguments) if all(row.key in seed for seed in seeds)]
    result = {**about(recipe, corpus), "rows": shown, "seeds": seeds}
    place = arguments.out / (arguments.name or f"accuracy-{arguments.corpus}")
    write_json(place.with_suffix(".json"), result)
    write_atomic(place.with_suffix(".svg"), picture(result))
    write_atomic(place.with_suffix(".md"), page(result, place.name))
    if arguments.json:
        print(json.dumps(result, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", choices=NAMES, default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument(
        "--recipe", type=Path, help="a recipe in TOML that changes the corpus's own"
    )
    parser.add_argument(
        "--cells", default="gru", help="each in every layer of the recipe's network"
    )
    parser.add_argument("--blocks", default="8")
    parser.add_argument(
        "--ways", default="admm,one-shot", help=f"of {', '.join(TITLES)}; dense is always there"
    )
    parser.add_argument("--bits", default="", help="of the weights of ADMM's networks in integers")
    parser.add_argument(
        "--integer-blocks", default="8", help="which of ADMM's networks in integers"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time, each on one thread")
    parser.add_argument(
        "--work", type=Path, default=Path("out/accuracy"), help="checkpoints and finished rows"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument(
        "--finished", action="store_true", help="train nothing: rows that every seed has already"
    )
    parser.add_argument("--name", help="of the page, accuracy-<corpus> if not given")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """The table's, cell by cell; a row in integers comes after the one that it is made of."""
    for cell in arguments.cells.split(","):
        yield Row(cell, "dense")
        for block in numbers(arguments.blocks):
            yield from (Row(cell, way, block) for way in arguments.ways.split(","))
        for block, bits in product(numbers(arguments.integer_blocks), numbers(arguments.bits)):
            yield Row(cell, "integer", block, bits)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def run_seed(seed: int, arguments: argparse.Namespace) -> Result:
    torch.set_num_threads(1)
    corpus = open_corpus(arguments.corpus, arguments.root)
    recipe = recipe_for(corpus, arguments.recipe).without_data("this table").with_seed(seed)
    bench = SeedBench(Prepared(corpus, recipe.features), recipe, arguments.work / arguments.corpus)
    wanted = [row for row in rows(arguments) if not arguments.finished or bench.kept(row).exists()]
    return {"seed": seed} | {row.key: bench.result(row) for row in wanted}


@dataclass(frozen=True, eq=False)
class SeedBench:
    """Trains rows for one seed; each has a folder of its own, named
    after all that decides its outcome.
    """

    data: Prepared
    recipe: Recipe
    work: Path

    def result(self, row: Row) -> Result:
        """From the folder, or trained now."""
        kept = self.kept(row)
        if kept.exists():
            return json.loads(kept.read_text(encoding="utf-8"))
        resumed, cpu = kept.parent.exists(), time.process_time()
        found = self._measure(row)
        found["cpu_seconds"] = None if resumed else time.process_time() - cpu
        write_json(kept, found)
        print(
            f"seed {self.recipe.dense.seed} {row.key}: {found['percent']:.2f} %",
            file=sys.stderr,
            flush=True,
        )
        return found

    def kept(self, row: Row) -> Path:
        """Where its figures are once it is finished."""
        return self.folder(row) / "result.json"

    def folder(self, row: Row) -> Path:
        values = {**recipe_values(self.recipe), "plan": row.plan.to_dict(), "row": asdict(row)}
        digest = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
        return self.work / f"seed{self.recipe.dense.seed}" / f"{row.key.replace(' ', '-')}-{digest}"

    def network(self, row: Row) -> AcousticModel:
        """A row's, trained now where it is not yet."""
        kept, model = self.folder(row) / "state.pt", self._fresh(row.cell)
        if kept.exists():
            model.load_state_dict(torch.load(kept, weights_only=True))
            return model
        if row.way == "dense":
            self.recipe.train_dense(model, self.data.task, self.folder(row))
        else:
            model.load_state_dict(self.network(Row(row.cell, "dense")).state_dict())
            compress(
                model, self.data.task, row.plan, solver(row.way, self.recipe), self.folder(row)
            )
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), kept)
        return model

    def _fresh(self, cell: str) -> AcousticModel:
        layers = tuple(replace(layer, cell=cell) for layer in self.recipe.layers)
        return replace(self.recipe, layers=layers).model(self.data.task)

    def _measure(self, row: Row) -> Result:
        if row.bits is None:
            model = self.network(row)
            scores = self.data.score(model), self.data.task.score(model)
            return figures(*scores, model, row.plan)
        model = self.network(Row(row.cell, "admm", row.block))
        spec = QuantizeSpec(weight_bits=row.bits)
        test, validation = (
            integer_rate(integers_of(model, row.plan, spec, self.data), split, self.data.objective)
            for split in (self.data.test, self.data.task.validation)
        )
        return figures(test, validation, model, row.plan, row.bits)


def figures(
    test: Score,
    validation: Score,
    model: AcousticModel,
    plan: CompressionPlan,
    bits: int = WEIGHT_BITS,
) -> Result:
    """Error rates and what the weights take; biases are not counted."""
    weights = stored_weights(model, plan)
    counted = {
        "weights": weights,
        "recurrent_weights": stored_weights(model, plan, recurrent_only=True),
    }
    rates = {"percent": test.percent, **asdict(test), "validation_percent": validation.percent}
    plainly = {**rates, **counted, "kbit": bits * weights / 1024}
    return plainly | ese(model, plan, PES, WEIGHT_BITS)


def about(recipe: Recipe, corpus: Corpus) -> Result:
    return {
        "kind": "measured",
        "command": shlex.join(
            ["python", "benchmarks/accuracy.py", *(a for a in sys.argv[1:] if a != "--finished")]
        ),
        "corpus": {"name": corpus.name, "unit": corpus.unit, "description": corpus.description},
        "decoding": "greedy",
        "recipe": recipe_values(recipe),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, one thread a seed",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def recipe_values(recipe: Recipe) -> Result:
    return {**asdict(recipe), "plan": recipe.plan.to_dict()}


# --- the page


@dataclass(frozen=True)
class Spread:
    """Of a figure over the seeds, in per cent or points."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.values)

    @property
    def deviation(self) -> float:
        return stdev(self.values) if len(self.values) > 1 else 0.0

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.deviation:.2f}"


def percents(result: Result, row: Row, which: str = "percent") -> Spread:
    return Spread(tuple(seed[row.key][which] for seed in result["seeds"]))


def table_rows(result: Result) -> list[Row]:
    return [Row(**row) for row in result["rows"]]


def page(result: Result, name: str) -> str:
    (first, *_), corpus, all_rows = result["seeds"], result["corpus"], table_rows(result)
    dense = first[all_rows[0].key]
    heads = [f"seed {seed['seed']}" for seed in result["seeds"]]
    lines = [
        f"# Error rates on {corpus['name']}",
        "",
        f"{corpus['unit'].capitalize()} error rate on {dense['tokens']:,} test tokens, "
        f"{result['decoding']} decoding, {len(heads)} seed(s). Kind: {result['kind']}. "
        f"[JSON]({name}.json)",
        "",
        f"    {result['command']}",
        "",
        f"{corpus['description']}.",
        "",
        network(result),
        "",
        f"![error rate against stored kbit]({name}.svg)",
        "",
        "| cell | block | network | error rate %, mean ± deviation | weights | times fewer | kbit "
        "| CPU s |",
        "|---|---|---|---|---|---|---|---|",
        *[line(row, result) for row in all_rows],
        "",
        *duels(result),
        "## Each seed: test (validation) %",
        "",
        f"| network | {' | '.join(heads)} |",
        f"|---|{'---|' * len(heads)}",
        *[f"| {row.key} | {' | '.join(seed_cells(row, result))} |" for row in all_rows],
        "",
        f"Machine: {result['machine']}, torch {result['versions']['torch']}. CPU seconds are of "
        "one process, the mean of the seeds whose training was not resumed. kbit: weights of 12 "
        "bits but for integer networks, ESE's indices and padding zeros counted. The deviation is "
        "over seeds; the test examples are the same.",
    ]
    return "\n".join(lines) + "\n"


def network(result: Result) -> str:
    """The network and its epochs in one sentence."""
    recipe = result["recipe"]
    layers = " and ".join(str(layer["hidden"]) for layer in recipe["layers"])
    dense, towards, inside = (recipe[stage]["epochs"] for stage in ("dense", "admm", "retrain"))
    return (
        f"Recurrent layers of {layers} units, all their matrices in blocks, the output matrix "
        f"dense. Epochs: the dense network {dense}; from it {towards} of ADMM and {inside} inside "
        f"the set, or {towards + inside} inside the set after one projection; direct training "
        f"{dense + towards + inside}, from fresh weights.{taught(recipe)}"
    )


def taught(recipe: Result) -> str:
    """A sentence for the teacher where there is one."""
    if recipe["distil"] is None:
        return ""
    return (
        " Every compressed network, directly trained ones too, also learns from the dense network "
        "of its seed."
    )


def line(row: Row, result: Result) -> str:
    mine, dense = result["seeds"][0][row.key], result["seeds"][0][Row(row.cell, "dense").key]
    spent = [
        seed[row.key]["cpu_seconds"]
        for seed in result["seeds"]
        if seed[row.key]["cpu_seconds"] is not None
    ]
    title = TITLES[row.way] + (f", weights of {row.bits} bits" if row.bits else "")
    kbit = mean(seed[row.key]["kbit"] for seed in result["seeds"])
    shown = [
        row.cell.upper(),
        "none" if row.block == 1 else str(row.block),
        title,
        str(percents(result, row)),
    ]
    shown += [f"{mine['weights']:,}", f"{dense['weights'] / mine['weights']:.2f}", f"{kbit:,.0f}"]
    return f"| {' | '.join([*shown, f'{mean(spent):.0f}' if spent else 'not measured'])} |"


def seed_cells(row: Row, result: Result) -> list[str]:
    return [
        f"{seed[row.key]['percent']:.2f} ({seed[row.key]['validation_percent']:.2f})"
        for seed in result["seeds"]
    ]


def duels(result: Result) -> list[str]:
    """ADMM against each rival at the same block, and signed blocks against plain ones, seed by
    seed and over all blocks; empty where there is nothing to compare.
    """
    all_rows = table_rows(result)
    ways = dict.fromkeys(row.way for row in all_rows if row.way not in ("dense", "integer"))
    pairs = [("admm", way) for way in ways if way != "admm"]
    pairs += [(way, way.removesuffix(SIGNED)) for way in ways if way.endswith(SIGNED)]
    lines = []
    for cell, (way, rival) in product(dict.fromkeys(row.cell for row in all_rows), pairs):
        blocks = [row.block for row in all_rows if row.cell == cell and row.way == rival]
        blocks = [block for block in blocks if Row(cell, way, block) in all_rows]
        less = [
            difference(result, Row(cell, way, block), Row(cell, rival, block)) for block in blocks
        ]
        named = [str(block) for block in blocks]
        lines += [duel(cell, way, rival, *one) for one in zip(named, less, strict=True)]
        if len(blocks) > 1:
            together = Spread(
                tuple(mean(values) for values in zip(*(one.values for one in less), strict=True))
            )
            lines.append(duel(cell, way, rival, "mean of these", together))
    if not lines:
        return []
    head = [
        "## One way against another, with the same dense network",
        "",
        "| cell | way | rival | block | way minus rival, ",
    ]
    head[-1] += "points, mean ± deviation over seeds | outside the spread |"
    return [*head, "|---|---|---|---|---|---|", *lines, ""]


def difference(result: Result, row: Row, other: Row) -> Spread:
    pairs = zip(percents(result, row).values, percents(result, other).values, strict=True)
    return Spread(tuple(mine - theirs for mine, theirs in pairs))


def duel(cell: str, way: str, rival: str, block: str, less: Spread) -> str:
    outside = "yes" if abs(less.mean) > less.deviation else "no"
    who = way if less.mean < 0 else rival
    return f"| {cell.upper()} | {way} | {rival} | {block} | {less} | {outside}, {who} lower |"


def picture(result: Result) -> str:
    """SVG: error rate over stored kbit, a line a way, bars of one deviation
    to either side; a panel a cell.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    all_rows = table_rows(result)
    cells = list(dict.fromkeys(row.cell for row in all_rows))
    figure = Figure(figsize=(5.6 * len(cells), 4.2), layout="constrained")
    panels = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    for axes, cell in zip(panels, cells, strict=True):
        draw(axes, result, [row for row in all_rows if row.cell == cell])
        axes.set(title=f"{cell.upper()}, {result['corpus']['name']}", xlabel="stored weights, kbit")
    panels[0].set_ylabel(f"{result['corpus']['unit']} error rate on the test split (%)")
    text = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ernn"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def draw(axes: Any, result: Result, mine: Sequence[Row]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    for index, way in enumerate(dict.fromkeys(row.way for row in mine)):
        points = [row for row in mine if row.way == way]
        found = [percents(result, row) for row in points]
        stored = [mean(seed[row.key]["kbit"] for seed in result["seeds"]) for row in points]
        style = "o" if way in ("dense", "integer") else "o-"
        bars = [one.deviation for one in found]
        # So that bars of the same storage can be told apart.
        shifted = [kbit * 1.02 ** (index - 2) for kbit in stored]
        axes.errorbar(
            shifted,
            [one.mean for one in found],
            bars,
            fmt=style,
            ms=4,
            lw=1.2,
            capsize=3,
            label=way,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)


if __name__ == "__main__":
    main()
