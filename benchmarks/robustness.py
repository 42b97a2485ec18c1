"""How families of compression bear noise, attacks and flipped bits: errors of their integers.

    python benchmarks/robustness.py --corpus digits --times 4 --seeds 3

Each method of --only is trained as `ernn compare` does, made integer, and heard on the test split
under every strain of `ernn.pipeline.robustness`; nothing was chosen on it.  A sparse network is
decoded for golden, and only what it stores can flip; its positions are not flipped.  Weights on a
grid have the grid's bits, 4 at least, which the output matrix then has too.  What is finished is
not done again (--work).  It writes a page, a picture and the figures as JSON into --out.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean

import torch

from ernn.compress.grids import Uniform
from ernn.compress.methods.quantized import Quantized
from ernn.compress.plan import CompressionPlan
from ernn.data.open import NAMES
from ernn.files import write_atomic, write_json
from ernn.ir.structure import Dense, Sparse, Structure
from ernn.pipeline import rival
from ernn.pipeline.compare import ComparisonRequest, dense_network, setting
from ernn.pipeline.network import integers_of
from ernn.pipeline.robustness import AXES, LEVELS, STRAINS, Line, Subject, drawn, lines
from ernn.quantization.quantize import QuantizeSpec
from ernn.report.comparison import spread
from ernn.report.svg import standalone
from ernn.search.rivals import BITS, RIVALS, Entry, entry

METHODS = (
    *("block-circulant, one-shot", "block-circulant, ADMM", "block-circulant, 6 bits"),
    *("low rank", "low rank, 6 bits", "Tucker", "tensor train"),
    *("uniform", "pruned", "bank-balanced", "hidden units removed"),
    *("minimal gated unit", "SRU", "IndRNN"),
)
DENSE = "dense"
FEWEST = 4
"""Bits of a weight that an integer model has at least."""


@dataclass(frozen=True)
class Result:
    method: str
    seed: int
    lines: tuple[Line, ...]

    def error(self, strain: str, level: float) -> float:
        return next(
            line.error for line in self.lines if (line.strain, line.level) == (strain, level)
        )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    asked = ComparisonRequest(
        options.corpus,
        options.root,
        options.recipe,
        options.hidden,
        times=(options.times,),
        seeds=options.seeds,
        work=options.work,
    )
    found = [
        heard(asked, method, seed)
        for seed in range(options.seeds)
        for method in (DENSE, *options.only)
    ]
    found = [one for one in found if one is not None]
    command = shlex.join(["python", "benchmarks/robustness.py", *sys.argv[1:]])
    place = options.out / f"robustness-{options.corpus}"
    write_json(
        place.with_suffix(".json"),
        {"kind": "measured", "command": command, "results": [asdict(r) for r in found]},
    )
    write_atomic(place.with_suffix(".svg"), standalone(drawn(list(means(found)))))
    write_atomic(
        place.with_suffix(".md"), page(found, asked, command, place.with_suffix(".svg").name)
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", choices=NAMES, default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument(
        "--recipe", type=Path, help="a recipe in TOML that changes the corpus's own"
    )
    parser.add_argument("--hidden", type=int, help="units a layer instead of the recipe's")
    parser.add_argument("--times", type=float, default=4, help="how many times fewer bits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--only",
        action="append",
        help="a method by name, may be given again; some of each family otherwise",
    )
    parser.add_argument(
        "--work", type=Path, default=Path("out/robustness"), help="results and checkpoints"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    options = parser.parse_args(arguments)
    options.only = options.only or METHODS
    return options


def heard(asked: ComparisonRequest, method: str, seed: int) -> Result | None:
    """A method's errors; None where it cannot be made so small."""
    at = setting(asked)
    made = None if method == DENSE else entry(RIVALS[method], at.model, asked.times[0])
    if made is None and method != DENSE:
        return None
    file = at.seed(seed) / f"{method} {asked.times[0]:g}.json".replace(" ", "-").replace(",", "")
    if not file.exists():
        subject = strained(asked, method, made, seed)
        print(f"{method}, seed {seed}", file=sys.stderr)
        write_json(file, [asdict(line) for line in lines(subject, at.prepared.test, seed, draws=1)])
    return Result(method, seed, tuple(Line(**line) for line in json.loads(file.read_text())))


def strained(asked: ComparisonRequest, method: str, made: Entry | None, seed: int) -> Subject:
    """The trained network and its integers."""
    at = setting(asked)
    model, plan = dense_network(asked, seed), CompressionPlan()
    if made is not None:
        dense = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        folder = at.seed(seed) / f"{method} checkpoints"
        model, plan = (
            rival.trained(made, dense, at.recipe.with_seed(seed), at.prepared, folder),
            made.plan,
        )
    run = decoded(plan)
    integers = integers_of(model, run, QuantizeSpec(weight_bits(plan)), at.prepared)
    return Subject(method, model, integers, zeros=run == plan)


def decoded(plan: CompressionPlan) -> CompressionPlan:
    """Sparse matrices dense, as golden takes them."""

    def taken(structure: Structure) -> Structure:
        return Dense() if isinstance(structure, Sparse) else structure

    roles = {
        role: taken(getattr(plan, role)) for role in ("input", "recurrent", "projection", "output")
    }
    return replace(
        plan, **roles, overrides=tuple((name, taken(one)) for name, one in plan.overrides)
    )


def weight_bits(plan: CompressionPlan) -> int:
    """The grid's where the recurrent matrices are on uniform ones."""
    structures = (plan.input, plan.recurrent, *dict(plan.overrides).values())
    grids = [
        one.grid.bits
        for one in structures
        if isinstance(one, Quantized) and isinstance(one.grid, Uniform)
    ]
    return max(FEWEST, *grids) if grids else BITS


def means(found: Sequence[Result]) -> Iterator[Line]:
    """Of all seeds."""
    for method in dict.fromkeys(one.method for one in found):
        of = [one for one in found if one.method == method]
        for line in of[0].lines:
            yield replace(line, error=mean(one.error(line.strain, line.level) for one in of))


def page(found: Sequence[Result], asked: ComparisonRequest, command: str, picture: str) -> str:
    """A table for each strain, the method with the least error at its highest level first."""
    at, seeds = setting(asked), len({one.seed for one in found})
    tokens = sum(len(example.labels) for example in at.prepared.test)
    out = [
        f"# Noise, attacks and flipped bits, on {asked.target}",
        "",
        f"    {command}",
        "",
        f"- Errors are of integers run by golden: per cent of {tokens:,} test tokens, greedy "
        f"decoding, mean ± deviation of {seeds} seeds (measured). Each method has "
        f"{asked.times[0]:g} times fewer bits than the dense network, and is trained as `ernn "
        "compare` does; nothing was chosen by these figures.",
        "- Noise and attacks are in deviations of a feature. Attacks follow the gradient of the "
        "float network that the integers were made of: one step (FGSM), or five from a random "
        "start (PGD).",
        "- Flipped bits are a share of the bits of that memory, drawn anew for each seed: a "
        "smaller memory has fewer. A sparse network's positions are not flipped. Grids of few bits "
        "are stored with these bits (4 at least), all else with 12.",
        "",
        f"![errors over level]({picture})",
        "",
    ]
    for strain in STRAINS:
        levels = (0.0, *LEVELS[strain])
        out += [f"## {AXES[strain]}", ""]
        out += [
            f"| method | {' | '.join(f'{level:g}' for level in levels)} |",
            "|" + "---|" * (1 + len(levels)),
        ]
        errors = {
            method: [
                [one.error(strain, level) for one in found if one.method == method]
                for level in levels
            ]
            for method in dict.fromkeys(one.method for one in found)
        }
        for method in sorted(errors, key=lambda method: mean(errors[method][-1])):
            out.append(f"| {method} | {' | '.join(spread(some) for some in errors[method])} |")
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    main()
