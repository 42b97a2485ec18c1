"""Every method of the survey at the same storage and the same training: errors,
bytes, operations, cycles, time.

    python benchmarks/compare.py --corpus digits --times 4,8,16,32 --seeds 3
    python benchmarks/compare.py --corpus an4 --root ../shared/data/an4_cepstra \\
        --only "low rank" --only SRU

`ernn compare` with the files and the folder that docs/results wants; what is trained, and for
how long, is in `ernn.pipeline.compare`.  Each result is a file in --work: a run that is
stopped goes on with what is missing. Tables, picture and page, compare-<corpus>.*, go into
--out, of whatever results there are.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ernn.data.open import NAMES
from ernn.pipeline.compare import ComparisonRequest, budgets, compare, report


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    epochs = [int(part) for part in options.epochs.split(",")] if options.epochs else [None] * 3
    asked = ComparisonRequest(
        options.corpus,
        options.root,
        options.recipe,
        options.hidden,
        (epochs[0], epochs[1], epochs[2]),
        budgets(options.times),
        options.seeds,
        tuple(options.only or ()),
        options.work,
    )
    found = replace(
        compare(asked, options.jobs),
        command=shlex.join(["python", "benchmarks/compare.py", *sys.argv[1:]]),
    )
    for path in report(asked, found, options.out):
        print(path)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", choices=NAMES, default="digits")
    parser.add_argument("--root", type=Path, help="the corpus's folder (digits needs none)")
    parser.add_argument(
        "--recipe", type=Path, help="a recipe in TOML that changes the corpus's own"
    )
    parser.add_argument("--times", default="4,8,16,32", help="how many times fewer bits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--only",
        action="append",
        help="a method by name, may be given again; all of them otherwise",
    )
    parser.add_argument(
        "--epochs", help="dense, ADMM and retraining instead of the recipe's, as 24,14,14"
    )
    parser.add_argument("--hidden", type=int, help="units a layer instead of the recipe's")
    parser.add_argument(
        "--jobs", type=int, default=1, help="trainings side by side, each a process of one thread"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("out/compare"), help="results and checkpoints"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
