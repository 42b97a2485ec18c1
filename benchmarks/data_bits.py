"""How many bits each kind of data needs: errors of the integers with
one kind at a time in few bits.

    python benchmarks/data_bits.py --recipe benchmarks/recipes/digits.toml

One network a seed, compressed in one shot and trained inside the recipe's sets.  From it, for each
kind and number of bits: quantized as it is ("after training"), and trained on with that rounding
first ("trained with"), as long as a control that is trained on with nothing rounded.  All errors
are of the integer model, run by golden.  The test split is looked at once, at the end of each; no
setting was chosen on it.  What is finished is not done again (--work). It writes a page, a plot and
the figures as JSON into --out.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from io import StringIO
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from ernn.compress import inside
from ernn.compress.grids import Uniform
from ernn.compress.methods.quantized import Quantized
from ernn.compress.plan import CompressionPlan
from ernn.data.open import NAMES, open_corpus
from ernn.files import write_atomic, write_json
from ernn.ir.edges import DataBits
from ernn.ir.structure import BlockCirculant, Structure
from ernn.nn.model import AcousticModel
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.network import integer_rate, integers_of
from ernn.quantization.quantize import QuantizeSpec
from ernn.report.comparison import spread
from ernn.train import stages
from ernn.train.recipes import Recipe
from ernn.train.solvers import OneShot, compress
from ernn.train.spec import DataSpec
from ernn.train.task import Prepared

DATA = tuple(field.name for field in fields(DataBits))
KINDS = ("weights", *DATA, "all data")
TITLES = {
    "weights": "weights",
    "input": "input",
    "hidden": "hidden state",
    "cell": "cell state",
    "gates": "gates (what sigmoid and tanh are taken of)",
    "activations": "activations (what sigmoid and tanh give)",
    "all data": "all data at once",
}
FULL = 16
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One kind in so many bits, "nothing" in all of them; trained with that or not."""

    kind: str
    bits: int
    trained: bool

    @property
    def key(self) -> str:
        return f"{self.kind} {self.bits} {'trained' if self.trained else 'after'}"

    @property
    def data(self) -> DataBits:
        kinds = DATA if self.kind == "all data" else (self.kind,) if self.kind in DATA else ()
        return DataBits(**dict.fromkeys(kinds, self.bits))

    def plan(self, plan: CompressionPlan) -> CompressionPlan:
        """The plan with its matrices' numbers on a grid, where it is
        the weights that have few bits.
        """
        if self.kind != "weights":
            return plan
        roles = ("input", "recurrent", "projection", "output")
        return replace(plan, **{role: on_grid(getattr(plan, role), self.bits) for role in roles})


def on_grid(structure: Structure, bits: int) -> Structure:
    """Of blocks, their spectra: what the engine stores."""
    return Quantized(structure, Uniform(bits), spectra=isinstance(structure, BlockCirculant))


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    corpus = open_corpus(options.corpus, options.root)
    recipe = recipe_for(corpus, options.recipe).without_data("this table")
    recipe = replace(
        recipe, layers=tuple(replace(layer, cell=options.cell) for layer in recipe.layers)
    )
    prepared = Prepared(corpus, recipe.features)
    seeds = [run_seed(recipe.with_seed(seed), prepared, options) for seed in range(options.seeds)]
    seeds = [seed for seed in seeds if len(seed) > 1]
    result = {
        "kind": "measured",
        "command": shlex.join(
            ["python", "benchmarks/data_bits.py", *(a for a in sys.argv[1:] if a != "--finished")]
        ),
        "recipe": {**asdict(recipe), "plan": recipe.plan.to_dict()},
        "epochs": options.epochs,
        "rate": options.rate,
        "torch": torch.__version__,
        "seeds": seeds,
    }
    place = options.out / options.name
    write_json(place.with_suffix(".json"), result)
    write_atomic(place.with_suffix(".svg"), picture(result, numbers(options.bits)))
    write_atomic(place.with_suffix(".md"), page(result, options))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", choices=NAMES, default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument(
        "--recipe", type=Path, help="a recipe in TOML that changes the corpus's own"
    )
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--bits", default="8,6,4,3", help="of each kind, after training")
    parser.add_argument("--train", default="6,4,3", help="of each kind, trained with")
    parser.add_argument(
        "--epochs", type=int, default=2, help="of training with rounding, and of its control"
    )
    parser.add_argument("--rate", type=float, default=4e-3, help="learning rate of these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--work", type=Path, default=Path("out/data-bits"), help="finished rows, checkpoints"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--name", default="data-bits", help="of the page")
    parser.add_argument(
        "--finished", action="store_true", help="train nothing: the page of the rows there are"
    )
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def rows(options: argparse.Namespace) -> list[Row]:
    found = []
    for trained, bits in ((False, options.bits), (True, options.train)):
        found += [Row("nothing", FULL, trained)]
        found += [Row(kind, width, trained) for width in sorted(numbers(bits)) for kind in KINDS]
    return found


def run_seed(recipe: Recipe, prepared: Prepared, options: argparse.Namespace) -> Result:
    values = {
        **asdict(recipe),
        "plan": recipe.plan.to_dict(),
        "epochs": options.epochs,
        "rate": options.rate,
    }
    digest = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
    folder, seed, found = options.work / f"{prepared.corpus.name}-{digest}", recipe.dense.seed, {}
    start = {} if options.finished else compressed(recipe, prepared, folder)
    for row in rows(options):
        file = folder / f"{row.key.replace(' ', '-')}.json"
        if not file.exists():
            if options.finished:
                continue
            write_json(file, measured(row, start, recipe, prepared, options))
            print(
                f"seed {seed}, {row.key}: {json.loads(file.read_text())['percent']:.2f} %",
                file=sys.stderr,
                flush=True,
            )
        found[row.key] = json.loads(file.read_text())
    return {"seed": seed} | found


def compressed(recipe: Recipe, prepared: Prepared, folder: Path) -> dict[str, torch.Tensor]:
    """What every row starts from."""
    kept, model = folder / "start.pt", recipe.model(prepared.task)
    if not kept.exists():
        recipe.train_dense(model, prepared.task, folder)
        compress(model, prepared.task, recipe.plan, OneShot(recipe.retrain), folder, progress=False)
        torch.save(model.state_dict(), kept)
    return torch.load(kept, weights_only=True)


def measured(
    row: Row,
    start: dict[str, torch.Tensor],
    recipe: Recipe,
    prepared: Prepared,
    options: argparse.Namespace,
) -> Result:
    model, task, plan, formats = (
        recipe.model(prepared.task),
        prepared.task,
        row.plan(recipe.plan),
        None,
    )
    model.load_state_dict(start)
    began = time.process_time()
    spec = DataSpec(row.data, epochs=options.epochs, rate=options.rate)
    if row.trained and row.data.given:
        last = stages.retrain_rounded(
            model, task, plan, spec.training(recipe.retrain), spec, progress=False
        )
        formats = last.formats
    elif row.trained:
        stages.retrain_inside(model, task, plan, spec.training(recipe.retrain), progress=False)
    else:
        inside.project_once(model, plan)
    seconds = time.process_time() - began
    rates = [
        rate(model, plan, row, prepared, split, formats)
        for split in (prepared.test, task.validation)
    ]
    figures = {
        "percent": rates[0].percent,
        **asdict(rates[0]),
        "validation_percent": rates[1].percent,
    }
    return figures | {"cpu_seconds": seconds}


def rate(
    model: AcousticModel,
    plan: CompressionPlan,
    row: Row,
    prepared: Prepared,
    split: Any,
    formats: Any,
) -> Any:
    data = DataBits() if formats is not None else row.data
    integers = integers_of(model, plan, QuantizeSpec(data=data), prepared, formats)
    return integer_rate(integers, split, prepared.objective)


# --- the page


def percents(result: Result, row: Row) -> list[float]:
    """Of the seeds that have the row."""
    return [seed[row.key]["percent"] for seed in result["seeds"] if row.key in seed]


def page(result: Result, options: argparse.Namespace) -> str:
    first, after, trained = result["seeds"][0], numbers(options.bits), numbers(options.train)
    plain, control = (
        percents(result, Row("nothing", FULL, training)) for training in (False, True)
    )
    heads = [f"{bits} bits" for bits in after]
    lines = [
        f"# Bits of each kind of data on {options.corpus}",
        "",
        "Error rate % of the integers (golden) on "
        f"{first[Row('nothing', FULL, False).key]['tokens']:,} test tokens, seeds "
        f"{', '.join(str(seed['seed']) for seed in result['seeds'])}, mean ± deviation where there "
        f"are several. Kind: measured. [JSON]({options.name}.json)",
        "",
        f"    {result['command']}",
        "",
        f"Network: {' and '.join(str(layer['hidden']) for layer in result['recipe']['layers'])} "
        f"units, {options.cell.upper()}, plan {json.dumps(result['recipe']['plan'])}. "
        f"One kind at a time has few bits, all else {FULL} bits (weights 12). "
        f"With nothing in few bits: {spread(plain)} %; the same trained on for {options.epochs} "
        f'epochs, as those of "trained with" are: {spread(control)} %.',
        "",
        f"![error rate against bits]({options.name}.svg)",
        "",
        f"| kind | | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(heads)}",
    ]
    for kind in KINDS:
        for title, training, widths in (
            ("after training", False, after),
            ("trained with", True, trained),
        ):
            cells = [
                spread(percents(result, Row(kind, b, training))) if b in widths else ""
                for b in after
            ]
            lines.append(f"| {'' if training else TITLES[kind]} | {title} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Training with rounding: {options.epochs} epochs at a learning rate of at most "
        f"{options.rate:g}; CPU seconds: "
        f"{seconds(result, [Row('cell', b, True) for b in trained])} with the cell state's "
        f"rounding, {seconds(result, [Row('nothing', FULL, True)])} without any. Epochs, rate and "
        "the rule for formats were fixed beforehand; the epoch kept is the best on validation "
        "strings. Weights: the spectra of blocks, and dense matrices, on uniform grids, a scale a "
        "matrix, trained straight through. Of activations in b bits the range is -2 to 2, so that "
        "1 is a value; of what goes in -8 to 8, below 8 bits -4 to 4; all other ranges are "
        "observed ones. A cell left empty was not run.",
    ]
    return "\n".join(lines) + "\n"


def seconds(result: Result, some: Sequence[Row]) -> str:
    spent = [
        seed[row.key]["cpu_seconds"] for seed in result["seeds"] for row in some if row.key in seed
    ]
    return f"{mean(spent):.1f}" if spent else "not measured"


def picture(result: Result, bits: Sequence[int]) -> str:
    """Error over bits, a line a kind; after training on the left, trained with on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, training in zip(panels, (False, True), strict=True):
        for kind in KINDS:
            widths = [b for b in bits if percents(result, Row(kind, b, training))]
            errors = [mean(percents(result, Row(kind, b, training))) for b in widths]
            axes.plot(widths, errors, "o-", ms=4, lw=1.2, label=kind)
        base = percents(result, Row("nothing", FULL, training))
        if base:
            axes.axhline(mean(base), ls=":", lw=1, color="black", label="none")
        axes.set(
            title="trained with" if training else "after training",
            xlabel="bits of the kind",
            yscale="log",
        )
        axes.set_xticks(sorted(bits))
        axes.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("error rate on the test split (%)")
    panels[0].legend(fontsize=8, title="kind in few bits")
    text = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ernn"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


if __name__ == "__main__":
    main()
